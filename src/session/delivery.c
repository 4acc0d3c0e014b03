/*
 * delivery.c - from the log to the members of this worker.
 *
 * After each loop turn the worker reads what is new in the log, up to a budget, and sorts it by
 * room; then each member gets its room's batch as it is made for its class (rendition.h). One that
 * joined in between, or is to be left out of its own messages, gets a selection of it.
 *
 * Where the turn is over before all members have it, the batch goes out of the log into the room's
 * backlog, and those that are still to get it do so in the next turns, a quantum of members for
 * each room that has one. A room's members are walked in the order of their places: those ahead
 * of `reached` have it. Who leaves in between leaves that so, and who joins is behind all of it.
 */
#include <errno.h>
#include <sched.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/edition.h"
#include "session/registry.h"
#include "session/rendition.h"
#include "session/session.h"
#include "session/turn.h"

/*
 * QUANTUM: members of one room, while other rooms wait, too. The others are bytes of memory. ROOM_MAX:
 * with more than that in its backlog a room's publishers wait; half of it is where they go on.
 * BACKLOG_MAX: of all rooms, in which everybody's do.
 */
enum { QUANTUM = 64, ROOM_MAX = 256 * 1024, BACKLOG_MAX = 4 * 1024 * 1024 };

/* Behind the classes of the text's: see rendition.h. */
enum { JSON_KIND = DEFLATE_BITS_MAX + 1 };

/* As many entries are a burst. */
enum { BURST = 8 };

/* Bytes of a batch that waits for more. */
enum { REST_MAX = 16 * 1024 };

static struct batched entries[BATCH_ENTRIES];
static struct renditions from_log, of_edition_from_log;
static struct edition edition_from_log;

/* What is delivered to members of one format. */
struct issue {
	const struct batch *batch;
	struct renditions *all;
};
struct issues {
	struct issue text, json; /* json: where the room has members of it */
};

/* Entries that were not for the members whose turn it was, since that was counted. */
static uint64_t left_out;

/* At what is to be delivered, so far; wraps around. */
static uint32_t looks;

/* When what is delivered now leaves, in milliseconds since the epoch. */
static int64_t leaves;

void delivery_fini(void)
{
	renditions_end(&from_log);
	renditions_end(&of_edition_from_log);
	edition_end(&edition_from_log);
}

static bool is_for(const struct batched *e, const struct place *p)
{
	return e->e.sequence > p->after &&
	       (!e->e.meta.not_to_sender || e->e.meta.sender != p->conn->id);
}

static bool is_for_any(const struct batch *b, const struct place *p)
{
	for (const struct batched *e = b->first; e; e = e->next)
		if (is_for(e, p))
			return true;
	return false;
}

static bool is_for_all(const struct batch *b, const struct place *p)
{
	for (const struct batched *e = b->first; e; e = e->next)
		if (!is_for(e, p))
			return false;
	return true;
}

/*
 * For those to whom not all of the batch goes. Not inline, like all that few members need: what it
 * keeps in registers is not to be paid for by each member.
 */
static __attribute__((noinline)) void deliver_selected(const struct batch *b, const struct place *p,
						       const struct rendition *v)
{
	size_t i = 0, at = 0;

	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = b->first; e; e = e->next) {
		const uint64_t mark = v->marks[i++];

		if (is_for(e, p))
			output_frame(p->conn, (uint8_t *)v->part.iov_base + at, mark);
		else
			left_out++;
		at += link_mark_length(mark);
	}
	output_uncork(p->conn);
}

/* One by one: for a member whose messages depend on each other, or when memory is short. */
static __attribute__((noinline)) void deliver_singly(const struct batch *b, const struct place *p)
{
	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = b->first; e; e = e->next) {
		struct iovec payload;

		if (!is_for(e, p)) {
			left_out++;
			continue;
		}
		payload = rendition_payload(&e->e);
		output_message(p->conn, e->e.frame[0] & 0x0f, batch_mark(b, 0, e->e.sequence),
			       &payload, 1, b->frames);
	}
	output_uncork(p->conn);
}

