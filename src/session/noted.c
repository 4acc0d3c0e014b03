/*
 * noted.c - see noted.h.
 */
#include "session/noted.h"

#include <string.h>

#include "base/chronicle.h"
#include "base/log.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"

/* The tick may be older than the opening. */
enum { TICK_BEHIND = 60000 };

static struct chronicle_entry entry(const struct conn *c, enum log_event event, const char *what)
{
	struct chronicle_entry e = { .time = session.ticked,
				     .conn = c->id,
				     .port = c->peer.port,
				     .family = c->peer.family,
				     .event = (uint8_t)event };

	memcpy(e.address, c->peer.address, sizeof(e.address));
	chronicle_put_texts(&e, what, c->extra ? c->extra->client : NULL);
	chronicle_put_user(&e, conn_user(c));
	/* elsewhere the path of the endpoint is the room */
	if (c->endpoint && c->endpoint->placeholders)
		chronicle_put_room(&e, conn_room(c));
	return e;
}

void noted_opened(const struct conn *c)
{
	const struct chronicle_entry e = entry(c, LOG_EVENT_CONN_OPEN, c->endpoint->path);

	chronicle_write(session.chronicle, CHRONICLE_OPENS, &e);
}

static uint32_t duration(const struct conn *c)
{
	uint32_t ms = session.ticked_at - c->opened;

	return ms > UINT32_MAX - TICK_BEHIND ? 0 : ms;
}

void noted_ended(const struct conn *c)
{
	struct chronicle_entry e = entry(c, LOG_EVENT_CONN_CLOSE, c->endpoint->path);

	e.reason = c->reason;
	e.code = (uint16_t)conn_close_code(c);
	e.duration = duration(c);
	e.messages_in = c->messages_in;
	e.bytes_in = c->bytes_in;
	e.messages_out = c->link.messages;
	e.bytes_out = c->link.bytes;
	chronicle_write(session.chronicle, CHRONICLE_ENDS, &e);
}

void noted_refused(const struct conn *c, enum reason reason, int status, const char *path)
{
	const char *endpoint = c->endpoint ? c->endpoint->path : NULL;
	struct chronicle_entry e = entry(c, LOG_EVENT_CONN_REFUSED, endpoint ? endpoint : path);

	e.reason = (uint8_t)reason;
	e.code = (uint16_t)status;
	e.asked = !endpoint;
	chronicle_write(session.chronicle, CHRONICLE_REFUSALS, &e);
}
