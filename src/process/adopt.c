/*
 * adopt.c - see adopt.h.
 *
 * The listening sockets of a slot stay open in the master, so another worker can be given copies
 * of them. Who is in a queue waits for a fork or for that, not for a pause or a timeout.
 */
#include "process/adopt.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "net/socket.h"
#include "process/running.h"
#include "process/shared.h"

/* By slot: 1 + that of its adopter, 0: it has none. */
static int adopters[CONFIG_WORKERS_MAX];

int adopter_of(const struct slot *s)
{
	return adopters[s->index] - 1;
}

static void set_adopter(const struct slot *s, int adopter)
{
	adopters[s->index] = adopter + 1;
}

/* A new worker takes over from the adopter of its slot when it listens, not before. */
bool adopt_is_needed(enum slot_state state, bool adopted, bool still, bool ready)
{
	return state == SLOT_BACKOFF || (state == SLOT_STARTING && adopted) || (still && ready);
}

/* The next one in the row, so that several do not all fall to the same. */
int adopt_choose(uint64_t able, int slot)
{
	for (int i = 1; i < CONFIG_WORKERS_MAX; i++) {
		int other = (slot + i) % CONFIG_WORKERS_MAX;

		if (able >> other & 1)
			return other;
	}
	return -1;
}

static bool is_needed(const struct slot *s)
{
	if (running.phase == PHASE_STOPPING || shared.bus_condemned ||
	    s->index >= running.config->workers)
		return false;
	return adopt_is_needed(s->state, adopter_of(s) >= 0, slot_is_still(s),
			       running.phase == PHASE_READY);
}

static bool can_adopt(const struct slot *s)
{
	return s->state == SLOT_RUNNING && !slot_is_still(s);
}

static struct slot *find_adopter(const struct slot *s)
{
	uint64_t able = 0;
	int adopter;

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		able |= (uint64_t)can_adopt(&slots[i]) << i;
	adopter = adopt_choose(able, s->index);
	return adopter < 0 ? NULL : &slots[adopter];
}

/* Has another accept on the sockets of s; but_shared: only on those that are of s alone. */
static int lend(const struct slot *s, struct slot *to, bool but_shared)
{
	const struct config *c = running.config;
	struct control_adopt a = { .slot = (uint64_t)s->index };
	int all[CONFIG_LISTENERS_MAX], fds[CONFIG_LISTENERS_MAX];
	size_t n = 0;

	sockets_of(&running.sockets, c, s->index, all);
	for (size_t i = 0; i < c->listener_count; i++) {
		if (all[i] < 0 || (but_shared && socket_is_shared(&c->listeners[i])))
			continue;
		a.listeners |= UINT64_C(1) << i;
		fds[n++] = all[i];
	}
	return control_send(&to->control, CONTROL_ADOPT, 0, &a, fds, n);
}

static void adopt(const struct slot *s)
{
	struct slot *other = find_adopter(s);

	if (other && lend(s, other, false) == 0)
		set_adopter(s, other->index);
}

static int release(const struct slot *s, struct slot *adopter, bool give_up)
{
	const struct control_release r = { .slot = (uint32_t)s->index, .give_up = give_up };

	return control_send(&adopter->control, CONTROL_RELEASE, 0, &r, NULL, 0);
}

/* Where it cannot be said now it is tried again with the next tick. */
static void end_adoption(const struct slot *s)
{
	struct slot *adopter = &slots[adopter_of(s)];

	if (!slot_alive(adopter) || release(s, adopter, false) == 0)
		set_adopter(s, -1);
}

void adopt_look(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];
		bool needs = is_needed(s);

		if (adopter_of(s) >= 0 && (!needs || !can_adopt(&slots[adopter_of(s)])))
			end_adoption(s);
		if (needs && adopter_of(s) < 0)
			adopt(s);
	}
}

void adopt_forget(const struct slot *s)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (adopter_of(&slots[i]) == s->index)
			set_adopter(&slots[i], -1);
}

void adopt_anew(void)
{
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];
		bool adopted = adopter_of(s) >= 0;

		set_adopter(s, -1);
		if (adopted && i < running.config->workers)
			adopt(s);
	}
	adopt_look();
}

/*
 * A retiring worker accepts who waits for it, and closes: unless it stands still. And a slot in
 * back-off has nobody. So another does the same, and shuts the sockets for whoever has a copy.
 */
void adopt_last(void)
{
	for (int i = (int)running.config->workers; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i], *other = find_adopter(s);

		if (other && sockets_has(&running.sockets, i) &&
		    (lend(s, other, true) < 0 || release(s, other, true) < 0))
			log_warning(NULL,
				    "cannot have worker %d accept who waits for worker %d: %s",
				    other->index, i, strerror(errno));
	}
	sockets_close_from(&running.sockets, (int)running.config->workers);
}
