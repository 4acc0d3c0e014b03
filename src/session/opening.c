/*
 * opening.c - what a connection sends ahead of its messages: a PROXY header, and the request
 * head. See opening.h.
 *
 * Not a byte behind a PROXY header may be taken out of the socket, for TLS reads that itself. So
 * bytes are looked at first, and taken when it is known that they belong to it.
 *
 * A head that comes in one piece, as nearly all do, is read where it lies. Only one that does
 * not is gathered.
 */
#include "session/opening.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proto/proxy.h"
#include "session/client.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/session.h"

enum { WAITING_MAX = 64 };

/* Those that ended wait for the next connections, in a list by way of `next`. */
static struct opening *waiting;
static unsigned waiting_count;

static struct opening *take(void)
{
	struct opening *o = waiting;

	if (!o)
		return malloc(sizeof(*o));
	waiting = o->next;
	waiting_count--;
	return o;
}

static void give_back(struct opening *o)
{
	if (waiting_count == WAITING_MAX) {
		free(o);
		return;
	}
	o->next = waiting;
	waiting = o;
	waiting_count++;
}

void opening_fini(void)
{
	while (waiting)
		free(take());
}

bool opening_begin(struct conn *c, struct listener *l)
{
	struct opening *o = take();

	if (!o)
		return false;
	*o = (struct opening){ .listener = listener_ref(l), .began = session_clock_us() };
	c->opening = o;
	return true;
}

void opening_end(struct conn *c)
{
	struct opening *o = c->opening;

	if (!o)
		return;
	awaiting_end(c);
	crowd_leave(c);
	opening_wait_no_more(o);
	listener_unref(o->listener);
	if (o->proxy)
		free(o->proxy);
	opening_free_head(o->head);
	give_back(o);
	c->opening = NULL;
}

static enum opening_step gone(struct refusal *why, enum reason reason)
{
	why->reason = reason;
	return OPENING_GONE;
}

static enum opening_step refuse(struct refusal *why, enum reason reason)
{
	refusal_plain(why, reason);
	return OPENING_REFUSE;
}

/* --- the PROXY header --- */

/* Keeps what is known of a header that goes on. */
static enum opening_step wait_for_proxy(struct opening *o, const struct proxy_reader *r,
					struct refusal *why)
{
	if (!o->proxy)
		o->proxy = malloc(sizeof(*o->proxy));
	if (!o->proxy)
		return gone(why, REASON_NO_MEMORY);
	*o->proxy = *r;
	return OPENING_WAIT;
}

/* Who goes away without a word is no proxy, but a check whether we are there. */
enum opening_step opening_read_proxy(struct conn *c, struct refusal *why)
{
	struct opening *o = c->opening;
	struct proxy_reader r = { .step = 0 };
	uint8_t bytes[4096];
	ssize_t n = transport_peek(&c->link.transport, bytes, sizeof(bytes)), used;

	if (n < 0 && transport_is_temporary(errno))
		return OPENING_WAIT;
	if (n <= 0)
		return gone(why, n == 0 ? REASON_PEER_GONE : REASON_RESET);
	if (!listener_trusts(o->listener, c->peer.family, c->peer.address))
		return refuse(why, REASON_UNTRUSTED_PROXY);
	if (o->proxy)
		r = *o->proxy;
	used = proxy_read(&r, bytes, (size_t)n);
	if (used == PROXY_BAD)
		return refuse(why, REASON_BAD_PROXY_HEADER);
	if (!transport_skip(&c->link.transport, (size_t)used))
		return gone(why, REASON_RESET);
	if (!r.done)
		return wait_for_proxy(o, &r, why);
	client_by_proxy(c, &r.header);
	return OPENING_GO;
}

/* --- the request head --- */

/* Who sends it byte by byte is not to cost more than who does not: its space doubles. */
static struct opening_head *grow(struct opening_head *head, size_t len)
{
	size_t size = head ? 2 * head->size : 0;
	struct opening_head *grown;

	size = size > len ? size : len;
	grown = realloc(head, sizeof(*grown) + size);
	if (!grown)
		return NULL;
	if (!head)
		memset(grown, 0, sizeof(*grown));
	grown->size = size;
	return grown;
}

