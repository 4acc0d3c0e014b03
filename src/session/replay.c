/*
 * replay.c - see replay.h.
 */
#include "session/replay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "bus/position.h"
#include "config/config.h"
#include "proto/refusal.h"
#include "session/conn_internal.h"
#include "session/envelope.h"
#include "session/registry.h"
#include "session/rendition.h"
#include "session/session.h"
#include "session/turn.h"

enum { COUNT_DIGITS = 9, KEPT = 8 * 1024 * 1024 };

static struct bus_entry entries[CONFIG_HISTORY_MAX];
static struct {
	const struct conn *conn; /* whose it is; NULL: nobody's */
	struct replay replay;
	bool known; /* what was asked for is a position of the room as it is */
	struct bus_past past;
	struct buffer space;
	struct buffer enveloped; /* one message */
} taken;

/* --- what is wanted --- */

static bool is(struct http_text name, const char *word)
{
	return name.len == strlen(word) && memcmp(name.p, word, name.len) == 0;
}

static bool read_since(struct http_text value, struct replay_wish *w, struct refusal *why)
{
	struct bus_position p;

	if (w->since || !bus_position_parse(value.p, value.len, &p)) {
		refusal_set(why, REASON_BAD_TARGET,
			    "since in the query is to be the position of a message, once");
		return false;
	}
	w->since = true;
	w->position = p;
	return true;
}

static bool read_count(struct http_text value, struct replay_wish *w, struct refusal *why)
{
	uint32_t count = 0;
	bool digits = value.len > 0 && value.len <= COUNT_DIGITS && !w->counts;

	for (size_t i = 0; digits && i < value.len; i++) {
		digits = value.p[i] >= '0' && value.p[i] <= '9';
		count = count * 10 + (uint32_t)(value.p[i] - '0');
	}
	if (!digits) {
		refusal_set(why, REASON_BAD_TARGET,
			    "replay in the query is to be a number of messages, once");
		return false;
	}
	w->counts = true;
	w->count = count;
	return true;
}

/* Takes what is ahead of a byte, and that, off *t. */
static struct http_text take_to(struct http_text *t, char byte)
{
	const char *end = t->len > 0 ? memchr(t->p, byte, t->len) : NULL;
	size_t n = end ? (size_t)(end - t->p) : t->len;
	struct http_text part = { t->p, n };

	t->p += n;
	t->len -= n;
	if (end) {
		t->p++;
		t->len--;
	}
	return part;
}

bool replay_read(const struct conn *c, struct http_text target, struct replay_wish *w,
		 struct refusal *why)
{
	struct http_text query = target;

	*w = (struct replay_wish){ 0 };
	if (c->endpoint->room.history == 0)
		return true;
	take_to(&query, '?');
	while (query.len > 0) {
		struct http_text value = take_to(&query, '&'), name = take_to(&value, '=');

		if (is(name, "since") && !read_since(value, w, why))
			return false;
		if (is(name, "replay") && !read_count(value, w, why))
			return false;
	}
	/* since means all */
	w->counts &= !w->since;
	return true;
}

/* --- what there is --- */

static size_t most_of(const struct config_room *k, const struct replay_wish *w)
{
	size_t most = (size_t)(w->counts ? w->count : w->since ? k->history : k->replay);

	return most < (size_t)k->history ? most : (size_t)k->history;
}

static bool copy(const struct room *r, const struct config_room *k, const struct replay_wish *w)
{
	struct bus_past *p = &taken.past;

	*p = (struct bus_past){ .entries = entries, .most = most_of(k, w) };
	p->first = p->most; /* there is none unless it is found */
	if (p->most == 0 || !buffer_reserve(&taken.space, (size_t)k->history_bytes))
		return p->most == 0;
	p->space = taken.space.p;
	p->size = (size_t)k->history_bytes;
	p->now = session_time();
	p->after = taken.known ? w->position.sequence : 0;
	switch (bus_history(session.bus, r->bus, taken.replay.newest, p)) {
	case BUS_OK:
		return true;
	case BUS_CORRUPT:
		session_bus_corrupt();
	default:
		return false;
	}
}

