/*
 * park.c - input that waits.
 *
 * A room's publisher is held up while the bus is full, and nobody else: its message is kept
 * here, the input behind it as well, and it is not read from until it has gone on. The same where its
 * room has had as many as its rate allows. Those that wait for the bus go on in the order in which they came, for each room by itself: the bus may be full
 * for one and have space for another.
 *
 * Whoever sends more at once than its share of a turn is held up as well, so that others do not
 * wait for it: what it has not got through is kept here, up to its next turn. These stand in a
 * queue: the first gets its share and goes to the end. So does a text that is checked slice by slice.
 *
 * Who came when the turn was over, and has not had a share, does not wait for all of them: such
 * stand in a line of their own, which comes first; but not twice in a row, so that nobody who comes
 * again and again holds up the others by it.
 *
 * Where not all that were ready had their turn, who filled its last read, or is amid a long message, is not
 * even read from before it is the first of those that had a share; nor, before it is the first of the fresh ones, is
 * who has said nothing yet. So whoever is known to say little waits for none of them.
 *
 * Either way it is what one read had at the most, and is copied once: it lies still while it is
 * gone through, share by share.
 */
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "base/block.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/session.h"
#include "session/turn.h"

struct conn_parked {
	struct conn *conn; /* NULL: it has no use for it any more */
	TAILQ_ENTRY(conn_parked) entry;
	struct parked_list *line; /* in which it stands if it has no message */
	struct turn_wait wait; /* in that of those that can go on */
	struct room *room; /* for which it has a message */
	struct bus_meta meta;
	bool owes; /* a token of the room's rate */
	size_t frame_len;
	uint8_t *frame; /* waits for space in the bus; NULL: nothing does */
	struct conn_text *text; /* is being checked; NULL: none is */
	bool fresh; /* it has not had a share yet */
	size_t rest_at, rest_len; /* input behind it: rest[rest_at..rest_len) */
	uint8_t *rest; /* NULL: none */
};

/*
 * Those that go on as soon as it is their turn: fresh ones, and those that had a share. A message
 * waits in its room's list (r->waiting).
 */
static struct parked_list fresh = TAILQ_HEAD_INITIALIZER(fresh);
static struct parked_list for_turn = TAILQ_HEAD_INITIALIZER(for_turn);

/* How many stand in these two. */
static unsigned in_line;

/* The last one that went on was fresh. */
static bool fresh_was_last;

/* Those whose output is to be compressed that far first. */
static struct parked_list for_output = TAILQ_HEAD_INITIALIZER(for_output);

/* Those whose message is over their rate (timer.c). */
static struct parked_list for_token = TAILQ_HEAD_INITIALIZER(for_token);

/* The rooms in which one waits. */
static TAILQ_HEAD(room_list, room) rooms = TAILQ_HEAD_INITIALIZER(rooms);

/* The one that goes on, which stands in neither. */
static struct conn_parked *current;

/* What is gone on with where nothing is behind the message. */
static uint8_t nothing[1];

static void wait_for_space(struct conn_parked *pk)
{
	struct room *r = pk->room;

	if (TAILQ_EMPTY(&r->waiting))
		TAILQ_INSERT_TAIL(&rooms, r, with_waiting);
	TAILQ_INSERT_TAIL(&r->waiting, pk, entry);
}

static void end_waiting(struct conn_parked *pk)
{
	struct room *r = pk->room;

	TAILQ_REMOVE(&r->waiting, pk, entry);
	if (TAILQ_EMPTY(&r->waiting))
		TAILQ_REMOVE(&rooms, r, with_waiting);
}

/* Those in one of the others are not up to us. */
static bool is_turn(const struct parked_list *line)
{
	return line == &fresh || line == &for_turn;
}

static struct parked_list *line_of(const struct conn_parked *pk)
{
	if (pk->text && pk->text->early && pk->text->due != 0)
		return &for_token;
	return output_is_behind(pk->conn) ? &for_output : pk->fresh ? &fresh : &for_turn;
}

static void wait_for_turn(struct conn_parked *pk)
{
	pk->line = line_of(pk);
	TAILQ_INSERT_TAIL(pk->line, pk, entry);
	if (!is_turn(pk->line))
		return;
	in_line++;
	turn_counters_wait(LINE_INPUT, &pk->wait);
}

static void end_waiting_for_turn(struct conn_parked *pk)
{
	TAILQ_REMOVE(pk->line, pk, entry);
	if (!is_turn(pk->line))
		return;
	in_line--;
	turn_counters_serve(LINE_INPUT, &pk->wait);
}

