/*
 * What clients get of rooms while workers are killed, against a model that remembers all that was
 * said. Four workers join, publish, read on, carry and die: between two steps, or between any two
 * instructions of what they do, and who mends that may die of it as well. Each client's record is
 * to be the room's true sequence, without a gap but where it was told so and something is gone.
 *
 * A step follows from the seed and its number alone, so any part of a run is a run. One that fails
 * is shrunk, and what is left of it is told. It runs in a child: one that crashes or hangs fails.
 */
// links: base bus
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "bus_recovery_clients.h"
#include "shrink.h"
#include "step.h"

enum { STEPS = 10000, RUNS = 2, TRIES = 200, HANGS = 60, SHRINK_RUNS = 600, SHRINK_S = 30 };

/* --- what a worker does, alive or about to be killed --- */

enum deed { SAY, SAY_ALL, CARRY, JOIN, OPEN, LEAVE, MEND, DEEDS };

static const char *const deeds[] = {
	[SAY] = "says",   [SAY_ALL] = "says at once", [CARRY] = "carries", [JOIN] = "joins",
	[OPEN] = "opens", [LEAVE] = "leaves",         [MEND] = "looks for"
};

struct errand {
	enum deed deed;
	unsigned worker, name;
	size_t count; /* of what is said */
	unsigned names[BATCH];
	struct said said[BATCH];
	struct bus_part parts[BATCH];
	struct bus_item items[BATCH];
	uint8_t bytes[BATCH][FRAME_MAX];
};

static void draw_said(struct model *m, struct errand *e, unsigned name)
{
	static uint64_t senders;
	size_t i = e->count++;
	struct said *s = &e->said[i];

	*s = (struct said){ ++senders, m->now, draw(m, draw(m, 5) ? 200 : FRAME_MAX) };
	for (size_t n = 0; n < s->len; n++)
		e->bytes[i][n] = byte_of(s->sender, n);
	e->names[i] = name;
	e->parts[i] = (struct bus_part){ e->bytes[i], s->len };
	e->items[i] = (struct bus_item){
		.room = m->rooms[name].room,
		.meta = { .sender = s->sender, .time = s->time, .kind = BUS_KIND_MESSAGE },
		.parts = &e->parts[i],
		.count = 1,
	};
}

static enum bus_result do_deed(const struct model *m, struct bus *b, struct errand *e)
{
	const char letter = (char)('a' + e->name);
	const struct bus_keep keep = keep_of(e->name);
	struct bus_room room;
	uint64_t sequence;

	switch (e->deed) {
	case SAY:
		return bus_append(b, e->items[0].room, &e->items[0].meta, e->parts, 1);
	case SAY_ALL:
		return bus_append_all(b, e->items, e->count);
	case CARRY:
		return bus_carry(b, m->now, m->now);
	case JOIN:
		return bus_join(b, &letter, 1, &keep, &room, &sequence);
	case OPEN:
		return bus_open(b, &letter, 1, &keep, &room);
	case LEAVE:
		bus_leave(b, m->rooms[e->name].room);
		return BUS_OK;
	default:
		return bus_find(b, &letter, 1, &room);
	}
}

/* --- steps --- */

/* One that others have to give way to is seldom. */
static unsigned draw_room(struct model *m)
{
	return draw(m, draw(m, 8) ? PLACES - 1 : NAMES);
}

static void step_join(struct model *m)
{
	unsigned i = draw(m, CLIENTS);
	struct client *c = &m->clients[i];
	unsigned name = draw(m, 4) ? c->name : draw_room(m), worker = draw(m, WORKERS);
	struct worker *w = &m->workers[worker];
	uint64_t newest = 0;

	if (c->in)
		return;
	tell(m, "client %u joins %c at %u", i, 'a' + name, worker);
	if (w->members[name] == 0 && !enter(m, worker, name, true, &newest))
		return;
	if (w->members[name]++ > 0)
		newest = bus_sequence(&w->bus, m->rooms[name].room);
	c->has = c->has && name == c->name && draw(m, 8);
	c->worker = worker;
	c->name = name;
	show(m, c, newest);
}

