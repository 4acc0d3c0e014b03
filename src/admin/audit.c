/*
 * audit.c - see audit.h.
 *
 * Of a token the log has its name, and nothing that was sent as one. Strangers can ask as often as
 * they like: ten of them are told of at once and then one in ten seconds, with how many others there
 * were. The path is told as it was sent, without the query, which could hold anything.
 */
#include "admin/audit.h"

#include <event2/event.h>
#include <event2/http.h>
#include <string.h>
#include <sys/socket.h>

#include "admin/admin_internal.h"
#include "admin/request.h"
#include "base/bucket.h"
#include "base/clock.h"
#include "base/distinct.h"
#include "base/log.h"
#include "base/metrics.h"

enum { EVERY = 10000 /* ms */, PATH_SHOWN = 200 };

static const struct bucket_size size = { 10, EVERY };

static struct {
	struct bucket bucket;
	struct distinct from;
	struct event *later; /* tells of those that were not told of */
} strangers;

static const char *method_of(const struct request *r)
{
	switch (evhttp_request_get_command(r->http)) {
	case EVHTTP_REQ_GET:
		return "GET";
	case EVHTTP_REQ_HEAD:
		return "HEAD";
	case EVHTTP_REQ_POST:
		return "POST";
	case EVHTTP_REQ_PUT:
		return "PUT";
	case EVHTTP_REQ_DELETE:
		return "DELETE";
	default:
		return "OTHER";
	}
}

/* In uri, which is that of the request. */
static int path_length(const char *uri)
{
	size_t n = strcspn(uri, "?");

	return n < PATH_SHOWN ? (int)n : PATH_SHOWN;
}

/* Messages are published at the rate of whoever does that; the rest is an administrator's. */
void audit_done(const struct request *r, enum right right)
{
	const struct log_fields f = { .event = LOG_EVENT_ADMIN_REQUEST, .peer = r->caller.peer };
	const char *uri = evhttp_request_get_uri(r->http);

	if (right != MAY_PUBLISH && right != MAY_MANAGE)
		return;
	log_at(right == MAY_MANAGE ? LOG_INFO : LOG_DEBUG, &f, "%s %.*s by %s", method_of(r),
	       path_length(uri), uri, r->caller.who);
}

static uint32_t now(void)
{
	return (uint32_t)clock_steady_ms();
}

static void tell_missed(void)
{
	uint32_t missed = bucket_missed(&strangers.bucket, &size, now());

	if (missed == 0)
		return;
	log_notice(LOG_OF(LOG_SUPPRESSED),
		   "%u more suppressed, from about %u addresses: requests to the admin interface "
		   "that were refused for want of a token",
		   missed, distinct_count(&strangers.from));
	memset(&strangers.from, 0, sizeof(strangers.from));
}

static void wait_for_later(void)
{
	static const struct timeval wait = { .tv_sec = EVERY / 1000 };

	if (strangers.bucket.missed > 0 && !event_pending(strangers.later, EV_TIMEOUT, NULL))
		event_add(strangers.later, &wait);
}

static void later_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	tell_missed();
	wait_for_later();
}

/* Whether a line is to be written about one more. */
static bool passes(const struct caller *c)
{
	metrics_add(&metrics_own->admin_refused, 1);
	tell_missed();
	if (bucket_take(&strangers.bucket, &size, now()))
		return true;
	distinct_add(&strangers.from, net_peer_network(&c->address));
	wait_for_later();
	return false;
}

void audit_stranger(const struct request *r)
{
	const struct log_fields f = { .event = LOG_EVENT_ADMIN_REFUSED, .peer = r->caller.peer };
	const char *uri = evhttp_request_get_uri(r->http);

	if (passes(&r->caller))
		log_notice(&f, "%s %.*s refused: %s", method_of(r), path_length(uri), uri,
			   r->caller.has_guessed ? "its token is none of those in force"
						 : "it has no token");
}

void audit_cut(int fd)
{
	struct caller c;

	caller_know(&c, fd, NULL);
	if (passes(&c))
		log_notice(
			(&(struct log_fields){ .event = LOG_EVENT_ADMIN_REFUSED, .peer = c.peer }),
			"a request of more than 64 KiB cut off: it has no token that is in force");
}

int audit_begin(void)
{
	strangers.later = event_new(admin.base, -1, 0, later_cb, NULL);
	return strangers.later ? 0 : -1;
}

void audit_end(void)
{
	if (strangers.later)
		event_free(strangers.later);
}
