/*
 * room.c - rooms: membership in this worker, and delivery from the bus.
 *
 * After each loop turn the worker reads what is new in the log, up to a
 * budget, and sorts it by room. One entry for a room goes to each member
 * straight from the log; several are gathered once and leave as one write per
 * member. Members with compression get the same, compressed once for all that have
 * the same window. A member that joined in between, or that is to be left out of its
 * own messages, gets a selection of it.
 */
#include "session/room.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/verdict.h"

enum { ENTRIES_A_BATCH = 1024, BYTES_A_BATCH = 256 * 1024, RENDITION_KEPT = 1024 * 1024 };

struct place {
	struct conn *conn;
	struct room_member *member;
	uint64_t after; /* sequence number of the last message before it joined */
};

/* One entry of the batch that is being delivered. */
struct batched {
	struct bus_entry e;
	struct batched *next; /* of the same room */
};

/*
 * A room's batch as members of one class (compress_class, 0: plain) get it: all of it,
 * and how long each entry is in it.
 */
struct rendition {
	const uint8_t *p;
	size_t len;
	uint64_t marks[ENTRIES_A_BATCH];
	struct buffer own; /* where it lies, unless that is in the log */
};

struct room {
	char *name;
	struct bus_room bus;
	uint64_t newest_after; /* of all members */
	size_t count, size;
	struct place *places;
	/* the batch: */
	struct batched *first, *last;
	size_t entries;
	bool selective; /* an entry is not for its sender */
	struct room *next_touched;
};

static struct {
	void *by_name; /* a tsearch tree */
	struct room **by_index; /* by place in the bus's directory */
	size_t index_count;
	size_t rooms;
	struct batched entries[ENTRIES_A_BATCH];
	struct rendition renditions[DEFLATE_BITS_MAX + 1]; /* by class; of one room at a time */
	unsigned made; /* a bit for each that is there */
} rooms;

int room_init(size_t max_rooms)
{
	rooms.index_count = max_rooms;
	rooms.by_index = calloc(max_rooms, sizeof(*rooms.by_index));
	return rooms.by_index ? 0 : -1;
}

void room_fini(void)
{
	free(rooms.by_index);
	rooms.by_index = NULL;
	for (size_t i = 0; i <= DEFLATE_BITS_MAX; i++)
		buffer_free(&rooms.renditions[i].own);
}

_Noreturn void room_corrupt(void)
{
	log_err(LOG_OF(BUS_CORRUPT),
		"bus corrupt: the shared log of rooms is damaged; this worker ends "
		"and the master makes a new one");
	_exit(SESSION_EXIT_BUS_CORRUPT);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct room *)a)->name, ((const struct room *)b)->name);
}

static struct room *find(const char *name)
{
	struct room key = { .name = (char *)name };
	struct room **found = tfind(&key, &rooms.by_name, compare);

	return found ? *found : NULL;
}

static void drop(struct room *r)
{
	bus_leave(session.bus, r->bus);
	tdelete(r, &rooms.by_name, compare);
	rooms.by_index[r->bus.index] = NULL;
	rooms.rooms--;
	free(r->places);
	free(r->name);
	free(r);
}

static enum reason why_not(enum bus_result result)
{
	switch (result) {
	case BUS_FULL:
		return REASON_BUSY;
	case BUS_ROOMS_FULL:
		return REASON_ROOMS_FULL;
	default:
		room_corrupt();
	}
}

/* Makes this worker a reader of the room. NULL: *why says why not. */
static struct room *enter(const char *name, enum reason *why)
{
	struct room *r = calloc(1, sizeof(*r));
	enum bus_result result;

	*why = REASON_NO_MEMORY;
	if (!r || !(r->name = strdup(name)) || !tsearch(r, &rooms.by_name, compare))
		goto out;
	result = bus_join(session.bus, name, strlen(name), &r->bus, &r->newest_after);
	if (result != BUS_OK || r->bus.index >= rooms.index_count) {
		tdelete(r, &rooms.by_name, compare);
		*why = why_not(result);
		goto out;
	}
	rooms.by_index[r->bus.index] = r;
	rooms.rooms++;
	return r;
out:
	if (r)
		free(r->name);
	free(r);
	return NULL;
}