static void step_leave(struct model *m)
{
	unsigned i = draw(m, CLIENTS);
	struct client *c = &m->clients[i];
	struct worker *w = &m->workers[c->worker];

	if (!c->in)
		return;
	tell(m, "client %u leaves %c at %u", i, 'a' + c->name, c->worker);
	if (--w->members[c->name] == 0)
		bus_leave(&w->bus, m->rooms[c->name].room);
	c->in = false;
}

/* Some rooms are busier than others, so that what those keep is carried. */
static unsigned draw_name(struct model *m)
{
	return draw(m, 2) ? draw_room(m) : draw(m, 3);
}

static struct errand *draw_errand_to_say(struct model *m, bool all)
{
	static struct errand e;
	size_t most = all ? 2 + draw(m, BATCH - 1) : 1;

	e.deed = all ? SAY_ALL : SAY;
	e.worker = draw(m, WORKERS);
	e.count = 0;
	while (e.count < most) {
		unsigned name = draw_name(m);

		/* that one may make another give way to which something is to be said */
		for (size_t i = 0; i < e.count; i++)
			name = m->rooms[name].open ? name : e.names[0];
		if (!enter(m, e.worker, name, false, NULL))
			return NULL;
		draw_said(m, &e, name);
		tell(m, "%s %zu bytes in %c",
		     e.count > 1 ? " and" : "to be said:", e.said[e.count - 1].len, 'a' + name);
	}
	return &e;
}

static void note_all_said(struct model *m, const struct errand *e)
{
	for (size_t i = 0; i < e->count; i++)
		note_said(m, e->names[i], &e->said[i]);
}

/* Whoever holds it up reads on. */
static void step_say(struct model *m, bool all)
{
	struct errand *e = draw_errand_to_say(m, all);
	struct bus *b = e ? &m->workers[e->worker].bus : NULL;
	enum bus_result result = BUS_FULL;

	if (!e)
		return;
	tell(m, ", by %u", e->worker);
	for (int tries = 0; tries < TRIES && result == BUS_FULL; tries++) {
		result = do_deed(m, b, e);
		for (unsigned i = 0; i < WORKERS && result == BUS_FULL; i++)
			deliver(m, i, UINT32_MAX);
	}
	bus_want_nothing(b);
	m->cut_short = m->cut_short && result != BUS_OK;
	if (result != BUS_OK)
		wrong(m, "it cannot be said: %d", result);
	else
		note_all_said(m, e);
}

static void step_read(struct model *m, unsigned most)
{
	unsigned worker = draw(m, WORKERS);

	tell(m, "worker %u reads %u", worker, most);
	deliver(m, worker, most);
}

static void step_carry(struct model *m)
{
	unsigned worker = draw(m, WORKERS);
	enum bus_result result = bus_carry(&m->workers[worker].bus, m->now, m->now);

	tell(m, "worker %u carries: %d", worker, result);
	if (result != BUS_OK && result != BUS_FULL)
		wrong(m, "worker %u cannot carry: %d", worker, result);
}

/* --- kills in the midst of it --- */

/* Changes when something is published, or a room made or about to go. */
static uint64_t what_is_there(const struct model *m)
{
	const struct bus_shared *s = m->master->shared;

	return s->tail + s->last_id + m->master->keeping->floor;
}

/* About as many instructions as it has; what carries, gives way or mends has more. */
static unsigned draw_instructions(struct model *m, enum deed deed)
{
	static const unsigned lengths[] = {
		[SAY] = 1200, [SAY_ALL] = 3500, [CARRY] = 2500, [JOIN] = 800,
		[OPEN] = 720, [LEAVE] = 190,    [MEND] = 620
	};

	return draw(m, lengths[deed] << (draw(m, 4) == 0));
}

/* To anywhere, or shortly behind something that others see. False: it stopped by itself. */
static bool step_on(struct model *m, pid_t pid, enum deed deed, unsigned *n)
{
	const uint64_t before = what_is_there(m);
	bool anywhere = draw(m, 2);

	*n = 0;
	for (unsigned left = draw_instructions(m, deed); left > 0; left--) {
		if (!anywhere && what_is_there(m) != before) {
			anywhere = true;
			left = 1 + draw(m, draw(m, 2) ? 60 : 300);
		}
		if (step(pid, 1) == 0)
			return false;
		++*n;
	}
	return true;
}