/*
 * Of one that has its messages to itself: what is not to be compressed at once is to be out of the log
 * first, and what was put off ahead of it comes first.
 */
static bool is_put_off(const struct batch *b, const struct conn *c)
{
	if (c->state_now != CONN_OPEN)
		return false;
	return b->frames ? output_is_behind(c) : !output_takes(c, b->bytes);
}

/* False: the turn is not long enough for what has to be made first. */
static inline __attribute__((always_inline)) bool
deliver_to(const struct batch *b, struct renditions *all, const struct place *p, bool selective)
{
	struct conn *c = p->conn;
	int class = output_waits(c) ? -1 : compress_class(c);
	enum rendition_result made =
		class < 0 ? RENDITION_NO_MEMORY
			  : rendition_need(all, b, class, &c->endpoint->limits.compression);

	if (made == RENDITION_LATER || (class < 0 && is_put_off(b, c)))
		return false;
	if (made == RENDITION_NO_MEMORY)
		deliver_singly(b, p);
	else if (selective && !is_for_all(b, p))
		deliver_selected(b, p, all->by_class[class]);
	else
		all->by_class[class]->takers += output_run(c, &all->by_class[class]->run);
	conn_settle(c);
	return true;
}

bool delivery_send(const struct batch *b, struct renditions *all, const struct place *p)
{
	return deliver_to(b, all, p, false);
}

static inline void count_takers(struct metrics_cell *cell, struct renditions *all)
{
	for (unsigned made = all->made; made; made &= made - 1) {
		struct rendition *v = all->by_class[__builtin_ctz(made)];

		counting_run(cell, &v->run, v->takers);
		v->takers = 0;
	}
}

void delivery_count(const struct room *r, struct renditions *all)
{
	count_takers(r->places[0].conn->endpoint->cell, all);
}

/* So many members had their turn. All are of one endpoint, as a room's name leads to one. */
static inline void count(const struct room *r, const struct issues *is, size_t members)
{
	struct metrics_cell *cell = r->places[0].conn->endpoint->cell;
	const struct batch *b = is->text.batch;
	const int64_t took = leaves - b->first->e.meta.time;
	uint64_t deliveries;

	deliveries = members * b->entries - left_out;
	left_out = 0;
	metrics_add(&cell->deliveries, deliveries);
	/* the oldest tells of all, which differ by less than a turn */
	metrics_times(&session.row->publish_to_write, deliveries,
		      took > 0 ? deliveries * (uint64_t)took * 1000 : 0);
	count_takers(cell, is->text.all);
	if (r->in_json > 0)
		count_takers(cell, is->json.all);
}

/* As walk. mixed: whether there are members of both formats. */
static inline __attribute__((always_inline)) bool walk_some(struct room *r, const struct issues *is,
							    size_t most, bool mixed)
{
	const struct batch *b = is->text.batch;
	struct renditions *all = is->text.all;
	const bool selective = b->selective || r->newest_after >= b->first->e.sequence;
	const uint32_t cost = turn_cost_of(b->bytes, TURN_COPY) + TURN_CALL;
	const size_t end = r->count - r->reached > most ? r->reached + most : r->count;
	size_t i = r->reached;

	all->shelf = &r->shelf;
	if (mixed) {
		is->json.all->shelf = &r->shelf;
		is->json.all->kind = JSON_KIND;
	}
	while (i < end) {
		struct issue to = { b, all };

		/* The next one comes from memory while this one's bytes go out. */
		if (i + 1 < r->count)
			__builtin_prefetch(&r->places[i + 1].conn->link.pending);
		if (mixed && r->places[i].member->json) {
			to = is->json;
			turn_spend_on(to.batch->bytes, TURN_COPY);
		}
		if (!deliver_to(to.batch, to.all, &r->places[i], selective))
			break;
		i++;
		turn_spend(cost);
		if (turn_is_over())
			break;
	}
	count(r, is, i - r->reached);
	r->reached = i < r->count ? i : 0;
	return i == r->count;
}

