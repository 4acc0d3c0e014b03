/*
 * bus_recovery.h - a bus with workers and clients, beside what was truly said in each room.
 *
 * Each worker is a copy of struct bus with a slot of its own. A client is in at most one room, and
 * its record is what it got there: what it was shown as it joined, then what is new. It keeps the
 * position of its record's end when it leaves, or its worker dies. Nothing asserts: what is wrong
 * is said by wrong(), and the run ends.
 */
#ifndef TESTS_BUS_RECOVERY_H
#define TESTS_BUS_RECOVERY_H

#include <stdarg.h>

#include "base/mix.h"
#include "test_bus_check.h"

enum {
	SIZE = 65536,
	LAG = 16384,
	QUARTER = SIZE / 4,
	WORKERS = 4,
	NAMES = 12,
	PLACES = 9,
	CLIENTS = 16,
	GROUPS = 2,
	REMEMBERED = 1024, /* more than the ring has entries */
	HISTORY = 48, /* more than any room keeps */
	FRAME_MAX = 1500,
	BATCH = 4,
	TEXT = 200,
};

struct said {
	uint64_t sender; /* each message has its own */
	int64_t time;
	size_t len;
};

/* A room as it truly is. */
struct truth {
	bool open; /* it was made, and is not known to be gone */
	bool keeps;
	struct bus_room room;
	uint64_t start, last;
	uint64_t least; /* what is below it was evicted, or said when nothing was kept */
	uint64_t ended; /* the last number of the one of that name before it */
	struct said said[REMEMBERED]; /* by number */
};

struct worker {
	struct bus bus;
	unsigned members[NAMES];
};

struct client {
	bool in;
	unsigned worker, name;
	uint64_t after; /* live is above it */
	bool has; /* it has a position: */
	uint64_t id, last; /* in that room, the last number of its record */
};

/* In memory that the parent of a run sees, too. */
struct outcome {
	char wrong[TEXT]; /* empty: nothing is */
	size_t at; /* of the run's steps, the one at which it was found */
	int result; /* of what a worker did that was to be killed; -1: it did not come to the end */
	unsigned said, shown, recovered, lost, gone, kills;
	uint64_t mended, evicted;
};

struct model {
	struct outcome *out;
	struct bus *master;
	int wakeups[SLOTS];
	struct worker workers[WORKERS];
	struct truth rooms[NAMES];
	struct client clients[CLIENTS];
	uint64_t evicted[GROUPS];
	uint64_t size_before; /* bytes that all rooms kept, before this step */
	bool entered; /* in this step somebody joined or opened a room, or died of it */
	bool cut_short; /* who died may have been carrying, which the next append goes on with */
	uint64_t draws; /* of this step, see draw */
	int64_t now;
	bool aloud; /* each step is told */
};

__attribute__((format(printf, 2, 3))) static inline void wrong(struct model *m, const char *format,
							       ...)
{
	va_list args;

	if (m->out->wrong[0] != '\0')
		return;
	va_start(args, format);
	vsnprintf(m->out->wrong, sizeof(m->out->wrong), format, args);
	va_end(args);
}

static inline bool is_wrong(const struct model *m)
{
	return m->out->wrong[0] != '\0';
}

__attribute__((format(printf, 2, 3))) static inline void tell(const struct model *m,
							      const char *format, ...)
{
	va_list args;

	if (!m->aloud)
		return;
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
}

/* SplitMix64, of which each step has its own. */
static inline unsigned draw(struct model *m, unsigned below)
{
	return (unsigned)(mix64(m->draws += MIX_STEP) >> 32) % below;
}

static inline void worker_begins(struct model *m, unsigned i)
{
	m->workers[i] = (struct worker){ .bus = *m->master };
	bus_set_slot(&m->workers[i].bus, (int)i);
}

/* False: there is no memory for it. */
static inline bool model_begins(struct model *m)
{
	const struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = PLACES };

	bus_check_open(m->wakeups);
	m->master = bus_new(&l, m->wakeups);
	if (!m->master)
		return false;
	/* so that the chains are as long in each run */
	m->master->key[0] = m->master->key[1] = 1;
	m->now = 1000000;
	for (unsigned i = 0; i < WORKERS; i++)
		worker_begins(m, i);
	return true;
}

static inline struct bus_keep keep_of(unsigned name)
{
	static const uint32_t messages[] = { 0, 12, 40, 40 };

	return (struct bus_keep){ .messages = messages[name % 4],
				  .bytes = LAG / 4,
				  .ttl = name % 3 == 2 ? 2 : 0,
				  .group = (uint16_t)(name / 2 % GROUPS) };
}

static inline unsigned members_of(const struct model *m, unsigned name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += m->workers[i].members[name];
	return n;
}

/* --- what was said, and what is to be there of it --- */

static inline struct said *said_at(struct truth *t, uint64_t number)
{
	return &t->said[number % REMEMBERED];
}

static inline void note_said(struct model *m, unsigned name, const struct said *s)
{
	struct truth *t = &m->rooms[name];

	*said_at(t, ++t->last) = *s;
	if (!t->keeps)
		t->least = t->last + 1;
	m->out->said++;
}

static inline uint8_t byte_of(uint64_t sender, size_t i)
{
	return (uint8_t)(sender * 31 + i * 7);
}

/* The oldest number that a room has to show now. */
static inline uint64_t first_kept(const struct model *m, unsigned name)
{
	struct truth *t = (struct truth *)&m->rooms[name];
	const struct bus_keep keep = keep_of(name);
	uint64_t first = t->last + 1, count = 0, size = 0;

	for (; first > t->start + 1 && first > t->least; first--) {
		const struct said *s = said_at(t, first - 1);

		size += bus_entry_size(s->len);
		if (++count > keep.messages || size > keep.bytes ||
		    (keep.ttl && m->now - s->time > (int64_t)keep.ttl * 1000))
			break;
	}
	return first;
}