static bool is_message(const struct bus_entry *e)
{
	return e->meta.kind == BUS_KIND_MESSAGE || e->meta.kind == BUS_KIND_KEPT;
}

/* What there is up to the newest. */
static void take(const struct conn *c, const struct replay_wish *w, uint64_t newest)
{
	const struct room *room = c->admission->member.room;
	const struct bus_past *p = &taken.past;
	struct replay *r = &taken.replay;
	bool whole;

	taken.conn = c;
	*r = (struct replay){ .newest = newest, .from = newest, .asked = w->since };
	taken.known = w->since && bus_position_is_of(session.bus, room->bus, newest, w->position);
	whole = copy(room, &c->endpoint->room, w);
	if (p->first < p->most)
		r->from = entries[p->first].sequence - 1;
	for (size_t i = p->first; i < p->most; i++)
		r->messages += is_message(&entries[i]);
	r->recovered = taken.known && whole && r->from <= w->position.sequence;
	turn_spend_on(p->used, TURN_COPY);
	turn_spend((uint32_t)(p->most - p->first) * TURN_PASS);
}

void replay_take(const struct conn *c, const struct replay_wish *w)
{
	const struct room_member *m = &c->admission->member;

	if (c->endpoint->room.history > 0)
		take(c, w, m->room->places[m->index].after);
}

void replay_take_answer(const struct conn *c, const struct replay_wish *w)
{
	take(c, w, bus_sequence(session.bus, c->admission->member.room->bus));
	taken.replay.answer = true;
}

void replay_forget(void)
{
	taken.conn = NULL;
}

void replay_fini(void)
{
	buffer_free(&taken.space);
	buffer_free(&taken.enveloped);
	taken.conn = NULL;
}

bool replay_of(const struct conn *c, struct replay *r)
{
	if (taken.conn != c)
		return false;
	*r = taken.replay;
	return true;
}

size_t replay_write_headers(const struct conn *c, char out[REPLAY_HEADERS_MAX])
{
	char position[BUS_POSITION_SIZE];
	size_t n;

	*out = '\0';
	if (taken.conn != c)
		return 0;
	bus_position_format((struct bus_position){ bus_epoch(session.bus), taken.replay.newest },
			    position);
	n = (size_t)snprintf(out, REPLAY_HEADERS_MAX, "Ignyx-Position: %s\r\n", position);
	if (taken.replay.asked)
		n += (size_t)snprintf(out + n, REPLAY_HEADERS_MAX - n, "Ignyx-Recovered: %s\r\n",
				      taken.replay.recovered ? "true" : "false");
	return n;
}

/* --- sending --- */

static void send_enveloped(struct conn *c, const struct envelope *v, const struct bus_entry *e)
{
	struct buffer *b = &taken.enveloped;
	struct enveloped x;

	envelope_measure(&x, v, e);
	b->len = 0;
	if (!buffer_reserve(b, x.size)) {
		link_fail(&c->link, ENOMEM);
		return;
	}
	envelope_write(b->p, v, &x);
	turn_spend_on(x.size, TURN_KEEP);
	output_text(c,
		    taken.replay.answer ? link_mark(0, LINK_TOLD)
					: link_mark_numbered(0, e->sequence),
		    b->p, x.size);
}

static void send_one(struct conn *c, const struct bus_entry *e)
{
	const struct room_member *m = &c->admission->member;
	struct iovec payload = rendition_payload(e);

	metrics_beat();
	turn_spend_on(payload.iov_len, TURN_COPY);
	if (m->json)
		send_enveloped(c, &m->room->envelope, e);
	else
		conn_send(c, e->frame[0] & 0x0f, NULL, 0, payload.iov_base, payload.iov_len);
}

void replay_send(struct conn *c)
{
	const struct bus_past *p = &taken.past;

	if (taken.conn != c)
		return;
	for (size_t i = p->first; i < p->most; i++)
		if (is_message(&entries[i]))
			send_one(c, &entries[i]);
	buffer_reset(&taken.space, KEPT);
	buffer_reset(&taken.enveloped, KEPT);
	taken.conn = NULL;
}