/*
 * Goes on with a room's members, up to so many, at least with one. Whether all have it. Members
 * are not added or removed meanwhile: what ends here is reaped later. Twice, so that plain
 * members do not pay for a look at what they get.
 */
static bool walk(struct room *r, const struct issues *is, size_t most)
{
	return r->in_json > 0 ? walk_some(r, is, most, true) : walk_some(r, is, most, false);
}

/* There is no memory for what those from this place on are still to get, or of them those in JSON. */
static void fail_rest(struct room *r, const struct batch *b, size_t from, bool in_json)
{
	for (size_t i = from; i < r->count; i++) {
		struct conn *c = r->places[i].conn;

		if (in_json && !r->places[i].member->json)
			continue;
		if (is_for_any(b, &r->places[i]))
			link_fail(&c->link, ENOMEM);
		conn_settle(c);
	}
}

/* reached: how many places have got it already. */
static void set_aside(struct room *r, const struct batch *b, size_t reached)
{
	if (!backlog_put(&r->backlog, b, reached > 0)) {
		fail_rest(r, b, reached, false);
		if (reached > 0)
			r->reached = 0;
		return;
	}
	if (!r->behind && r->backlog.bytes > ROOM_MAX) {
		bus_fall_behind(session.bus, r->bus);
		r->behind = true;
	}
}

static bool walk_from_log(struct room *r)
{
	const struct issues is = { { &r->batch, &from_log },
				   { &edition_from_log.batch, &of_edition_from_log } };

	if (r->in_json > 0 && !edition_make(&edition_from_log, &r->batch, &r->envelope, false))
		fail_rest(r, &r->batch, 0, true);
	return walk(r, &is, SIZE_MAX);
}

/* What is new in the log, for one room. */
static void deliver(struct room *r)
{
	struct batch *b = &r->batch;

	if (!backlog_is_empty(&r->backlog) || turn_is_over())
		set_aside(r, b, 0);
	else if (!walk_from_log(r))
		set_aside(r, b, r->reached);
	renditions_forget(&from_log);
	if (r->in_json > 0) {
		renditions_forget(&of_edition_from_log);
		edition_forget(&edition_from_log);
	}
	r->batch = (struct batch){ 0 };
}

static struct room *room_with(struct backlog *b)
{
	return (struct room *)((char *)b - offsetof(struct room, backlog));
}

/*
 * A batch does not begin in the turn in which the one ahead of it ended. Where all publish, those that have
 * that one are about to answer, and what they say is put in with it: else each turn would make
 * two batches of one, with twice the writes. One that is long gains nothing by being longer.
 */
static bool rests(const struct room *r)
{
	const struct backlog_batch *next = TAILQ_FIRST(&r->backlog.batches);

	return r->rested_at == looks && next->batch.bytes < REST_MAX;
}

/* Whether somebody more has got some of it now. */
static bool go_on(struct room *r)
{
	struct backlog *b = &r->backlog;
	struct backlog_batch *w = backlog_begin(b);
	const struct issues is = { { &w->batch, &w->renditions },
				   { &w->edition.batch, &w->of_edition } };
	size_t before = r->reached;

	if (r->in_json > 0 && !backlog_need_edition(b, w, &r->envelope))
		fail_rest(r, &w->batch, r->reached, true);
	if (!walk(r, &is, QUANTUM))
		return r->reached > before;
	backlog_end(b);
	r->rested_at = looks;
	if (r->behind && b->bytes < ROOM_MAX / 2) {
		bus_catch_up(session.bus, r->bus);
		r->behind = false;
	}
	return true;
}

/* Each room in its turn, and at least one, as long as there is one that can go on. */
static void deliver_backlogs(void)
{
	struct backlog *b, *stuck = NULL;

	if (backlog_bytes() > 0)
		leaves = clock_wall_ms();
	while ((b = backlog_next()) && b != stuck) {
		struct room *r = room_with(b);

		if (!rests(r) && go_on(r))
			stuck = NULL;
		else if (!stuck)
			stuck = b;
		if (turn_is_over())
			break;
	}
}