static bool add_place(struct room *r, struct conn *c, struct room_member *m)
{
	if (r->count == r->size) {
		size_t size = r->size ? r->size * 2 : 4;
		struct place *p = realloc(r->places, size * sizeof(*p));

		if (!p)
			return false;
		r->places = p;
		r->size = size;
	}
	r->newest_after = bus_sequence(session.bus, r->bus);
	r->places[r->count] = (struct place){ c, m, r->newest_after };
	m->room = r;
	m->index = r->count++;
	return true;
}

bool room_join(struct conn *c, struct room_member *m, struct verdict *v)
{
	enum reason why = REASON_NONE;
	struct room *r = find(c->endpoint->path);

	if (!r)
		r = enter(c->endpoint->path, &why);
	if (!r)
		return verdict_close_word(v, WS_CLOSE_TRY_AGAIN, why);
	if (add_place(r, c, m))
		return true;
	if (r->count == 0)
		drop(r);
	return verdict_close_word(v, WS_CLOSE_TRY_AGAIN, REASON_NO_MEMORY);
}

/* The last place moves into the gap. Called outside of delivery only (conn_reap). */
void room_leave(struct room_member *m)
{
	struct room *r = m->room;

	if (!r)
		return;
	m->room = NULL;
	r->count--;
	if (m->index < r->count) {
		r->places[m->index] = r->places[r->count];
		r->places[m->index].member->index = m->index;
	}
	if (r->count == 0)
		drop(r);
}

bool room_publish(struct conn *c, struct room_member *m, enum ws_opcode opcode, const void *prefix,
		  size_t prefix_len, const void *data, size_t len, bool leave_out_sender,
		  struct verdict *v)
{
	uint8_t header[WS_HEADER_MAX];
	struct bus_part parts[] = {
		{ header, ws_encode_header(header, opcode, prefix_len + len) },
		{ prefix, prefix_len },
		{ data, len },
	};
	uint64_t origin = leave_out_sender ? c->id : 0;

	switch (bus_append(session.bus, m->room->bus, BUS_KIND_MESSAGE, origin, parts, 3)) {
	case BUS_OK:
		metrics_add(&session.row->publishes, 1);
		return true;
	case BUS_FULL:
		metrics_add(&session.row->bus_full, 1);
		if (park_message(c, m->room->bus, origin, parts, 3) == 0)
			return true;
		return verdict_close_word(v, WS_CLOSE_INTERNAL, REASON_NO_MEMORY);
	case BUS_TOO_BIG:
		return verdict_close_word(v, WS_CLOSE_TOO_BIG, REASON_MESSAGE_TOO_BIG);
	default:
		room_corrupt();
	}
}

static bool is_for(const struct batched *e, const struct place *p)
{
	return e->e.sequence > p->after && (e->e.origin == 0 || e->e.origin != p->conn->id);
}

static bool is_for_all(const struct room *r, const struct place *p)
{
	for (const struct batched *e = r->first; e; e = e->next)
		if (!is_for(e, p))
			return false;
	return true;
}

/* The payload of an entry's frame: what a process put in the log is not believed. */
static struct iovec payload_of(const struct bus_entry *e)
{
	uint64_t len;
	size_t header = e->frame_len < 2 ? 0 : ws_own_header(e->frame, &len);

	if (header == 0 || header > e->frame_len || len != e->frame_len - header)
		room_corrupt();
	return (struct iovec){ (void *)(e->frame + header), (size_t)len };
}

static bool render_entry(const struct bus_entry *e, int class, const struct config_compression *k,
			 struct buffer *out)
{
	struct iovec payload;

	if (class == 0)
		return buffer_append(out, e->frame, e->frame_len);
	payload = payload_of(e);
	return compress_for_class(k, class, e->frame[0] & 0x0f, &payload, 1, out);
}

/* False: no memory. */
static bool render(struct rendition *v, const struct room *r, int class,
		   const struct config_compression *k)
{
	size_t i = 0, start = 0;

	v->own.len = 0;
	for (const struct batched *e = r->first; e; e = e->next) {
		if (!render_entry(&e->e, class, k, &v->own))
			return false;
		v->marks[i++] = link_mark(v->own.len - start, LINK_MESSAGE);
		start = v->own.len;
	}
	v->p = v->own.p;
	v->len = v->own.len;
	return true;
}