static void stand_in_line(struct conn_parked *pk)
{
	if (pk == current)
		return;
	if (pk->frame)
		wait_for_space(pk);
	else
		wait_for_turn(pk);
}

static void leave_line(struct conn_parked *pk)
{
	if (pk == current)
		return;
	if (pk->frame)
		end_waiting(pk);
	else
		end_waiting_for_turn(pk);
}

static void free_frame(struct conn_parked *pk)
{
	account_give(pk->frame_len);
	block_free(pk->frame, pk->frame_len);
	pk->frame = NULL;
	pk->frame_len = 0;
}

static void free_rest(struct conn_parked *pk)
{
	account_give(pk->rest_len);
	block_free(pk->rest, pk->rest_len);
	pk->rest = NULL;
	pk->rest_at = pk->rest_len = 0;
}

static void free_parked(struct conn_parked *pk)
{
	free_frame(pk);
	park_free_text(pk->text);
	free_rest(pk);
	free(pk);
}

/* That of c, which stands nowhere if it is new. NULL: no memory. */
static struct conn_parked *need(struct conn *c)
{
	struct conn_parked *pk;

	if (c->parked)
		return c->extra->parked;
	pk = conn_need_extra(c) ? calloc(1, sizeof(*pk)) : NULL;
	if (!pk)
		return NULL;
	pk->conn = c;
	c->extra->parked = pk;
	c->parked = true;
	return pk;
}

/* c has nothing of it any more. What is gone through at the moment is freed when that is over. */
static void part(struct conn *c)
{
	struct conn_parked *pk = c->extra->parked;

	c->extra->parked = NULL;
	c->parked = false;
	pk->conn = NULL;
	if (pk != current)
		free_parked(pk);
}

size_t park_bytes(const struct conn *c)
{
	const struct conn_parked *pk = c->parked ? c->extra->parked : NULL;

	return pk ? pk->frame_len + pk->rest_len + (pk->text ? pk->text->bytes.len : 0) : 0;
}

bool park_has_message(const struct conn *c)
{
	return c->extra->parked->frame;
}

int park_message(struct conn *c, struct room *room, const struct bus_meta *meta,
		 const struct bus_part *parts, int count, bool owes)
{
	struct conn_parked *pk = need(c);
	size_t len = 0;

	if (!pk)
		return -1;
	for (int i = 0; i < count; i++)
		len += parts[i].len;
	pk->frame = block_resize(NULL, 0, 0, len);
	if (!pk->frame) {
		if (pk != current)
			part(c);
		return -1;
	}
	account_take(len);
	pk->frame_len = len;
	turn_spend_on(len, TURN_KEEP);
	for (size_t i = 0, at = 0; i < (size_t)count; at += parts[i++].len)
		bytes_copy(pk->frame + at, parts[i].p, parts[i].len);
	pk->room = room;
	pk->meta = *meta;
	pk->owes = owes;
	stand_in_line(pk);
	return 0;
}

bool park_text(struct conn *c, struct conn_text *t)
{
	struct conn_parked *pk = need(c);

	if (!pk)
		return false;
	pk->text = t;
	stand_in_line(pk);
	return true;
}

struct conn_text *park_text_of(const struct conn *c)
{
	return c->extra->parked->text;
}

struct conn_text *park_take_text(struct conn *c)
{
	struct conn_text *t = c->extra->parked->text;

	c->extra->parked->text = NULL;
	return t;
}

bool park_is_early(const struct conn *c, uint32_t *due)
{
	const struct conn_text *t = c->parked ? park_text_of(c) : NULL;

	if (!t || !t->early || t->due == 0)
		return false;
	*due = t->due;
	return true;
}

void park_due(struct conn *c)
{
	leave_line(c->extra->parked);
	park_text_of(c)->due = 0;
	stand_in_line(c->extra->parked);
}

void park_free_text(struct conn_text *t)
{
	if (!t)
		return;
	account_give(t->bytes.len);
	buffer_free(&t->bytes);
	free(t);
}

static bool copy_rest(struct conn_parked *pk, const uint8_t *p, size_t len)
{
	if (len == 0)
		return true;
	pk->rest = block_resize(NULL, 0, 0, len);
	if (!pk->rest)
		return false;
	turn_spend_on(len, TURN_KEEP);
	memcpy(pk->rest, p, len);
	account_take(len);
	pk->rest_len = len;
	return true;
}