static void collect(struct room *r, struct batched *e, struct room **touched)
{
	struct batch *b = &r->batch;

	e->next = NULL;
	if (!b->first) {
		b->first = e;
		r->next_touched = *touched;
		*touched = r;
	} else {
		b->last->next = e;
	}
	b->last = e;
	b->entries++;
	b->bytes += e->e.frame_len;
	b->selective |= e->e.meta.not_to_sender;
}

/* The room to whose members an entry goes. NULL: it is passed over. */
static struct room *room_of(const struct bus_entry *e)
{
	switch (e->meta.kind) {
	case BUS_KIND_MESSAGE:
		return registry_at(e->room);
	case BUS_KIND_KEPT:
		return NULL;
	default: /* made by a process that knows more than this one */
		metrics_add(&session.row->passed_over, 1);
		return NULL;
	}
}

/* Takes entries from the log, up to a batch and at least one, and sorts them by room. */
static enum bus_result collect_all(uint64_t *position, struct room **touched, size_t *count)
{
	size_t n = 0, bytes = 0;

	do {
		struct batched *e = &entries[n];
		enum bus_result result = bus_read(session.bus, *position, &e->e);
		struct room *r;

		if (result != BUS_OK)
			return result;
		*position = e->e.end;
		turn_spend(TURN_PASS);
		r = room_of(&e->e);
		if (!r) {
			metrics_beat();
			continue;
		}
		collect(r, e, touched);
		bytes += e->e.frame_len;
		*count = ++n;
	} while (n < BATCH_ENTRIES && bytes < BATCH_BYTES && !turn_is_over());
	return BUS_OK;
}

/*
 * A batch costs a write for each member, however much is in it. Where several workers write in bursts,
 * each would deliver its own burst and then that of the others, in half batches; so what is new
 * waits for one more look at what comes in, and no longer. Whether they do is seen in the last two
 * batches, the newer one first: how many entries were of this worker, and how many of others.
 */
static struct {
	size_t own[2], others[2];
	bool bursts; /* both are many */
	bool waited; /* with what is new now */
} gathering;

static void note_authors(size_t n)
{
	const uint64_t slot = session.next_conn >> 56;
	size_t own = 0;

	for (size_t i = 0; i < n; i++)
		own += entries[i].e.meta.sender >> 56 == slot;
	gathering.own[1] = gathering.own[0];
	gathering.others[1] = gathering.others[0];
	gathering.own[0] = own;
	gathering.others[0] = n - own;
	gathering.bursts = gathering.own[0] + gathering.own[1] >= BURST &&
			   gathering.others[0] + gathering.others[1] >= BURST;
}

/*
 * Whether what is new waits for the next turn, which comes at once; never two times in a row. Those
 * that are about to write as well are told what there is, and may be waiting for this processor.
 */
static bool gather(void)
{
	gathering.waited = gathering.bursts && !gathering.waited && bus_has_news(session.bus);
	if (!gathering.waited)
		return false;
	bus_wake_readers(session.bus);
	sched_yield();
	return true;
}

/* Returns whether there is more. */
static bool deliver_from_log(void)
{
	struct room *touched = NULL;
	uint64_t start = bus_cursor(session.bus), position = start;
	size_t count = 0;
	enum bus_result result = collect_all(&position, &touched, &count);

	if (count > 0) {
		note_authors(count);
		leaves = clock_wall_ms();
	}
	for (; touched; touched = touched->next_touched)
		deliver(touched);
	if (result == BUS_CORRUPT)
		session_bus_corrupt();
	if (position != start)
		bus_advance(session.bus, position);
	return result == BUS_OK;
}

bool delivery_turn(void)
{
	bool more = false;

	if (registry_is_empty())
		return false;
	if (gather())
		return true;
	looks++;
	turn_go_on(TURN_DELIVERY);
	if (backlog_bytes() < BACKLOG_MAX)
		more = deliver_from_log();
	turn_go_on(TURN_BACKLOG);
	deliver_backlogs();
	return more || backlog_bytes() > 0;
}
