/*
 * announcing.c - see announcing.h.
 *
 * Nothing is written to the log for it, and nothing is kept of what happened: for each room a worker
 * remembers what it last told its members, compares it with what is so now (attendance.h), and tells
 * the difference. So however many come and go meanwhile, it is one event; a worker that dies takes no
 * event with it, for the others see that its members are not there; and what is told last is what is so.
 *
 * Users who are missing have gone only when presence_grace is over. Up to then they are in what is so
 * (attendance.c), and the room is passed by with every tick, to be compared when that is over for the first
 * of them.
 *
 * No policy drops what is told, so who has not taken the last of it yet is not told more: it, too, is
 * apart up to another event, as often as need be.
 *
 * Who joins, or asks, is told what is so at that moment, which is something else than what the others
 * know. It is apart: with the next event it gets all that is so, instead of a difference to what it was
 * never told, and nothing if that is what it knows.
 *
 *	change			most members get	those apart get
 *	who is there		leave, join		presence, if they know something else
 *	how many, not listed	leave or join		the same
 *	listed or not any more	presence		the same
 *
 * Who is being told is as far as `reached` in the order of places. Members who leave may bring others
 * to places ahead of it, so it goes back (registry.c), and those that have the event are passed over.
 */
#include "session/announcing.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/counted.h"
#include "bus/presence.h"
#include "config/config.h"
#include "session/announced.h"
#include "session/attendance.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/session.h"
#include "session/turn.h"

/* ROOMS: that are looked at in one tick; the manual says so. KEPT: bytes of memory. */
enum { ROOMS = 4096, KEPT = 64 * 1024 };

/* Of batches on the shelf of a room: each other than those of delivery.c. */
enum { KIND_CHANGED = 2 * (DEFLATE_BITS_MAX + 1), KIND_WHOLE = 3 * (DEFLATE_BITS_MAX + 1) };

/* Rooms are looked at in rounds, of which a tick has as much as ROOMS. */
static struct {
	uint64_t changes; /* of all rooms, as the round began */
	size_t left, this_tick; /* rooms that are still to be looked at */
	struct attendance now;
	struct buffer text;
	struct bus_who *some; /* for CONFIG_PRESENCE_MAX of them; NULL: none yet */
} announcing;

/* --- frames --- */

static bool write_text(const struct room *r, const char *type)
{
	buffer_reset(&announcing.text, KEPT);
	return envelope_begin(&r->envelope, type, &announcing.text);
}

/* What was written becomes a frame, behind those that there are. */
static bool put_frame(struct announcement *a)
{
	struct buffer *text = &announcing.text;
	struct batch *b = &a->batch;
	uint8_t header[WS_HEADER_MAX];
	size_t n;

	if (!buffer_append(text, "}", 1))
		return false;
	n = ws_encode_header(header, WS_TEXT, text->len);
	if (!counted_resize(&b->frames, b->bytes, b->bytes + n + text->len))
		return false;
	bytes_copy(bytes_copy(b->frames->bytes + b->bytes, header, n), text->p, text->len);
	/* it is for all of them, and no message of the log is after it */
	a->frames[b->entries++].e =
		(struct bus_entry){ .sequence = UINT64_MAX, .frame_len = n + text->len };
	b->bytes += n + text->len;
	turn_spend_on(n + text->len, TURN_KEEP);
	return true;
}

/* Frames may have moved up to here. */
static void seal(struct announcement *a, int kind)
{
	struct batch *b = &a->batch;

	if (b->entries > 0)
		batch_link(b, a->frames, b->frames->bytes);
	b->told = true;
	a->renditions.kind = kind;
}

/* All that is so. */
static bool put_all(struct announcement *a, const struct room *r, const char *type)
{
	return write_text(r, type) && attendance_append(&announcing.text, &announcing.now) &&
	       put_frame(a);
}

/* Those who are in x and not in y; if there are none, no frame. */
static bool put_some(struct announcement *a, const struct room *r, const char *type,
		     const struct attendance *x, const struct attendance *y)
{
	const size_t count = attendance_more(x, y, announcing.some);

	return count == 0 || (write_text(r, type) &&
			      attendance_append_some(&announcing.text, announcing.now.members,
						     announcing.some, count) &&
			      put_frame(a));
}

static bool put_changed(struct announcement *a, const struct announced *x)
{
	const struct attendance *now = &announcing.now, *told = &x->told;

	if (now->listed != told->listed)
		return put_all(a, x->room, "presence");
	if (!now->listed)
		return put_all(a, x->room, now->members > told->members ? "join" : "leave");
	return put_some(a, x->room, "leave", told, now) && put_some(a, x->room, "join", now, told);
}

