/*
 * request.c - see request.h.
 */
#include "admin/request.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void free_text(const void *text, size_t len, void *arg)
{
	(void)len;
	(void)arg;
	free((void *)text);
}

/* Nothing is kept of an answer, for the next one may be another. */
static void add_headers(struct request *r, const char *type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(r->http);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_add_header(headers, "Cache-Control", "no-store");
}

void answer_buffer(struct request *r, int status, const char *type, struct evbuffer *body)
{
	add_headers(r, type);
	evhttp_send_reply(r->http, body ? status : 500, NULL, body);
	if (body)
		evbuffer_free(body);
}

struct evbuffer *json_line(json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(15));
	struct evbuffer *b = evbuffer_new();
	size_t len;

	json_decref(value);
	len = text ? strlen(text) : 0;
	if (text)
		text[len] = '\n'; /* in place of the NUL, which nobody needs */
	if (b && text && evbuffer_add_reference(b, text, len + 1, free_text, NULL) == 0)
		return b;
	free(text);
	if (b)
		evbuffer_free(b);
	return NULL;
}

void answer_json(struct request *r, int status, json_t *body)
{
	answer_buffer(r, status, "application/json", json_line(body));
}

void answer_error(struct request *r, int status, const char *word, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	answer_json(r, status, json_pack("{s:s, s:s}", "error", word, "message", text));
}

int request_socket(const struct request *r)
{
	struct evhttp_connection *c = evhttp_request_get_connection(r->http);

	return bufferevent_getfd(evhttp_connection_get_bufferevent(c));
}

const char *request_parameter(const struct request *r, const char *name)
{
	return evhttp_find_header(&r->query, name);
}

bool request_copy(struct request *r, const char *name, char *out, size_t size)
{
	const char *text = request_parameter(r, name);

	if (text && strlen(text) >= size) {
		answer_error(r, 400, "bad-parameter", "\"%s\" is too long", name);
		return false;
	}
	if (text)
		strcpy(out, text);
	return true;
}

/* At the end of the stream libevent lets go of one that is not answered, and nobody has it then. */
void request_gone(struct evhttp_request *http)
{
	if (!evhttp_request_get_connection(http))
		evhttp_request_free(http);
}
