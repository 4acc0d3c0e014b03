/*
 * turn_counters.c - see turn_counters.h.
 *
 * Time is that of the CPU: it does not count the sleep, and is the same on a machine that has
 * other things to do. What is charged is counted whole here, however much of it turn.h takes.
 */
#include "session/turn_counters.h"

#ifdef IGNYX_COUNTERS

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "session/session.h"
#include "session/turn.h"

enum { LONG_US = 5000, TELL_TICKS = 1000 / SESSION_TICK };

static struct {
	int64_t parts[TURN_PARTS]; /* microseconds */
	/* Nanoseconds: all, since the last look, and since that said that the part is over. */
	uint64_t work, unlooked, behind;
	int64_t since; /* when its part began */
	unsigned part;
	bool over; /* the last look said so */
} current;

/* Since it was told. */
static struct {
	uint64_t turns, long_ones, work, unlooked, behind;
	int64_t longest, parts[TURN_PARTS];
	unsigned ticks;
} counted;

static uint64_t turns; /* all there were */

/* Since it was told, but for `waiting`. */
static struct {
	unsigned waiting, most;
	uint64_t longest; /* turns */
} lines[LINES];

static const char *const line_names[LINES] = {
	[LINE_INPUT] = "input",
	[LINE_ROOMS] = "rooms",
	[LINE_COMPRESS] = "compress",
	[LINE_HANDSHAKES] = "handshakes",
};

static int64_t cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void raise_to(uint64_t *most, uint64_t value)
{
	if (value > *most)
		*most = value;
}

static void end_part(void)
{
	int64_t now = cpu_us();

	current.parts[current.part] += now - current.since;
	current.since = now;
	current.behind = 0;
	current.over = false;
}

void turn_counters_go_on(unsigned part)
{
	end_part();
	current.part = part;
}

void turn_counters_begin(void)
{
	static bool begun;
	bool first = !begun;
	int64_t whole = 0;

	end_part();
	for (int i = 0; i < TURN_PARTS; i++)
		whole += current.parts[i];
	begun = true;
	/* What went before the first one is the start of the worker. */
	if (first)
		whole = 0;
	turns++;
	counted.turns++;
	counted.long_ones += whole > LONG_US;
	raise_to(&counted.work, current.work);
	if (whole > counted.longest) {
		counted.longest = whole;
		memcpy(counted.parts, current.parts, sizeof(counted.parts));
	}
	memset(current.parts, 0, sizeof(current.parts));
	current.work = current.unlooked = 0;
	current.part = 0;
}

void turn_counters_spend(uint64_t cost)
{
	current.work += cost;
	current.unlooked += cost;
	raise_to(&counted.unlooked, current.unlooked);
	if (!current.over)
		return;
	current.behind += cost;
	raise_to(&counted.behind, current.behind);
}

void turn_counters_look(bool over)
{
	current.unlooked = 0;
	current.over = over;
}

void turn_counters_wait(enum turn_line line, struct turn_wait *w)
{
	w->since = turns;
	if (++lines[line].waiting > lines[line].most)
		lines[line].most = lines[line].waiting;
}

void turn_counters_serve(enum turn_line line, const struct turn_wait *w)
{
	lines[line].waiting--;
	raise_to(&lines[line].longest, turns - w->since);
}

static void tell_lines(void)
{
	char text[48 * LINES];
	size_t n = 0;

	for (int i = 0; i < LINES && n < sizeof(text); i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s %llu of %u", i ? ", " : "",
				      line_names[i], (unsigned long long)lines[i].longest,
				      lines[i].most);
		lines[i].longest = 0;
		lines[i].most = lines[i].waiting;
	}
	log_always(LOG_INFO, NULL, "in line: %s", text);
}

static const char *parts_text(char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < TURN_PARTS && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? " " : "",
				      (long long)counted.parts[i]);
	return out;
}

void turn_counters_tell(void)
{
	char parts[24 * TURN_PARTS];

	log_always(LOG_INFO, NULL,
		   "turns: %llu, over 5 ms %llu, longest %lld us (%s), work %llu us, "
		   "unlooked %llu us, behind the end %llu us",
		   (unsigned long long)counted.turns, (unsigned long long)counted.long_ones,
		   (long long)counted.longest, parts_text(parts, sizeof(parts)),
		   (unsigned long long)counted.work / 1000,
		   (unsigned long long)counted.unlooked / 1000,
		   (unsigned long long)counted.behind / 1000);
	memset(&counted, 0, sizeof(counted));
	tell_lines();
}

void turn_counters_tick(void)
{
	if (++counted.ticks >= TELL_TICKS)
		turn_counters_tell();
}

#endif