/* Joins bytes to the head. False: no memory. */
static bool gather(struct opening *o, const void *p, size_t n)
{
	struct opening_head *head = o->head;
	size_t had = head ? head->len : 0;

	if (!head || had + n > head->size)
		head = grow(head, had + n);
	if (!head)
		return false;
	o->head = head;
	memcpy(head->bytes + had, p, n);
	head->len = had + n;
	return true;
}

/* There may be a password in it. */
void opening_free_head(struct opening_head *head)
{
	if (!head)
		return;
	explicit_bzero(head->bytes, head->len);
	free(head);
}

bool opening_keep(struct conn *c, const uint8_t *p, const struct opening_request *rq)
{
	struct opening *o = c->opening;

	if (!o->head && !gather(o, p, (size_t)(rq->end - p)))
		return false;
	o->head->progress = (struct http_progress){ 0 };
	return true;
}

struct opening_head *opening_take_head(struct conn *c)
{
	struct opening_head *head = c->opening->head;

	c->opening->head = NULL;
	return head;
}

void opening_route(struct conn *c, const struct upgrade *up)
{
	struct config_route route;

	config_route(session.config, up, &route);
	conn_set_endpoint(c, route.endpoint);
}

/* Once the request line has come, its endpoint's handshake_timeout is the one that counts. */
static void note_endpoint(struct conn *c, const struct http_head *h)
{
	struct upgrade up;
	struct refusal why;

	/* What is wrong with it is told when the head is whole. */
	if (upgrade_parse_line(h, &up, &why) < 0)
		return;
	opening_route(c, &up);
	if (c->endpoint)
		timer_update(c);
}

static enum opening_step wait_for_head(struct conn *c, const uint8_t *p, size_t n,
				       const struct http_progress *progress,
				       const struct http_head *h, struct refusal *why)
{
	struct opening *o = c->opening;
	size_t lines = o->head ? o->head->progress.lines : 0;

	if (!o->head && !gather(o, p, n))
		return gone(why, REASON_NO_MEMORY);
	o->head->progress = *progress;
	if (lines == 0 && progress->lines > 0)
		note_endpoint(c, h);
	return OPENING_WAIT;
}

/* What is known of a head that lies from p to its rest. */
static enum opening_step understand(struct opening_request *rq, const uint8_t *p,
				    struct refusal *why)
{
	if (upgrade_parse(&rq->head, &rq->up, why) == 0)
		return OPENING_GO;
	if (!*rq->up.path)
		upgrade_peek((const char *)p, (size_t)(rq->end - p), &rq->up);
	return OPENING_REFUSE;
}

enum opening_step opening_read_again(struct conn *c, struct opening_request *rq,
				     struct refusal *why)
{
	struct opening_head *head = c->opening->head;
	struct http_progress progress = { 0 };
	ssize_t n;

	*rq->up.path = '\0';
	n = http_parse_head(head->bytes, head->len, head->len, &progress, &rq->head);
	if (n <= 0) {
		*why = rq->head.why;
		return OPENING_REFUSE;
	}
	rq->rest = (uint8_t *)head->bytes + n;
	rq->end = (uint8_t *)head->bytes + head->len;
	return understand(rq, (const uint8_t *)head->bytes, why);
}

enum opening_step opening_read_head(struct conn *c, uint8_t *p, uint8_t *end,
				    struct opening_request *rq, struct refusal *why)
{
	struct opening *o = c->opening;
	struct http_progress progress = { 0 };
	ssize_t n;

	*rq->up.path = '\0';
	if (o->head) {
		if (!gather(o, p, (size_t)(end - p)))
			return gone(why, REASON_NO_MEMORY);
		p = (uint8_t *)o->head->bytes;
		end = p + o->head->len;
		progress = o->head->progress;
	}
	n = http_parse_head((const char *)p, (size_t)(end - p), (size_t)session.config->max_head,
			    &progress, &rq->head);
	if (n == HTTP_MORE)
		return wait_for_head(c, p, (size_t)(end - p), &progress, &rq->head, why);
	rq->end = end;
	if (n > 0) {
		rq->rest = p + n;
		client_by_request(c, &rq->head);
		return understand(rq, p, why);
	}
	*why = rq->head.why;
	upgrade_peek((const char *)p, (size_t)(end - p), &rq->up);
	return OPENING_REFUSE;
}

void opening_peek(const struct conn *c, struct upgrade *up)
{
	const struct opening_head *head = c->opening->head;

	upgrade_peek(head ? head->bytes : "", head ? head->len : 0, up);
}
