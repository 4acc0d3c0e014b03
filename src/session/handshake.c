/*
 * handshake.c - a connection before it is open: the request head, and its answer.
 *
 * The checks are made in the order that the manual gives: the head itself
 * (400), the path (404), method (405), upgrade and version (426), origin
 * (403), subprotocol (400), and whether there is room (503). A health check is
 * answered behind the first of them, for it asks for no endpoint.
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

static void respond(struct conn *c, const char *response, size_t n, enum reason reason)
{
	conn_forget_head(c);
	output_cork(c);
	output_raw(c, response, n);
	conn_end_output(c, reason);
	output_uncork(c);
}

/* path: what was asked for, "" where that is not known. An endpoint's stands for itself. */
static void refuse(struct conn *c, const struct refusal *why, const char *path, bool no_body)
{
	char response[UPGRADE_RESPONSE_MAX];

	if (!c->endpoint)
		conn_set_endpoint(c, config_find(session.config, path));
	entry_refused(c, why->reason, upgrade_status(why->reason),
		      c->endpoint || !*path ? NULL : path, refusal_text(why));
	respond(c, response, upgrade_write_refusal(response, why, time(NULL), no_body),
		why->reason);
}

static bool is_health(const char *path)
{
	return session.config->health && strcmp(session.config->health, path) == 0;
}

/* Who asks every other second whether we serve is told so, and the log is not. */
static void answer_health_check(struct conn *c, bool serves, bool no_body)
{
	char response[UPGRADE_RESPONSE_MAX];

	respond(c, response, upgrade_write_health(response, serves, time(NULL), no_body),
		REASON_HEALTH_CHECK);
}

void handshake_refuse(struct conn *c, enum reason reason)
{
	char path[UPGRADE_PATH_MAX + 1] = "";
	struct refusal why;

	if (c->head)
		upgrade_peek_path(c->head->bytes, c->head->len, path);
	refusal_plain(&why, reason);
	if (reason == REASON_SHUTDOWN && is_health(path))
		answer_health_check(c, false, false);
	else
		refuse(c, &why, path, false);
}

static void take_health_check(struct conn *c, const struct upgrade *up)
{
	const struct refusal why = { .reason = REASON_METHOD_NOT_ALLOWED,
				     .allow = "GET, HEAD",
				     .text = "the path of health takes GET and HEAD only" };

	if (up->get || up->head)
		answer_health_check(c, !session.stopping, up->head);
	else
		refuse(c, &why, up->path, false);
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

static enum reason check(struct conn *c, const struct http_head *h, const struct upgrade *up)
{
	enum reason r = upgrade_check(up);

	conn_set_endpoint(c, config_find(session.config, up->path));
	if (!c->endpoint)
		return REASON_NOT_FOUND;
	if (r == REASON_NONE)
		r = check_limits(h, up, &c->endpoint->limits);
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

/* Once the request line has come, its endpoint's handshake_timeout is the one that counts. */
static void note_endpoint(struct conn *c)
{
	char path[UPGRADE_PATH_MAX + 1];

	upgrade_peek_path(c->head->bytes, c->head->len, path);
	conn_set_endpoint(c, config_find(session.config, path));
	if (c->endpoint)
		timer_update(c);
}

/* Of a whole head, of n bytes, and those behind it. */
static void finish(struct conn *c, const struct http_head *h, uint8_t *p, size_t n, uint8_t *end)
{
	struct upgrade up;
	struct refusal why;
	int r = upgrade_parse(h, &up, &why);

	origin_from_request(c, h);
	if (r == 0 && is_health(up.path)) {
		take_health_check(c, &up);
		return;
	}
	if (r == 0)
		refusal_plain(&why, check(c, h, &up));
	if (why.reason != REASON_NONE) {
		if (!*up.path)
			upgrade_peek_path((const char *)p, n, up.path);
		refuse(c, &why, up.path, up.head);
		return;
	}
	output_cork(c);
	become_open(c, h, &up, (size_t)(end - p) - n);
	if (p + n < end)
		input_frames(c, p + n, end);
	output_uncork(c);
}

static void refuse_head(struct conn *c, const struct refusal *why, const uint8_t *p, size_t n)
{
	char path[UPGRADE_PATH_MAX + 1];

	upgrade_peek_path((const char *)p, n, path);
	refuse(c, why, path, false);
}

/* Bytes of a head, whole or not; what is behind it goes on as frames. */
void handshake_input(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct http_progress progress = { 0 };
	struct conn_head *head = NULL;
	struct http_head h;
	size_t lines;
	ssize_t n;

	if (c->head) {
		head = conn_gather(c, p, (size_t)(end - p));
		if (!head)
			return;
		p = (uint8_t *)head->bytes;
		end = p + head->len;
		progress = head->progress;
	}
	lines = progress.lines;
	n = http_parse_head((const char *)p, (size_t)(end - p), (size_t)session.config->max_head,
			    &progress, &h);
	if (n > 0) {
		c->head = NULL;
		finish(c, &h, p, (size_t)n, end);
		free(head);
	} else if (n == HTTP_MORE) {
		head = head ? head : conn_gather(c, p, (size_t)(end - p));
		if (!head)
			return;
		head->progress = progress;
		if (lines == 0 && progress.lines > 0)
			note_endpoint(c);
	} else {
		refuse_head(c, &h.why, p, (size_t)(end - p));
	}
}