static inline bool is_as_said(struct truth *t, const struct bus_entry *e)
{
	const struct said *s = said_at(t, e->sequence);

	if (e->sequence <= t->start || e->sequence > t->last || e->room.id != t->room.id ||
	    e->meta.sender != s->sender || e->meta.time != s->time || e->frame_len != s->len)
		return false;
	for (size_t i = 0; i < s->len; i++)
		if (e->frame[i] != byte_of(s->sender, i))
			return false;
	return true;
}

/* --- what became of the rooms --- */

/*
 * A group counts what it loses for want of space; what it was is asked of the bus. Only what is
 * over the quarter may go, and what a room had that gave way, or was about to.
 */
static inline void note_evictions(struct model *m)
{
	const uint64_t most = m->size_before + BATCH * bus_entry_size(FRAME_MAX);

	for (uint16_t g = 0; g < GROUPS; g++) {
		uint64_t evicted = bus_look_at_group(m->master, g).evicted, missing = 0;

		for (unsigned i = 0; i < NAMES && evicted != m->evicted[g]; i++) {
			struct truth *t = &m->rooms[i];
			const struct bus_dir_keep *k = &m->master->keeping->rooms[t->room.index];
			uint64_t first = k->upto - k->count + 1, before = first_kept(m, i);

			if (!t->open || keep_of(i).group != g || first <= before)
				continue;
			missing += first - before;
			t->least = first;
		}
		if (missing > evicted - m->evicted[g])
			wrong(m, "more was lost than is counted as evicted");
		if (missing > 0 && most <= QUARTER && !m->entered)
			wrong(m, "something was evicted though there is space");
		m->out->evicted += missing;
		m->evicted[g] = evicted;
	}
}

static inline void note_end(struct model *m, unsigned name)
{
	struct truth *t = &m->rooms[name];

	if (members_of(m, name) > 0)
		wrong(m, "room %c is gone, and has members", 'a' + name);
	t->open = false;
	t->ended = t->last;
	m->out->gone++;
}

/* Who dies as a room is to give way leaves one that keeps nothing. */
static inline void note_ends(struct model *m)
{
	for (unsigned i = 0; i < NAMES; i++) {
		struct truth *t = &m->rooms[i];
		bool keeps;

		if (!t->open)
			continue;
		if (!bus_room_at(m->master, t->room)) {
			note_end(m, i);
			continue;
		}
		keeps = m->master->keeping->rooms[t->room.index].limits != 0;
		if (keeps == t->keeps)
			continue;
		if (!m->entered)
			wrong(m, "what room %c is to keep has changed", 'a' + i);
		t->keeps = keeps;
		t->least = t->last + 1;
	}
}

/* The room of that name is this one: maybe it was made just now. */
static inline void note_room(struct model *m, unsigned name, struct bus_room room)
{
	struct truth *t = &m->rooms[name];

	if (t->open && t->room.id == room.id)
		return;
	if (t->open)
		note_end(m, name);
	t->open = true;
	t->room = room;
	t->keeps = false;
	t->start = t->last = bus_beginning(m->master, room);
	t->least = t->last + 1;
	if (t->start < t->ended)
		wrong(m, "room %c begins with numbers that it had before", 'a' + name);
}

/* The bus as it is now, when nobody is at work. */
static inline void look_at_all(struct model *m)
{
	const char *why = bus_check_directory(m->master);

	note_ends(m);
	note_evictions(m);
	if (!why)
		why = m->cut_short ? bus_check_kept(m->master) : bus_check_keeping(m->master);
	if (why)
		wrong(m, "%s", why);
	for (unsigned i = 0; i < NAMES; i++)
		if (m->rooms[i].open &&
		    bus_sequence(m->master, m->rooms[i].room) != m->rooms[i].last)
			wrong(m, "room %c has come to %llu, and %llu was said", 'a' + i,
			      (unsigned long long)bus_sequence(m->master, m->rooms[i].room),
			      (unsigned long long)m->rooms[i].last);
}

/* --- workers that end, and rooms that are entered --- */

/* As the master has it: the slot is cleared, and the next worker takes it. */
static inline void worker_ends(struct model *m, unsigned worker)
{
	tell(m, ", worker %u ends", worker);
	bus_clear_slot(m->master, (int)worker);
	for (unsigned i = 0; i < CLIENTS; i++)
		if (m->clients[i].worker == worker)
			m->clients[i].in = false;
	worker_begins(m, worker);
}

static inline bool may_be_refused(const struct model *m)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < NAMES; i++)
		taken += members_of(m, i) > 0;
	return taken == PLACES;
}

/* False: the directory is full, or something is wrong. */
static inline bool enter(struct model *m, unsigned worker, unsigned name, bool join,
			 uint64_t *sequence)
{
	const char letter = (char)('a' + name);
	const struct bus_keep keep = keep_of(name);
	struct bus *b = &m->workers[worker].bus;
	struct bus_room room;
	enum bus_result result;

	result = join ? bus_join(b, &letter, 1, &keep, &room, sequence)
		      : bus_open(b, &letter, 1, &keep, &room);
	if (result != BUS_OK) {
		if (result != BUS_ROOMS_FULL || !may_be_refused(m))
			wrong(m, "room %c cannot be entered: %d", letter, result);
		return false;
	}
	m->entered = true;
	note_room(m, name, room);
	look_at_all(m);
	m->entered = false;
	m->size_before = m->master->keeping->size;
	return !is_wrong(m);
}

#endif
