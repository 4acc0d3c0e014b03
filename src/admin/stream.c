/*
 * stream.c - see stream.h.
 *
 * libevent ends a connection on which nothing comes for a while, which is no fault here: only what
 * waits to be taken has a time, and that is long, for somebody may have stopped his terminal to read.
 */
#include "admin/stream.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "admin/request.h"

static const struct timeval patience = { .tv_sec = 300 };
static LIST_HEAD(, stream) all = LIST_HEAD_INITIALIZER(all);
static int streams;

static void leave(struct stream *s)
{
	LIST_REMOVE(s, entry);
	streams--;
}

static void gone_cb(struct evhttp_connection *c, void *arg)
{
	struct stream *s = arg;

	(void)c;
	leave(s);
	request_gone(s->http);
	s->gone(s);
}

static struct bufferevent *buffers_of(const struct stream *s)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(s->http));
}

/* Over TCP: who has vanished without a word is found out, though there is nothing to tell him. */
static void keep_alive(int fd)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },           { IPPROTO_TCP, TCP_KEEPIDLE, 60 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 15 },        { IPPROTO_TCP, TCP_KEEPCNT, 4 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 120000 },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
		setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

static void begin(struct stream *s)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(s->http);

	streams++;
	LIST_INSERT_HEAD(&all, s, entry);
	evhttp_add_header(headers, "Content-Type", "application/x-ndjson");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "Connection", "close");
	evhttp_connection_set_closecb(evhttp_request_get_connection(s->http), gone_cb, s);
	bufferevent_set_timeouts(buffers_of(s), NULL, &patience);
	keep_alive(bufferevent_getfd(buffers_of(s)));
	evhttp_send_reply_start(s->http, 200, NULL);
}

bool stream_begin(struct stream *s, struct request *r, void (*gone)(struct stream *s))
{
	*s = (struct stream){ .http = r->http, .right = r->right, .gone = gone };
	if (streams >= STREAMS_MAX) {
		answer_error(r, 503, "busy", "%d are being answered already that stay",
			     STREAMS_MAX);
		return false;
	}
	if (evhttp_request_get_command(r->http) == EVHTTP_REQ_HEAD) {
		answer_buffer(r, 200, "application/x-ndjson", evbuffer_new());
		return false;
	}
	begin(s);
	return true;
}

size_t stream_waits(const struct stream *s)
{
	return evbuffer_get_length(bufferevent_get_output(buffers_of(s)));
}

bool stream_has_space(const struct stream *s)
{
	return stream_waits(s) <= STREAM_KEPT;
}

void stream_add(struct stream *s, json_t *line)
{
	struct evbuffer *text = json_line(line);

	if (!text)
		return;
	evhttp_send_reply_chunk(s->http, text);
	evbuffer_free(text);
}

void stream_end(struct stream *s)
{
	leave(s);
	evhttp_connection_set_closecb(evhttp_request_get_connection(s->http), NULL, NULL);
	evhttp_send_reply_end(s->http);
}

/* By what is in force now: his token, or the groups of who is at the other end of a unix socket. */
static bool may_go_on(const struct stream *s)
{
	struct caller c;

	caller_know(&c, bufferevent_getfd(buffers_of(s)),
		    evhttp_find_header(evhttp_request_get_input_headers(s->http), "Authorization"));
	return (c.rights & s->right) == s->right;
}

void stream_reload(void)
{
	struct stream *s = LIST_FIRST(&all), *next;

	for (; s; s = next) {
		next = LIST_NEXT(s, entry);
		if (may_go_on(s))
			continue;
		stream_end(s);
		s->gone(s);
	}
}
