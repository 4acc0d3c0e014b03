/*
 * bus_recovery_clients.h - what clients get of the rooms of bus_recovery.h, and what they are told.
 */
#ifndef TESTS_BUS_RECOVERY_CLIENTS_H
#define TESTS_BUS_RECOVERY_CLIENTS_H

#include "bus/position.h"
#include "bus_recovery.h"

static inline void hand_out(struct model *m, unsigned worker, const struct bus_entry *e)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client *c = &m->clients[i];
		struct truth *t = &m->rooms[c->name];

		if (!c->in || c->worker != worker || c->id != e->room.id || e->sequence <= c->after)
			continue;
		if (e->sequence != c->last + 1)
			wrong(m, "client %u gets number %llu behind %llu", i,
			      (unsigned long long)e->sequence, (unsigned long long)c->last);
		if (!is_as_said(t, e))
			wrong(m, "client %u gets number %llu, which is not what was said", i,
			      (unsigned long long)e->sequence);
		c->last = e->sequence;
	}
}

static inline void check_complete(struct model *m, unsigned worker)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct client *c = &m->clients[i];

		if (c->in && c->worker == worker && c->last != m->rooms[c->name].last)
			wrong(m, "client %u has read all and misses what is behind %llu", i,
			      (unsigned long long)c->last);
	}
}

/* So many entries, or all. */
static inline void deliver(struct model *m, unsigned worker, unsigned most)
{
	struct bus *b = &m->workers[worker].bus;
	enum bus_result result = BUS_OK;

	while (b->joined > 0 && most-- > 0 && !is_wrong(m)) {
		struct bus_entry e;

		result = bus_read(b, bus_cursor(b), &e);
		if (result != BUS_OK)
			break;
		if (e.meta.kind != BUS_KIND_KEPT)
			hand_out(m, worker, &e);
		bus_advance(b, e.end);
	}
	if (result == BUS_EMPTY)
		check_complete(m, worker);
	else if (result != BUS_OK)
		wrong(m, "worker %u cannot read on", worker);
}

/* What a client is shown as it joins, as replay_take does it. */
struct shown {
	struct bus_entry entries[HISTORY];
	uint8_t space[2 * LAG];
	struct bus_past past;
	bool known, recovered;
	uint64_t from; /* it has all that is above it */
};

static inline void take_shown(const struct model *m, const struct client *c, uint64_t newest,
			      struct shown *s)
{
	const struct bus *b = &m->workers[c->worker].bus;
	struct bus_room room = m->rooms[c->name].room;
	struct bus_position p = { bus_epoch(b), c->last };
	enum bus_result result;

	s->known = c->has && bus_position_is_of(b, room, newest, p);
	s->past = (struct bus_past){ .entries = s->entries,
				     .most = HISTORY,
				     .space = s->space,
				     .size = sizeof(s->space),
				     .after = s->known ? c->last : 0,
				     .now = m->now };
	result = bus_history(b, room, newest, &s->past);
	s->from = newest;
	if (s->past.first < HISTORY)
		s->from = s->entries[s->past.first].sequence - 1;
	s->recovered = s->known && result == BUS_OK && s->from <= c->last;
}

static inline void check_shown(struct model *m, const struct client *c, uint64_t newest,
			       const struct shown *s)
{
	struct truth *t = &m->rooms[c->name];
	uint64_t first = first_kept(m, c->name), number = s->from;
	bool own = c->has && c->id == t->room.id;
	/* of one that is gone, it misses nothing that had all */
	bool nothing_since = c->has && !own && c->last == t->start && c->last >= t->ended;
	bool all = s->known && c->last + 1 >= first;

	if (s->known != (own || nothing_since))
		wrong(m, "its position is %s", s->known ? "of a room that is gone" : "not taken");
	for (size_t i = s->past.first; i < HISTORY; i++)
		if (s->entries[i].sequence != ++number || !is_as_said(t, &s->entries[i]))
			wrong(m, "it is shown number %llu, which is not what was said",
			      (unsigned long long)number);
	if (number != newest)
		wrong(m, "what it is shown ends with %llu", (unsigned long long)number);
	if (s->known && s->from < c->last)
		wrong(m, "it is shown what it had");
	if (s->recovered && !all)
		wrong(m, "it is told that nothing is missing");
	if (!s->recovered && all)
		wrong(m, "it is told that something is missing");
	if (s->from + 1 > first && !(s->known && s->from == c->last))
		wrong(m, "it is shown numbers from %llu on, and %llu is kept",
		      (unsigned long long)s->from + 1, (unsigned long long)first);
	if (s->from + 1 < first)
		wrong(m, "it is shown number %llu, which is not kept",
		      (unsigned long long)s->from + 1);
}

/* A client is in its room, of which `newest` is not for it as live. */
static inline void show(struct model *m, struct client *c, uint64_t newest)
{
	static struct shown s;

	if (newest != m->rooms[c->name].last)
		wrong(m, "a join notes %llu as the last", (unsigned long long)newest);
	take_shown(m, c, newest, &s);
	check_shown(m, c, newest, &s);
	tell(m, ", from %llu to %llu%s", (unsigned long long)s.from + 1, (unsigned long long)newest,
	     !c->has       ? ""
	     : s.recovered ? ", recovered"
			   : ", not recovered");
	m->out->shown += c->has;
	m->out->recovered += s.recovered && newest > c->last;
	m->out->lost += c->has && !s.recovered;
	c->in = c->has = true;
	c->after = c->last = newest;
	c->id = m->rooms[c->name].room.id;
}

#endif
