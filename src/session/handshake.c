/*
 * handshake.c - a connection before it is open: the request head, and its answer.
 *
 * The checks are made in the order that the manual gives: the head itself
 * (400), the path (404), method (405), upgrade and version (426), origin
 * (403), subprotocol (400), and whether there is room (503).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "behaviour.h"
#include "config/config.h"
#include "proto/upgrade.h"
#include "proto/web_origin.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/session.h"

uint32_t handshake_deadline(const struct conn *c)
{
	const struct config_limits *l =
		c->endpoint ? &c->endpoint->limits : &session.config->limits;

	return c->mark + timer_ticks(l->handshake_timeout);
}

/* path: what was asked for, where no endpoint stands for it; else NULL. */
static void refuse(struct conn *c, enum reason reason, const char *path, bool no_body)
{
	char response[UPGRADE_RESPONSE_MAX];

	entry_refused(c, reason, upgrade_status(reason), path, NULL);
	conn_forget_head(c);
	output_cork(c);
	output_raw(c, response, upgrade_write_refusal(response, reason, time(NULL), no_body));
	conn_end_output(c, reason);
	output_uncork(c);
}

void handshake_refuse(struct conn *c, enum reason reason)
{
	refuse(c, reason, NULL, false);
}

/* Counts first and checks then, so that workers together never exceed the limit. */
static bool admit(void)
{
	_Atomic uint32_t *open = &session.row->open;

	atomic_fetch_add(open, 1);
	if (metrics_open(session.metrics) <= (uint64_t)session.config->max_connections)
		return true;
	atomic_fetch_sub(open, 1);
	return false;
}

static const char *subprotocol_of(const struct http_head *h, const struct config_limits *l)
{
	return upgrade_subprotocol(h, (const char *const *)l->subprotocols);
}

/* What the endpoint asks of a client that knows how to ask. */
static enum reason check_limits(const struct http_head *h, const struct upgrade *up,
				const struct config_limits *l)
{
	if (l->allowed_origins &&
	    !web_origin_allowed(up->origin, (const char *const *)l->allowed_origins))
		return REASON_BAD_ORIGIN;
	if (l->require_subprotocol && !subprotocol_of(h, l))
		return REASON_SUBPROTOCOL_REQUIRED;
	return REASON_NONE;
}

static enum reason make_room(struct conn *c, const struct http_head *h)
{
	size_t size = c->endpoint->behaviour->state_size;

	origin_done(c);
	if (session.stopping)
		return REASON_SHUTDOWN;
	if (size > 0 && !c->state && !(c->state = calloc(1, size)))
		return REASON_NO_MEMORY;
	if (compress_agree(c, h) < 0)
		return REASON_NO_MEMORY;
	return admit() ? REASON_NONE : REASON_TOO_MANY_CONNECTIONS;
}

static enum reason check(struct conn *c, const struct http_head *h, struct upgrade *up)
{
	enum reason r = upgrade_parse(h, up);
	const struct config_endpoint *e;

	origin_from_request(c, h);
	if (r != REASON_NONE)
		return r;
	e = config_find(session.config, up->path);
	if (!e)
		return REASON_NOT_FOUND;
	conn_set_endpoint(c, e);
	r = upgrade_check(up);
	if (r == REASON_NONE)
		r = check_limits(h, up, &e->limits);
	return r == REASON_NONE ? make_room(c, h) : r;
}

static void become_open(struct conn *c, const struct http_head *h, const struct upgrade *up,
			size_t rest_len)
{
	char response[UPGRADE_RESPONSE_MAX], extensions[DEFLATE_HEADER_MAX] = "";
	const struct config_limits *l = &c->endpoint->limits;

	if (c->deflate)
		deflate_write_header(extensions, &c->deflate->params);
	output_raw(c, response,
		   upgrade_write_accept(response, up, subprotocol_of(h, l), extensions));
	conn_set_state(c, CONN_OPEN);
	c->opened = (uint32_t)conn_clock();
	c->bytes_in = rest_len;
	c->last_data = c->mark = c->last_rx = session.now;
	ws_decoder_init(&c->decoder, (uint32_t)l->max_message);
	if (c->deflate)
		c->decoder.inflate = &c->deflate->inflate;
	metrics_add(&session.row->opened, 1);
	timer_update(c);
	if (l->access_log)
		entry_opened(c);
	input_open(c);
}

/*
 * Once the request line has come, its endpoint's handshake_timeout is the one
 * that counts. (A path with percent-encoding is left to the default.)
 */
static void note_endpoint(struct conn *c)
{
	const char *line = c->head->bytes, *end = memchr(line, '\n', c->head->len), *path;
	char decoded[UPGRADE_PATH_MAX + 1];
	size_t n = 0;

	if (c->endpoint || !end)
		return;
	path = memchr(line, ' ', (size_t)(end - line));
	if (!path)
		return;
	for (path++; path < end && *path != ' ' && *path != '?' && n < UPGRADE_PATH_MAX; path++)
		decoded[n++] = *path;
	decoded[n] = '\0';
	conn_set_endpoint(c, config_find(session.config, decoded));
	if (c->endpoint)
		timer_update(c);
}

static void finish(struct conn *c, const struct http_head *h, uint8_t *rest, uint8_t *end)
{
	struct upgrade up;
	enum reason r = check(c, h, &up);

	if (r != REASON_NONE) {
		refuse(c, r, r == REASON_NOT_FOUND && *up.path ? up.path : NULL, up.head);
		return;
	}
	output_cork(c);
	become_open(c, h, &up, (size_t)(end - rest));
	if (rest < end)
		input_frames(c, rest, end);
	output_uncork(c);
}

/* Bytes of a head, whole or not; what is behind it goes on as frames. */
void handshake_input(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct conn_head *head = NULL;
	struct http_head h;
	size_t seen = 0;
	ssize_t n;

	if (c->head) {
		head = conn_gather(c, p, (size_t)(end - p));
		if (!head)
			return;
		p = (uint8_t *)head->bytes;
		end = p + head->len;
		seen = head->seen;
	}
	n = http_parse_head((const char *)p, (size_t)(end - p), seen, &h);
	if (n > 0) {
		c->head = NULL;
		finish(c, &h, p + n, end);
		free(head);
	} else if (n == HTTP_MORE) {
		head = head ? head : conn_gather(c, p, (size_t)(end - p));
		if (head) {
			head->seen = head->len;
			note_endpoint(c);
		}
	} else {
		handshake_refuse(c, n == HTTP_BAD ? REASON_BAD_REQUEST : REASON_HEAD_TOO_LARGE);
	}
}
