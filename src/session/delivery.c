/*
 * delivery.c - from the log to the members of this worker.
 *
 * After each loop turn the worker reads what is new in the log, up to a budget, and sorts it by
 * room; then each member gets its room's batch as it is made for its class (rendition.h). One that
 * joined in between, or is to be left out of its own messages, gets a selection of it.
 */
#include "base/metrics.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/rendition.h"
#include "session/session.h"

enum { BATCH_BYTES = 256 * 1024 };

static struct batched entries[BATCH_ENTRIES];

static bool is_for(const struct batched *e, const struct place *p)
{
	return e->e.sequence > p->after &&
	       (!e->e.meta.not_to_sender || e->e.meta.sender != p->conn->id);
}

static bool is_for_all(const struct batch *b, const struct place *p)
{
	for (const struct batched *e = b->first; e; e = e->next)
		if (!is_for(e, p))
			return false;
	return true;
}

/* For those to whom not all of the batch goes. */
static void deliver_selected(const struct batch *b, const struct place *p,
			     const struct rendition *v)
{
	size_t i = 0, at = 0;

	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = b->first; e; e = e->next) {
		size_t len = link_mark_length(v->marks[i++]);

		if (is_for(e, p))
			output_frame(p->conn, v->p + at, len);
		at += len;
	}
	output_uncork(p->conn);
}

/* One by one: for a member whose messages depend on each other, or when memory is short. */
static void deliver_singly(const struct batch *b, const struct place *p)
{
	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = b->first; e; e = e->next) {
		struct iovec payload;

		if (!is_for(e, p))
			continue;
		payload = rendition_payload(&e->e);
		output_message(p->conn, e->e.frame[0] & 0x0f, &payload, 1);
	}
	output_uncork(p->conn);
}

static void deliver_all(const struct batch *b, struct conn *c, const struct rendition *v)
{
	struct iovec part = { (void *)v->p, v->len };

	output_run(c, &(struct link_run){ &part, 1, v->len, v->marks, b->entries,
					  (uint32_t)b->entries, 0 });
}

static void deliver_to(const struct batch *b, const struct place *p, bool selective)
{
	struct conn *c = p->conn;
	int class = compress_class(c);
	const struct rendition *v =
		class < 0 ? NULL : rendition_of(b, class, &c->endpoint->limits.compression);

	if (!v)
		deliver_singly(b, p);
	else if (selective && !is_for_all(b, p))
		deliver_selected(b, p, v);
	else
		deliver_all(b, c, v);
	conn_settle(c);
}

/* Members are not added or removed meanwhile: what ends here is reaped later. */
static void deliver(struct room *r)
{
	const struct batch *b = &r->batch;
	bool selective = b->selective || r->newest_after >= b->first->e.sequence;

	for (size_t i = 0; i < r->count; i++) {
		/* The next one comes from memory while this one's bytes go out. */
		if (i + 1 < r->count)
			__builtin_prefetch(&r->places[i + 1].conn->link.pending);
		deliver_to(b, &r->places[i], selective);
	}
	rendition_forget();
	r->batch = (struct batch){ 0 };
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
	b->selective |= e->e.meta.not_to_sender;
}

/* The room to whose members an entry goes. NULL: it is passed over. */
static struct room *room_of(const struct bus_entry *e)
{
	switch (e->meta.kind) {
	case BUS_KIND_MESSAGE:
		return registry_at(e->room);
	default: /* made by a process that knows more than this one */
		metrics_add(&session.row->passed_over, 1);
		return NULL;
	}
}

bool delivery_turn(void)
{
	struct room *touched = NULL;
	enum bus_result result = BUS_OK;
	uint64_t position, start;
	size_t n = 0, bytes = 0;

	if (registry_is_empty())
		return false;
	start = position = bus_cursor(session.bus);
	while (n < BATCH_ENTRIES && bytes < BATCH_BYTES) {
		struct batched *e = &entries[n];
		struct room *r;

		result = bus_read(session.bus, position, &e->e);
		if (result != BUS_OK)
			break;
		position = e->e.end;
		r = room_of(&e->e);
		if (!r) {
			metrics_beat();
			continue;
		}
		collect(r, e, &touched);
		bytes += e->e.frame_len;
		n++;
	}
	for (; touched; touched = touched->next_touched)
		deliver(touched);
	if (result == BUS_CORRUPT)
		registry_corrupt();
	if (position != start)
		bus_advance(session.bus, position);
	return result == BUS_OK;
}
