/*
 * routes.c - see routes.h.
 *
 * A path is decoded as that of an endpoint is, for it may go on with one. Whoever has no right to a
 * route is told so whether there is what he asked for or not; a stranger is told nothing of routes.
 */
#include "admin/routes.h"

#include <ctype.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "admin/arrival.h"
#include "admin/audit.h"
#include "admin/request.h"
#include "admin/resources.h"

static const struct route {
	const char *path;
	bool open; /* something may follow */
	enum evhttp_cmd_type method;
	enum right right;
	void (*answer)(struct request *r);
} routes[] = {
#define ROUTE(method, path, open, right, answer) { path, open, EVHTTP_REQ_##method, right, answer },
#include "admin/routes.def"
#undef ROUTE
};

enum { AHEAD_MAX = 64 * 1024 }; /* bytes behind a request that are read before it is answered */
enum { ROUTES = sizeof(routes) / sizeof(*routes) };

static const char *method_name(enum evhttp_cmd_type method)
{
	switch (method) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	default:
		return "DELETE";
	}
}

/* What follows the route in a path; NULL: it is not the route's. */
static const char *rest_behind(const struct route *route, const char *path)
{
	size_t n = strlen(route->path);

	if (strncmp(path, route->path, n) != 0)
		return NULL;
	return path[n] == '\0' || (route->open && path[n] == '/') ? path + n : NULL;
}

static bool takes(const struct route *route, enum evhttp_cmd_type method)
{
	return route->method == method ||
	       (route->method == EVHTTP_REQ_GET && method == EVHTTP_REQ_HEAD);
}

/* NULL: none. allowed: the methods that there are for this path, with commas between them. */
static const struct route *find(struct request *r, char *allowed, size_t size)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(r->http);

	*allowed = '\0';
	for (size_t i = 0; i < ROUTES; i++) {
		const char *rest = rest_behind(&routes[i], r->path);

		if (!rest)
			continue;
		r->rest = rest;
		if (takes(&routes[i], method))
			return &routes[i];
		if (*allowed)
			strncat(allowed, ", ", size - strlen(allowed) - 1);
		strncat(allowed, method_name(routes[i].method), size - strlen(allowed) - 1);
	}
	return NULL;
}

static void refuse_method(struct request *r, const char *allowed)
{
	evhttp_add_header(evhttp_request_get_output_headers(r->http), "Allow", allowed);
	answer_error(r, 405, "method-not-allowed", "this path takes %s", allowed);
}

/* RFC 6750, 3 */
static void refuse_stranger(struct request *r)
{
	bool guessed = r->caller.has_guessed;

	evhttp_add_header(evhttp_request_get_output_headers(r->http), "WWW-Authenticate",
			  guessed ? "Bearer realm=\"ignyxd\", error=\"invalid_token\""
				  : "Bearer realm=\"ignyxd\"");
	audit_stranger(r);
	answer_error(r, 401, "unauthorized",
		     guessed ? "the token is none of those in \"tokens\" of \"admin\""
			     : "over TCP a token is needed: \"Authorization: Bearer TOKEN\"");
}

static void refuse_right(struct request *r)
{
	if (r->caller.address.family != AF_UNIX)
		answer_error(r, 403, "forbidden", "the scope of the %s does not allow this",
			     r->caller.who);
	else
		answer_error(r, 403, "forbidden",
			     "neither root, nor the daemon's user, nor in a group of \"admin\" "
			     "that may do this");
}

static void dispatch(struct request *r)
{
	char allowed[64];
	const struct route *route = find(r, allowed, sizeof(allowed));

	caller_know(&r->caller, request_socket(r),
		    evhttp_find_header(evhttp_request_get_input_headers(r->http), "Authorization"));
	if (r->caller.stranger && (!route || route->right != MAY_LOOK)) {
		refuse_stranger(r);
	} else if (!route && *allowed) {
		refuse_method(r, allowed);
	} else if (!route) {
		answer_error(r, 404, "not-found", "there is nothing of this path");
	} else if ((r->caller.rights & route->right) != route->right) {
		refuse_right(r);
	} else {
		audit_done(r, route->right);
		r->right = route->right;
		route->answer(r);
	}
}

