/*
 * arrival.c - see arrival.h.
 *
 * A connection is known by its descriptor, for nobody is told when libevent ends one: the place of a
 * descriptor begins anew with the first byte of a connection, which has a callback of its own.
 *
 * Whether there is a token is looked for in the lines of a head, of which libevent has taken some out
 * already: where one is found there is somebody who has it, and what he may do is decided when all has
 * come (routes.c). Bodies are not searched, for a stranger could have a hash made of each of their lines.
 */
#include "admin/arrival.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "admin/admin_internal.h"
#include "admin/audit.h"
#include "admin/bearer.h"
#include "base/clock.h"
#include "config/config.h"

enum {
	WHOLE = 30000, /* ms, in which a request has to come */
	STRANGERS_MAX = 64 * 1024, /* bytes */
	LINE_MAX_BYTES = 16 * 1024, /* of a head, which is as long at most */
	PLACES = 1024 /* descriptors: more than this process may have */
};

static const char HEADER[] = "Authorization:";

static struct place {
	enum { NOTHING, COMING, ANSWERED } stage;
	bool in_body; /* the head has come */
	bool known; /* over the unix socket, or with a token; up to the end of the connection */
	int64_t since; /* ms: when the first byte came */
	size_t bytes; /* that have come since */
} places[PLACES];

/* NULL: it has no descriptor. */
static struct place *place_of(struct bufferevent *b)
{
	int fd = bufferevent_getfd(b);

	return fd >= 0 && fd < PLACES ? &places[fd] : NULL;
}

/* --- who --- */

/* What follows the name in a line of that header. NULL: it is another one, or too long. */
static const char *value_of(const char *line, size_t len)
{
	static char value[LINE_MAX_BYTES];
	const size_t name = sizeof(HEADER) - 1;

	if (len < name || len - name >= sizeof(value) || strncasecmp(line, HEADER, name) != 0)
		return NULL;
	memcpy(value, line + name, len - name);
	value[len - name] = '\0';
	value[strcspn(value, "\r")] = '\0';
	return value + strspn(value, " \t");
}

static bool is_blank(const char *line, size_t len)
{
	return len == 0 || (len == 1 && *line == '\r');
}

/* Its lines that are whole. */
static void look_at_head(struct place *p, struct evbuffer *in)
{
	size_t left = evbuffer_get_length(in);
	const char *at, *stop;

	if (left > LINE_MAX_BYTES)
		left = LINE_MAX_BYTES;
	at = (const char *)evbuffer_pullup(in, (ssize_t)left);
	while (at && !p->known && !p->in_body && (stop = memchr(at, '\n', left))) {
		size_t len = (size_t)(stop - at);
		const char *value = value_of(at, len);

		p->in_body = is_blank(at, len);
		p->known = value && bearer_find(&admin.config->admin, value);
		at = stop + 1;
		left -= len + 1;
	}
}

/* --- what comes --- */

/* libevent finds the end of the connection then, and no answer is on its way. */
static void cut(struct bufferevent *b, struct place *p)
{
	p->stage = ANSWERED;
	shutdown(bufferevent_getfd(b), SHUT_RDWR);
}

static void note(struct evbuffer *in, size_t n, struct bufferevent *b)
{
	struct place *p = place_of(b);
	int64_t now = clock_steady_ms();

	if (n == 0 || !p || p->stage == ANSWERED)
		return;
	if (p->stage == NOTHING) {
		p->stage = COMING;
		p->in_body = false;
		p->since = now;
		p->bytes = 0;
	}
	p->bytes += n;
	look_at_head(p, in);
	if (!p->known && p->bytes > STRANGERS_MAX) {
		audit_cut(bufferevent_getfd(b));
		cut(b, p);
	} else if (now - p->since > WHOLE) {
		cut(b, p);
	}
}

static void more_cb(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	note(in, info->n_added, arg);
}

static void first(struct bufferevent *b, bool known)
{
	struct place *p = place_of(b);

	if (p)
		*p = (struct place){ .known = known };
	evbuffer_add_cb(bufferevent_get_input(b), more_cb, b);
}

static void first_by_tcp_cb(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	evbuffer_remove_cb(in, first_by_tcp_cb, arg);
	first(arg, false);
	note(in, info->n_added, arg);
}

static void first_by_unix_cb(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	evbuffer_remove_cb(in, first_by_unix_cb, arg);
	first(arg, true);
	note(in, info->n_added, arg);
}

void arrival_watch(struct bufferevent *b, bool tcp)
{
	evbuffer_add_cb(bufferevent_get_input(b), tcp ? first_by_tcp_cb : first_by_unix_cb, b);
}

void arrival_whole(struct bufferevent *b)
{
	struct place *p = place_of(b);

	if (p)
		p->stage = ANSWERED;
}

void arrival_answered(struct bufferevent *b)
{
	struct place *p = place_of(b);

	if (p)
		p->stage = NOTHING;
}
