/*
 * park.c - messages that wait for space in the bus.
 *
 * A room's publisher is held up while the bus is full, and nobody else: its message is kept
 * here, the input behind it as well, and it is not read from until it has gone on. Those that
 * wait go on in the order in which they came.
 */
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/bytes.h"
#include "session/conn_internal.h"
#include "session/registry.h"
#include "session/session.h"

struct conn_parked {
	struct conn *conn;
	TAILQ_ENTRY(conn_parked) entry;
	struct bus_room room;
	struct bus_meta meta;
	size_t frame_len, rest_len;
	uint8_t *frame, *rest; /* rest: input behind the message, NULL: none */
};

static TAILQ_HEAD(parked_list, conn_parked) parked = TAILQ_HEAD_INITIALIZER(parked);

int park_message(struct conn *c, struct bus_room room, const struct bus_meta *meta,
		 const struct bus_part *parts, int count)
{
	struct conn_parked *pk = conn_need_extra(c) ? calloc(1, sizeof(*pk)) : NULL;

	if (!pk)
		return -1;
	for (int i = 0; i < count; i++)
		pk->frame_len += parts[i].len;
	pk->frame = block_resize(NULL, 0, 0, pk->frame_len);
	if (!pk->frame) {
		free(pk);
		return -1;
	}
	for (size_t i = 0, at = 0; i < (size_t)count; at += parts[i++].len)
		bytes_copy(pk->frame + at, parts[i].p, parts[i].len);
	pk->conn = c;
	pk->room = room;
	pk->meta = *meta;
	c->extra->parked = pk;
	c->parked = true;
	TAILQ_INSERT_TAIL(&parked, pk, entry);
	return 0;
}

bool park_rest(struct conn *c, const uint8_t *p, size_t len)
{
	struct conn_parked *pk = c->extra->parked;

	if (len == 0)
		return true;
	pk->rest = block_resize(NULL, 0, 0, len);
	if (!pk->rest)
		return false;
	memcpy(pk->rest, p, len);
	pk->rest_len = len;
	return true;
}

void park_forget(struct conn *c)
{
	struct conn_parked *pk;

	if (!c->parked)
		return;
	pk = c->extra->parked;
	c->extra->parked = NULL;
	c->parked = false;
	TAILQ_REMOVE(&parked, pk, entry);
	block_free(pk->frame, pk->frame_len);
	block_free(pk->rest, pk->rest_len);
	free(pk);
}

static void let_go_on(struct conn_parked *pk, void (*resume)(struct conn *, uint8_t *, size_t))
{
	struct conn *c = pk->conn;
	uint8_t *rest = pk->rest;
	size_t len = pk->rest_len;

	pk->rest = NULL;
	pk->rest_len = 0;
	park_forget(c);
	resume(c, rest, len);
	block_free(rest, len);
}

bool park_retry(void (*resume)(struct conn *c, uint8_t *rest, size_t len))
{
	struct conn_parked *pk, *last = TAILQ_LAST(&parked, parked_list);

	while ((pk = TAILQ_FIRST(&parked))) {
		struct bus_part part = { pk->frame, pk->frame_len };
		bool end = pk == last;

		metrics_beat();
		switch (bus_append(session.bus, pk->room, &pk->meta, &part, 1)) {
		case BUS_OK:
			metrics_add(&session.row->publishes, 1);
			let_go_on(pk, resume);
			break;
		case BUS_FULL:
			return true;
		default:
			session_bus_corrupt();
		}
		if (end)
			break;
	}
	return !TAILQ_EMPTY(&parked);
}