/* A child does it in the worker's stead, and is killed. */
static void kill_amid(struct model *m, struct errand *e)
{
	pid_t pid = fork();
	unsigned done;
	bool going;

	m->out->result = -1;
	m->cut_short = true;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		step_begin();
		m->out->result = (int)do_deed(m, &m->workers[e->worker].bus, e);
		raise(SIGSTOP);
		_exit(0);
	}
	if (step_ready(pid)) {
		going = step_on(m, pid, e->deed, &done);
		tell(m, ", worker %u %s %c and is killed behind %u instructions", e->worker,
		     deeds[e->deed], 'a' + e->name, done);
		if (!going && m->out->result < 0)
			wrong(m, "who was to be killed had crashed");
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		m->out->kills++;
	}
	worker_ends(m, e->worker);
}

/* All of it was published, or nothing; and it was, if that was said. */
static void settle(struct model *m, const struct errand *e, int result)
{
	uint64_t more[NAMES] = { 0 };
	bool any = false, all = true;

	for (size_t i = 0; i < e->count; i++)
		more[e->names[i]]++;
	for (unsigned i = 0; i < NAMES; i++) {
		uint64_t now = bus_sequence(m->master, m->rooms[i].room) - m->rooms[i].last;

		any = any || (more[i] > 0 && now != 0);
		all = all && (more[i] == 0 || now == more[i]);
	}
	if (any != all)
		wrong(m, "it was published in part");
	if ((result == BUS_OK && !all) || (result > BUS_OK && any))
		wrong(m, "it was%s published, and its author was told %d", any ? "" : " not",
		      result);
	tell(m, ", said: %s", any ? "yes" : "no");
	if (any)
		note_all_said(m, e);
}

static struct errand *draw_errand(struct model *m)
{
	static struct errand e;
	enum deed deed = draw(m, 4) ? draw(m, DEEDS) : CARRY;

	if (deed == SAY || deed == SAY_ALL)
		return draw_errand_to_say(m, deed == SAY_ALL);
	e.deed = deed;
	e.count = 0;
	e.worker = draw(m, WORKERS);
	e.name = draw_room(m);
	/* who carries is mostly the first */
	if (deed == CARRY && draw(m, 4))
		e.worker = 0;
	if (deed == LEAVE)
		e.worker = m->clients[draw(m, CLIENTS)].worker;
	for (unsigned i = 0; i < NAMES && deed == LEAVE; i++)
		if (m->workers[e.worker].members[i] > 0)
			e.name = i;
	if (m->workers[e.worker].members[e.name] > 0 ? deed == JOIN : deed == LEAVE)
		e.deed = MEND;
	return &e;
}

/* Up to two more die of mending it; another mends it then. */
static void step_kill_amid(struct model *m)
{
	struct errand *e = draw_errand(m), next = { .deed = MEND };
	unsigned last = draw(m, WORKERS);
	int result;

	if (!e)
		return;
	m->entered = e->deed == JOIN || e->deed == OPEN;
	kill_amid(m, e);
	result = m->out->result;
	while (draw(m, 3) == 0) {
		next.worker = draw(m, WORKERS);
		kill_amid(m, &next);
	}
	next.worker = last;
	if (do_deed(m, &m->workers[last].bus, &next) == BUS_CORRUPT)
		wrong(m, "the log is corrupt behind a kill");
	else if (e->count > 0)
		settle(m, e, result);
}

/* --- a run --- */

static void step_any(struct model *m)
{
	unsigned n = draw(m, 1000);

	m->size_before = m->master->keeping->size;
	m->entered = false;
	m->now += draw(m, 50) ? draw(m, 30) : draw(m, 5000);
	if (n < 350)
		step_say(m, false);
	else if (n < 430)
		step_say(m, true);
	else if (n < 570)
		step_read(m, 1 + draw(m, 8));
	else if (n < 630)
		step_read(m, UINT32_MAX);
	else if (n < 800)
		step_join(m);
	else if (n < 900)
		step_leave(m);
	else if (n < 985)
		step_carry(m);
	else if (n < 994)
		worker_ends(m, draw(m, WORKERS));
	else
		step_kill_amid(m);
	look_at_all(m);
}

