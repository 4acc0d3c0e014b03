/*
 * handshake.c - from an accepted connection to an open one: what the steps of opening.h say is
 * done here, and here alone.
 *
 * A refusal is one line in the log, and an answer where the peer understands one: not to a bad
 * PROXY header, nor within TLS. A health check is answered where its request has come, for it
 * asks for no endpoint.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/config.h"
#include "session/attempts.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/counting.h"
#include "session/crowd.h"
#include "session/late.h"
#include "session/listener.h"
#include "session/noted.h"
#include "session/opening.h"
#include "session/replay.h"
#include "session/session.h"

/* What a client's messages are inflated to between two looks whether the turn is over. */
enum { INFLATE_SLICE = 64 * 1024 };

static void respond(struct conn *c, const char *response, size_t n, enum reason reason)
{
	opening_free_head(opening_take_head(c));
	output_cork(c);
	output_http(c, response, n);
	conn_end(c, 0, reason, "", 0);
	output_uncork(c);
	/* who has waited in ADMIT was not read from */
	conn_update_interest(c);
}

/* up->path: what was asked for, "" where that is not known. An endpoint's stands for itself. */
static void answer_refusal(struct conn *c, const struct refusal *why, const struct upgrade *up)
{
	char response[UPGRADE_RESPONSE_MAX];
	int status = upgrade_status(why->reason);
	const char *path;

	if (!c->endpoint)
		opening_route(c, up);
	path = c->endpoint || !*up->path ? NULL : up->path;
	entry_refused(c, why->reason, status, path, refusal_detail(why));
	if (attempts_are_kept(why->reason))
		noted_refused(c, why->reason, status, path);
	attempts_refused(c, why->reason);
	respond(c, response, upgrade_write_refusal(response, why, time(NULL), up->head),
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

static void take_health_check(struct conn *c, const struct upgrade *up)
{
	const struct refusal why = { .reason = REASON_METHOD_NOT_ALLOWED,
				     .allow = "GET, HEAD",
				     .text = "the path of health takes GET and HEAD only" };

	if (up->get || up->head)
		answer_health_check(c, !session.stopping && !(session.drained && !*session.drained),
				    up->head);
	else
		answer_refusal(c, &why, up);
}

/* Ahead of the request there is nobody who would understand an answer. */
static void refuse_silently(struct conn *c, const struct refusal *why)
{
	entry_refused(c, why->reason, 0, NULL, refusal_text(why));
	conn_kill(c, why->reason);
}

/* A head that will not come whole. */
static void refuse_head(struct conn *c, enum reason reason)
{
	struct refusal why;
	struct upgrade up;

	opening_peek(c, &up);
	refusal_plain(&why, reason);
	if (reason == REASON_SHUTDOWN && is_health(up.path))
		answer_health_check(c, false, up.head);
	else
		answer_refusal(c, &why, &up);
}

void handshake_refuse(struct conn *c, enum reason reason)
{
	static const char *const late[] = {
		[CONN_PROXY] = "the PROXY header did not come in time",
		[CONN_TLS] = "TLS handshake failed: it did not come to an end in time"
	};
	struct refusal why;

	/* it has come, and it was us who had no answer */
	if (c->state_now == CONN_ADMIT && reason == REASON_HANDSHAKE_TIMEOUT)
		reason = REASON_BUSY;
	if (c->state_now >= CONN_UPGRADE) {
		refuse_head(c, reason);
		return;
	}
	refusal_set(&why, reason, "%s",
		    reason == REASON_HANDSHAKE_TIMEOUT ? late[c->state_now] : "");
	refuse_silently(c, &why);
}

/* --- ahead of the request --- */

/* The PROXY header is over; what follows it is still in the socket. */
static void behind_proxy(struct conn *c)
{
	conn_set_state(c, c->opening->listener->tls ? CONN_TLS : CONN_UPGRADE);
	crowd_rename(c);
}

static void refuse_early(struct conn *c, const struct refusal *why)
{
	const struct upgrade nothing = { .path = "" };

	if (why->reason != REASON_PLAIN_HTTP) {
		refuse_silently(c, why);
		return;
	}
	conn_set_state(c, CONN_UPGRADE);
	answer_refusal(c, why, &nothing);
}

static enum opening_step early_step(struct conn *c, struct refusal *why)
{
	return c->state_now == CONN_PROXY ? opening_read_proxy(c, why) : opening_read_tls(c, why);
}

bool handshake_go_on(struct conn *c)
{
	struct refusal why;

	switch (early_step(c, &why)) {
	case OPENING_GO:
		if (c->state_now == CONN_PROXY)
			behind_proxy(c);
		else
			conn_set_state(c, CONN_UPGRADE);
		break;
	case OPENING_WAIT:
		break;
	case OPENING_REFUSE:
		refuse_early(c, &why);
		return false;
	case OPENING_GONE:
		conn_kill(c, why.reason);
		return false;
	}
	conn_update_interest(c);
	return c->state_now == CONN_UPGRADE;
}

/* --- the request --- */

static void become_open(struct conn *c, const struct opening_request *rq, size_t rest,
			int64_t began)
{
	char response[UPGRADE_RESPONSE_MAX], headers[DEFLATE_HEADER_MAX + REPLAY_HEADERS_MAX];
	size_t n = replay_write_headers(c, headers);
	const struct config_limits *l = &c->endpoint->limits;
	const int64_t now = session_clock_us();

	if (c->deflate)
		deflate_write_header(headers + n, &c->deflate->params);
	output_http(
		c, response,
		upgrade_write_accept(response, &rq->up, opening_answered(c, &rq->head), headers));
	conn_set_state(c, CONN_OPEN);
	c->opened = (uint32_t)(now / 1000);
	c->bytes_in = rest;
	c->last_data = c->mark = c->last_rx = session.now;
	ws_decoder_init(&c->decoder, conn_is_late(c) ? LATE_MESSAGE_MAX : (uint32_t)l->max_message);
	if (c->deflate) {
		c->decoder.inflate = &c->deflate->inflate;
		c->decoder.inflate->slice = INFLATE_SLICE;
	}
	counting_opened(c, now - began);
	timer_update(c);
	if (conn_is_late(c))
		return;
	noted_opened(c);
	if (l->access_log)
		entry_opened(c);
}

/* The request, and what came behind it, may lie in the head that was gathered. */
static void open_and_read(struct conn *c, struct opening_request *rq)
{
	struct opening_head *head = opening_take_head(c);
	const int64_t began = c->opening->began;

	crowd_through();
	opening_end(c);
	output_cork(c);
	become_open(c, rq, (size_t)(rq->end - rq->rest), began);
	if (!conn_is_late(c))
		frames_begin(c);
	if (rq->rest < rq->end)
		frames_take(c, rq->rest, rq->end);
	output_uncork(c);
	opening_free_head(head);
}

/* Its request is kept, and it is not read from: what comes next is the answer, or its end. */
static void let_wait(struct conn *c, const uint8_t *p, const struct opening_request *rq)
{
	if (!opening_keep(c, p, rq)) {
		conn_kill(c, REASON_NO_MEMORY);
		return;
	}
	c->opening->waited = true;
	conn_update_interest(c);
	timer_update(c);
}

/* p: where the request begins. */
static void admit(struct conn *c, const uint8_t *p, struct opening_request *rq)
{
	struct refusal why;

	switch (opening_admit(c, rq, &why)) {
	case OPENING_GO:
		open_and_read(c, rq);
		break;
	case OPENING_WAIT:
		let_wait(c, p, rq);
		break;
	default:
		answer_refusal(c, &why, &rq->up);
		break;
	}
}

static void take_request(struct conn *c, const uint8_t *p, struct opening_request *rq)
{
	if (is_health(rq->up.path)) {
		take_health_check(c, &rq->up);
		return;
	}
	conn_set_state(c, CONN_ADMIT);
	admit(c, p, rq);
}

void handshake_answered(struct conn *c, enum reason reason)
{
	struct opening_request rq;
	struct refusal why;

	if (reason != REASON_NONE)
		refuse_head(c, reason);
	else if (opening_read_again(c, &rq, &why) == OPENING_GO)
		admit(c, NULL, &rq);
	else
		answer_refusal(c, &why, &rq.up);
	conn_update_interest(c);
}

/* What was read stays where it is up to the next one's, and there may be a password in it. */
static void forget_credentials(uint8_t *p, uint8_t *end, const struct opening_request *rq)
{
	const struct http_text a = rq->up.authorization;
	const uint8_t *from = (const uint8_t *)a.p;

	if (from && from >= p && from < end)
		explicit_bzero(p + (from - p), a.len);
}

void handshake_input(struct conn *c, uint8_t *p, uint8_t *end)
{
	struct opening_request rq;
	struct refusal why;

	switch (opening_read_head(c, p, end, &rq, &why)) {
	case OPENING_WAIT:
		break;
	case OPENING_GO:
		take_request(c, p, &rq);
		forget_credentials(p, end, &rq);
		break;
	case OPENING_REFUSE:
		answer_refusal(c, &why, &rq.up);
		break;
	case OPENING_GONE:
		conn_kill(c, why.reason);
		break;
	}
}