/* changed: for those who are not apart there is something. False: no memory. */
static bool make_frames(struct announced *x, bool changed)
{
	if (!announcing.some &&
	    !(announcing.some = malloc(CONFIG_PRESENCE_MAX * sizeof(*announcing.some))))
		return false;
	if ((changed && !put_changed(&x->changed, x)) ||
	    (x->some_apart && !put_all(&x->whole, x->room, "presence")))
		return false;
	seal(&x->changed, KIND_CHANGED);
	seal(&x->whole, KIND_WHOLE);
	x->changed.renditions.shelf = x->whole.renditions.shelf = &x->room->shelf;
	return true;
}

/* --- telling --- */

/* NULL: nothing. */
static struct announcement *what_for(struct announced *x, const struct announced_to *to)
{
	if (!to->apart)
		return x->changed.batch.entries > 0 ? &x->changed : NULL;
	return to->knows == x->told.mark ? NULL : &x->whole;
}

/* False: it takes more than this turn. */
static bool tell(struct announced *x, const struct place *p)
{
	struct announced_to *to = &p->member->told;
	struct announcement *a = what_for(x, to);

	if (a && output_told_waits(p->conn) > 0) {
		announced_put_off(x, to);
		return true;
	}
	if (a) {
		turn_spend(turn_cost_of(a->batch.bytes, TURN_COPY) + TURN_CALL);
		if (!delivery_send(&a->batch, &a->renditions, p))
			return false;
	}
	to->apart = false;
	to->event = x->event;
	return true;
}

/* Goes on with those who are still to be told, at least with one. Whether all are. */
static bool tell_some(struct announced *x)
{
	struct room *r = x->room;

	while (x->reached < r->count) {
		const struct place *p = &r->places[x->reached];

		turn_spend(TURN_PASS);
		if (p->member->json && p->member->told.event != x->event && !tell(x, p))
			return false;
		x->reached++;
		if (turn_is_over() && x->reached < r->count)
			return false;
	}
	delivery_count(r, &x->changed.renditions);
	delivery_count(r, &x->whole.renditions);
	announced_end_event(x);
	return true;
}

/* --- rooms --- */

/* Ticks. */
static uint32_t pause_of(const struct config_room *settings)
{
	const int64_t tick = (int64_t)SESSION_TICK * 1000000;

	return (uint32_t)((settings->presence_rate + tick - 1) / tick);
}

/* What is so now is what they know, and who of them has gone since when. */
static void take_over(struct announced *x)
{
	const struct attendance told = x->told;

	x->told = announcing.now;
	announcing.now = told;
}

/* False: it could not be done now. */
static bool compare(struct announced *x, const struct config_room *settings)
{
	const bool sure = attendance_read(&announcing.now, x->room->bus, settings, &x->told);
	const bool changed = announcing.now.mark != x->told.mark;
	const bool event = sure && (changed || x->some_apart);

	x->again = !sure;
	if (event && !make_frames(x, changed)) {
		announced_end_event(x);
		x->again = true;
	}
	if (x->again)
		return false;
	take_over(x);
	if (event) {
		announced_begin_event(x);
		x->next = session.now + pause_of(settings);
	}
	return true;
}

/* Whether there is something to be told, or may be. */
static bool is_to_be_compared(const struct announced *x, const struct config_room *settings)
{
	return x->again || x->told.changes != bus_changes(session.bus, x->room->bus) ||
	       attendance_is_over(&x->told, settings);
}

/* Of a room of which no event is under way. False: it is to be looked at with the next tick. */
static bool look(struct announced *x)
{
	const struct config_room *settings = &x->room->places[0].conn->endpoint->room;

	turn_spend(TURN_PASS);
	if (!is_to_be_compared(x, settings))
		return x->told.gone == 0;
	/* or it is being moved, by a reload */
	if ((int32_t)(session.now - x->next) < 0 || settings->presence == PRESENCE_NONE)
		return false;
	return compare(x, settings) && x->told.gone == 0;
}

void announcing_tick(void)
{
	const uint64_t changes = announced_all.rooms > 0 ? bus_all_changes(session.bus) : 0;

	if (announcing.left == 0) {
		if (!announced_all.due && changes == announcing.changes)
			return;
		announcing.changes = changes;
		announced_all.due = false;
		announcing.left = announced_all.rooms;
	}
	announcing.this_tick = announcing.left < ROOMS ? announcing.left : ROOMS;
}

/* The one whose event is under way, or the next one. NULL: there is none. */
static struct announced *next(void)
{
	if (announced_all.telling)
		return announced_all.telling;
	if (announcing.this_tick == 0)
		return NULL;
	announcing.this_tick--;
	announcing.left--;
	return announced_next();
}

bool announcing_go_on(void)
{
	struct announced *x;

	while ((x = next())) {
		if (x != announced_all.telling && !look(x))
			announced_all.due = true;
		if (x == announced_all.telling && !tell_some(x))
			return true;
		if (turn_is_over())
			break;
	}
	return announcing.this_tick > 0;
}

void announcing_fini(void)
{
	attendance_free(&announcing.now);
	buffer_free(&announcing.text);
	free(announcing.some);
	announcing.some = NULL;
	attendance_fini();
	announcing.left = announcing.this_tick = 0;
	announcing.changes = 0;
}