/* The batch for members such as c, made when the first of them comes. NULL: no memory. */
static const struct rendition *rendition_of(const struct room *r, const struct conn *c, int class)
{
	struct rendition *v = &rooms.renditions[class];

	if (rooms.made & 1u << class)
		return v;
	if (class == 0 && r->entries == 1) {
		v->p = r->first->e.frame;
		v->len = r->first->e.frame_len;
		v->marks[0] = link_mark(v->len, LINK_MESSAGE);
	} else if (!render(v, r, class, &c->endpoint->limits.compression)) {
		return NULL;
	}
	rooms.made |= 1u << class;
	return v;
}

static void forget_renditions(void)
{
	for (unsigned i = 0; rooms.made >> i != 0; i++)
		if (rooms.made & 1u << i)
			buffer_reset(&rooms.renditions[i].own, RENDITION_KEPT);
	rooms.made = 0;
}

/* For those to whom not all of the batch goes. */
static void deliver_selected(const struct room *r, const struct place *p, const struct rendition *v)
{
	size_t i = 0, at = 0;

	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = r->first; e; e = e->next) {
		size_t len = link_mark_length(v->marks[i++]);

		if (is_for(e, p))
			output_frame(p->conn, v->p + at, len);
		at += len;
	}
	output_uncork(p->conn);
}

/* One by one: for a member whose messages depend on each other, or when memory is short. */
static void deliver_singly(const struct room *r, const struct place *p)
{
	metrics_beat();
	output_cork(p->conn);
	for (const struct batched *e = r->first; e; e = e->next) {
		struct iovec payload;

		if (!is_for(e, p))
			continue;
		payload = payload_of(&e->e);
		output_message(p->conn, e->e.frame[0] & 0x0f, &payload, 1);
	}
	output_uncork(p->conn);
}

static void deliver_all(const struct room *r, struct conn *c, const struct rendition *v)
{
	struct iovec part = { (void *)v->p, v->len };

	output_run(c, &(struct link_run){ &part, 1, v->len, v->marks, r->entries,
					  (uint32_t)r->entries, 0 });
}

static void deliver_to(const struct room *r, const struct place *p, bool selective)
{
	int class = compress_class(p->conn);
	const struct rendition *v = class < 0 ? NULL : rendition_of(r, p->conn, class);

	if (!v)
		deliver_singly(r, p);
	else if (selective && !is_for_all(r, p))
		deliver_selected(r, p, v);
	else
		deliver_all(r, p->conn, v);
	conn_settle(p->conn);
}

/* Members are not added or removed meanwhile: what ends here is reaped later. */
static void deliver(struct room *r)
{
	bool selective = r->selective || r->newest_after >= r->first->e.sequence;

	for (size_t i = 0; i < r->count; i++) {
		/* The next one comes from memory while this one's bytes go out. */
		if (i + 1 < r->count)
			__builtin_prefetch(&r->places[i + 1].conn->link.pending);
		deliver_to(r, &r->places[i], selective);
	}
	forget_renditions();
	r->first = r->last = NULL;
	r->entries = 0;
	r->selective = false;
}

static void collect(struct room *r, struct batched *e, struct room **touched)
{
	e->next = NULL;
	if (!r->first) {
		r->first = e;
		r->next_touched = *touched;
		*touched = r;
	} else {
		r->last->next = e;
	}
	r->last = e;
	r->entries++;
	r->selective |= e->e.origin != 0;
}

bool room_deliver(void)
{
	struct room *touched = NULL;
	enum bus_result result = BUS_OK;
	uint64_t position, start;
	size_t n = 0, bytes = 0;

	if (rooms.rooms == 0)
		return false;
	start = position = bus_cursor(session.bus);
	while (n < ENTRIES_A_BATCH && bytes < BYTES_A_BATCH) {
		struct batched *e = &rooms.entries[n];
		struct room *r;

		result = bus_read(session.bus, position, &e->e);
		if (result != BUS_OK)
			break;
		position = e->e.end;
		r = e->e.room.index < rooms.index_count ? rooms.by_index[e->e.room.index] : NULL;
		if (!r || r->bus.id != e->e.room.id) {
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
		room_corrupt();
	if (position != start)
		bus_advance(session.bus, position);
	return result == BUS_OK;
}