bool park_rest(struct conn *c, const uint8_t *p, size_t len, bool is_fresh)
{
	bool has_place = c->parked;
	struct conn_parked *pk = need(c);

	if (!pk)
		return false;
	if (!copy_rest(pk, p, len)) {
		if (!has_place)
			part(c);
		return false;
	}
	if (has_place)
		return true;
	pk->fresh = is_fresh;
	stand_in_line(pk);
	return true;
}

bool park_reading(struct conn *c, bool is_fresh)
{
	return park_rest(c, NULL, 0, is_fresh);
}

void park_forget(struct conn *c)
{
	if (!c->parked)
		return;
	leave_line(c->extra->parked);
	part(c);
}

void park_forget_message(struct conn *c)
{
	struct conn_parked *pk = c->parked ? c->extra->parked : NULL;

	if (!pk || (!pk->frame && !pk->text))
		return;
	leave_line(pk);
	free_frame(pk);
	park_free_text(park_take_text(c));
	stand_in_line(pk);
}

void park_caught_up(struct conn *c)
{
	if (!c->parked || park_has_message(c))
		return;
	leave_line(c->extra->parked);
	stand_in_line(c->extra->parked);
}

static struct conn_parked *first_in_line(void)
{
	struct conn_parked *pk = TAILQ_FIRST(&fresh), *other = TAILQ_FIRST(&for_turn);

	return pk && (!fresh_was_last || !other) ? pk : other;
}

struct conn *park_take(uint8_t **rest, uint8_t **end)
{
	struct conn_parked *pk;

	if (in_line == 0)
		return NULL;
	pk = first_in_line();
	leave_line(pk);
	current = pk;
	fresh_was_last = pk->fresh;
	pk->fresh = false;
	*rest = pk->rest ? pk->rest + pk->rest_at : nothing;
	*end = pk->rest ? pk->rest + pk->rest_len : nothing;
	return pk->conn;
}

void park_put_back(const uint8_t *rest)
{
	struct conn_parked *pk = current;

	current = NULL;
	if (!pk->conn) {
		free_parked(pk);
		return;
	}
	if (rest && pk->rest)
		pk->rest_at = (size_t)(rest - pk->rest);
	if (!rest || pk->rest_at == pk->rest_len)
		free_rest(pk);
	if (rest)
		stand_in_line(pk);
	else
		part(pk->conn);
}

unsigned park_in_line(void)
{
	return in_line;
}

/* A token is taken once, however often there is no space then. */
static bool has_token(struct conn_parked *pk)
{
	const struct rate_size *size = &pk->conn->endpoint->room_rate;

	if (pk->owes)
		pk->owes = bus_take_token(session.bus, pk->room->bus, size, turn_time()) > 0;
	return !pk->owes;
}

/*
 * In order, up to the first for which there is no space: there is none for those behind it, either.
 * Or up to the end of the turn: who has put its message into the log by then has another at once.
 * False: there are some that were not tried.
 */
static bool retry_room(struct room *r)
{
	struct conn_parked *pk;

	while ((pk = TAILQ_FIRST(&r->waiting))) {
		struct bus_part all = { pk->frame, pk->frame_len };

		metrics_beat();
		if (!has_token(pk)) {
			turn_spend(TURN_PASS);
			return true;
		}
		switch (bus_append(session.bus, r->bus, &pk->meta, &all, 1)) {
		case BUS_OK:
			metrics_add(&session.row->publishes, 1);
			turn_spend(turn_cost_of(pk->frame_len, TURN_PUBLISH));
			pk->conn->last_data = session.now;
			park_forget_message(pk->conn);
			break;
		case BUS_FULL:
			metrics_add(&session.row->bus_full, 1);
			turn_spend(TURN_PASS);
			return true;
		default:
			session_bus_corrupt();
		}
		if (turn_is_over())
			return TAILQ_EMPTY(&r->waiting);
	}
	return true;
}

/* The next one begins behind the room where this one ends. */
enum park_retried park_retry(void)
{
	struct room *last, *r = NULL;
	bool cut = false;

	if (TAILQ_EMPTY(&rooms))
		return PARK_NONE;
	last = TAILQ_LAST(&rooms, room_list);
	turn_go_on(TURN_WAITING);
	bus_want_nothing(session.bus);
	while (r != last && !cut) {
		r = TAILQ_FIRST(&rooms);
		cut = !retry_room(r) || (r != last && turn_is_over());
		if (TAILQ_EMPTY(&r->waiting))
			continue;
		TAILQ_REMOVE(&rooms, r, with_waiting);
		TAILQ_INSERT_TAIL(&rooms, r, with_waiting);
	}
	if (TAILQ_EMPTY(&rooms))
		return PARK_NONE;
	return cut ? PARK_UNTRIED : PARK_WAITING;
}