/* Who steps and who is stepped take turns, which costs less on one processor. */
static void stay_on_one_processor(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
}

/* So many steps of a run of this seed: in a child, which leaves what it found in *out. */
struct run {
	struct outcome *out;
	unsigned seed;
	bool aloud;
};

static void run_here(const struct run *r, const unsigned *steps, size_t count)
{
	static struct model m;

	m.out = r->out;
	m.aloud = r->aloud;
	if (!model_begins(&m))
		wrong(&m, "there is no memory for a bus");
	for (size_t i = 0; i < count && !is_wrong(&m); i++) {
		m.out->at = i;
		m.draws = (uint64_t)r->seed << 32 | steps[i];
		tell(&m, "step %5u: ", steps[i]);
		step_any(&m);
		tell(&m, "\n");
	}
	for (unsigned i = 0; i < WORKERS && !is_wrong(&m); i++)
		deliver(&m, i, UINT32_MAX);
	m.out->mended = m.master ? m.master->shared->recoveries : 0;
	_exit(0);
}

static bool run_fails(void *arg, const unsigned *steps, size_t count)
{
	const struct run *r = arg;
	pid_t pid;
	int status;

	*r->out = (struct outcome){ 0 };
	pid = fork();
	if (pid == 0) {
		alarm(HANGS);
		stay_on_one_processor();
		run_here(r, steps, count);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return false;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		snprintf(r->out->wrong, TEXT, "it ended with status %#x", (unsigned)status);
	return r->out->wrong[0] != '\0';
}

static void shrink_and_tell(struct run *r, unsigned *steps)
{
	struct shrink s = { run_fails, r, SHRINK_RUNS, SHRINK_S };
	size_t count = r->out->at + 1;

	print_message("BUS_TEST_SEED=%u, step %zu: %s\n", r->seed, r->out->at, r->out->wrong);
	/* where it ends by a look at everything, all of it is needed */
	if (!run_fails(r, steps, count))
		count = STEPS;
	count = shrink(&s, steps, count);
	r->aloud = true;
	run_fails(r, steps, count);
	print_message("with these %zu steps: %s\n", count, r->out->wrong);
}

static void tell_what_happened(const struct outcome *o)
{
	print_message(
		"%u said, %u positions given, of which %u recovered something and %u did not, "
		"%u rooms gone, %llu evicted, %u killed amid, %llu mended\n",
		o->said, o->shown, o->recovered, o->lost, o->gone, (unsigned long long)o->evicted,
		o->kills, (unsigned long long)o->mended);
}

/* In all runs together: of one alone some of it may be little. */
static void add(struct outcome *all, const struct outcome *o)
{
	all->said += o->said;
	all->recovered += o->recovered;
	all->lost += o->lost;
	all->gone += o->gone;
	all->evicted += o->evicted;
	all->kills += o->kills;
	all->mended += o->mended;
}

static void assert_much_happened(const struct outcome *o)
{
	assert_true(o->said > RUNS * STEPS / 4);
	assert_true(o->recovered > 50 && o->lost > 50 && o->gone > 20 && o->evicted > 20);
	if (o->kills == 0)
		print_message("SKIPPED: needs ptrace, which is not allowed here\n");
	else
		assert_true(o->mended > 10);
}

static void test_records_are_true(void **state)
{
	static unsigned steps[STEPS];
	struct run r = { .seed = bus_check_seed() };
	struct outcome all = { 0 };
	struct outcome *out =
		mmap(NULL, sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(out != MAP_FAILED);
	r.out = out;
	for (int i = 0; i < RUNS; i++, r.seed++) {
		print_message("BUS_TEST_SEED=%u\n", r.seed);
		for (unsigned n = 0; n < STEPS; n++)
			steps[n] = n;
		if (run_fails(&r, steps, STEPS)) {
			shrink_and_tell(&r, steps);
			fail();
		}
		tell_what_happened(out);
		add(&all, out);
	}
	assert_much_happened(&all);
	munmap(out, sizeof(*out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_are_true),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
