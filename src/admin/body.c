/*
 * body.c - see body.h.
 */
#include "admin/body.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <string.h>
#include <strings.h>

#include "admin/request.h"

const uint8_t *body_of(struct request *r, size_t *len)
{
	struct evbuffer *b = evhttp_request_get_input_buffer(r->http);

	*len = evbuffer_get_length(b);
	return *len > 0 ? evbuffer_pullup(b, -1) : (const uint8_t *)"";
}

bool body_is(const struct request *r, const char *type)
{
	const char *given =
		evhttp_find_header(evhttp_request_get_input_headers(r->http), "Content-Type");
	size_t n = strlen(type);

	return given && strncasecmp(given, type, n) == 0 && strchr("; \t", given[n]) != NULL;
}