/* A name alone is one with an empty value, which libevent takes for an error. NULL: no memory. */
static char *with_values(const char *query)
{
	char *out = malloc(2 * strlen(query) + 2), *to = out;

	while (out && *query) {
		size_t n = strcspn(query, "&");

		memcpy(to, query, n);
		to += n;
		if (n > 0 && !memchr(query, '=', n))
			*to++ = '=';
		query += n;
		if (*query)
			*to++ = *query++;
	}
	if (out)
		*to = '\0';
	return out;
}

/* libevent takes any percent sign, and a NUL for the end. */
static bool is_encoded(const char *query)
{
	for (const char *p = query; (p = strchr(p, '%')) != NULL; p += 3)
		if (!isxdigit((unsigned char)p[1]) || !isxdigit((unsigned char)p[2]) ||
		    strncmp(p, "%00", 3) == 0)
			return false;
	return true;
}

static bool parse_query(const char *query, struct evkeyvalq *out)
{
	char *text = with_values(query);
	bool good = text && is_encoded(text) && evhttp_parse_query_str(text, out) == 0;

	free(text);
	return good;
}

/* Splits the target. false: it is malformed, and that is answered. */
static bool read_target(struct request *r)
{
	const char *uri = evhttp_request_get_uri(r->http), *query = strchr(uri, '?');
	struct refusal why = { 0 };

	TAILQ_INIT(&r->query);
	if (*uri != '/') {
		answer_error(r, 400, "bad-target", "the target of the request has to be a path");
		return false;
	}
	if (upgrade_decode_path((struct http_text){ uri, strlen(uri) }, r->path, &why) < 0) {
		answer_error(r, 400, "bad-target", "%s", refusal_text(&why));
		return false;
	}
	if (query && !parse_query(query + 1, &r->query)) {
		answer_error(r, 400, "bad-target", "the query is malformed");
		return false;
	}
	return true;
}

/*
 * Not all versions of libevent refuse it. Where such a request ends is a matter of opinion (RFC 9112, 6.1):
 * nothing behind it is taken for another one.
 */
static bool is_framed_twice(struct request *r)
{
	struct evkeyvalq *in = evhttp_request_get_input_headers(r->http);

	if (!evhttp_find_header(in, "Transfer-Encoding") ||
	    !evhttp_find_header(in, "Content-Length"))
		return false;
	evhttp_add_header(evhttp_request_get_output_headers(r->http), "Connection", "close");
	answer_error(r, 400, "bad-framing",
		     "a request has Content-Length or Transfer-Encoding, not both");
	return true;
}

static struct bufferevent *buffers_of(struct evhttp_request *http)
{
	return evhttp_connection_get_bufferevent(evhttp_request_get_connection(http));
}

static void hold_back(struct evhttp_request *http, size_t most)
{
	bufferevent_setwatermark(buffers_of(http), EV_READ, 0, most);
}

static void answered_cb(struct evhttp_request *http, void *arg)
{
	(void)arg;
	arrival_answered(buffers_of(http));
	hold_back(http, 0);
}

/*
 * libevent goes on reading while a request is answered, and keeps all that comes: it must not be
 * more than some for who sends on and on, and does not read.
 */
void routes_answer(struct evhttp_request *http)
{
	struct request r = { .http = http };

	arrival_whole(buffers_of(http));
	hold_back(http, AHEAD_MAX);
	evhttp_request_set_on_complete_cb(http, answered_cb, NULL);
	if (read_target(&r) && !is_framed_twice(&r))
		dispatch(&r);
	evhttp_clear_headers(&r.query);
}
