/*
 * watch.c - what happens, line by line, to those who want to look on.
 *
 * Each reader has its place in every ring of the chronicle, and is brought on from there by a timer:
 * workers write what they would write anyway, and know of nobody. Who takes its lines slowly has
 * HELD bytes that wait, and no more is read for it; what the rings have written over meanwhile is
 * lost to it, and it is told how much that was.
 *
 * A place that is not whole may be that of a writer that is at it, so it is looked at again for a
 * while; then its writer was ended in the midst of it, and it is passed over.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "admin/admin_internal.h"
#include "admin/happened.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/stream.h"
#include "base/chronicle.h"
#include "base/log.h"
#include "base/reason.h"
#include "proto/upgrade.h"

/*
 * HELD: bytes that wait for a reader, which the manual has. TICK: milliseconds. LINES, LOOKS: that a
 * reader has in one of them, and entries that are looked at for that. WAITS: ticks for one that is
 * not whole.
 */
enum { HELD = 256 * 1024, TICK = 50, LINES = 1024, LOOKS = 4096, WAITS = 4 };

/* What a reader wants to see. */
struct wanted {
	enum log_event event; /* NONE: any */
	enum reason reason; /* NONE: any */
	char endpoint[UPGRADE_PATH_MAX + 1]; /* "": any */
	bool peer; /* or any */
	struct chronicle_key key; /* of the peer */
};

/* One ring, as far as a reader has come. */
struct place {
	uint64_t at; /* the next one to be looked at */
	uint64_t torn; /* one more than the last one that was not whole, */
	unsigned since; /* and the tick at which that was seen */
};

struct reader {
	struct stream stream; /* the first: what is gone is known by it */
	LIST_ENTRY(reader) entry;
	struct place places[CHRONICLE_RINGS];
	uint64_t lost; /* since it was told so */
	struct wanted wanted;
};

static struct {
	LIST_HEAD(, reader) readers;
	unsigned now; /* ticks */
	struct event *tick; /* NULL: nobody has looked on yet */
} events = { .readers = LIST_HEAD_INITIALIZER(events.readers) };

/* --- which ones --- */

static bool is_at(const struct chronicle_entry *e, const char *endpoint)
{
	size_t n = e->what;

	if (e->family == 0 || e->asked || strncmp(e->text, endpoint, n) != 0)
		return false;
	/* of a long path there is the beginning */
	return endpoint[n] == '\0' || chronicle_is_cut(e);
}

static bool wants(const struct wanted *w, const struct chronicle_entry *e)
{
	return (w->event == LOG_EVENT_NONE || e->event == w->event) &&
	       (w->reason == REASON_NONE || e->reason == w->reason) &&
	       (!*w->endpoint || is_at(e, w->endpoint)) &&
	       (!w->peer || chronicle_is_of(e, &w->key));
}

/* --- from the rings --- */

/* The next entry of each ring, where there is one. */
struct heads {
	bool there[CHRONICLE_RINGS];
	struct chronicle_entry entries[CHRONICLE_RINGS];
};

/* The one at the place is not whole: whether it may become so. */
static bool awaits(struct place *p)
{
	if (p->torn != p->at + 1) {
		p->torn = p->at + 1;
		p->since = events.now;
	}
	return events.now - p->since < WAITS;
}

static void look(struct reader *r, enum chronicle_ring ring, struct heads *h)
{
	struct place *p = &r->places[ring];
	struct chronicle_span span = chronicle_span(admin.chronicle, ring);

	h->there[ring] = false;
	/* nobody who is in his right mind takes numbers back */
	if (p->at > span.next)
		p->at = span.next;
	if (p->at < span.oldest) {
		r->lost += span.oldest - p->at;
		p->at = span.oldest;
	}
	for (; p->at < span.next; p->at++) {
		enum chronicle_found found =
			chronicle_read(admin.chronicle, ring, p->at, &h->entries[ring]);

		h->there[ring] = found == CHRONICLE_WHOLE;
		/* what is gone is counted with the next look, at once with all that is */
		if (found != CHRONICLE_TORN || awaits(p))
			break;
	}
}

/* Of what happened at the same time an opening comes first, and an end behind it. */
static int first_of(const struct heads *h)
{
	static const enum chronicle_ring order[] = { CHRONICLE_OPENS, CHRONICLE_REFUSALS,
						     CHRONICLE_ENDS, CHRONICLE_DAEMON };
	int first = -1;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		if (h->there[order[i]] &&
		    (first < 0 || h->entries[order[i]].time < h->entries[first].time))
			first = (int)order[i];
	return first;
}

static void tell_lost(struct reader *r)
{
	if (r->lost == 0)
		return;
	stream_add(&r->stream, json_pack("{s:s, s:I}", "event", "lost", "n", (json_int_t)r->lost));
	r->lost = 0;
}

static bool takes(const struct reader *r)
{
	return stream_waits(&r->stream) < HELD;
}

/* Goes on by some of them; ahead of them it is told what it has lost. */
static void go_on(struct reader *r)
{
	struct heads h;
	int ring;

	if (!takes(r))
		return;
	for (int i = 0; i < CHRONICLE_RINGS; i++)
		look(r, (enum chronicle_ring)i, &h);
	tell_lost(r);
	for (int looks = 0, lines = 0;
	     looks < LOOKS && lines < LINES && takes(r) && (ring = first_of(&h)) >= 0; looks++) {
		if (wants(&r->wanted, &h.entries[ring])) {
			stream_add(&r->stream, json_of_happened(&h.entries[ring]));
			lines++;
		}
		r->places[ring].at++;
		look(r, (enum chronicle_ring)ring, &h);
	}
}

static void tick_cb(evutil_socket_t fd, short what, void *arg)
{
	struct reader *r;

	(void)fd;
	(void)what;
	(void)arg;
	events.now++;
	LIST_FOREACH (r, &events.readers, entry)
		go_on(r);
}

static void gone(struct stream *s)
{
	struct reader *r = (struct reader *)s;

	LIST_REMOVE(r, entry);
	free(r);
	if (LIST_EMPTY(&events.readers))
		event_del(events.tick);
}

/* --- requests --- */

static int event_named(const char *word)
{
	static const enum log_event kept[] = { LOG_EVENT_CONN_OPEN,      LOG_EVENT_CONN_CLOSE,
					       LOG_EVENT_CONN_REFUSED,   LOG_EVENT_RELOADED,
					       LOG_EVENT_RELOAD_REFUSED, LOG_EVENT_WORKER_DIED,
					       LOG_EVENT_ADMIN_DIED };

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strcmp(log_event_word(kept[i]), word) == 0)
			return (int)kept[i];
	return -1;
}

static int reason_named(const char *word)
{
	for (int i = REASON_NONE + 1; i < REASON_COUNT; i++)
		if (strcmp(reason_word((enum reason)i), word) == 0)
			return i;
	return -1;
}

/* Reads a word of which there is a list. false: it is none of them, and that is answered. */
static bool read_word(struct request *r, const char *name, int (*named)(const char *word),
		      int *value)
{
	const char *word = request_parameter(r, name);

	*value = word ? named(word) : 0;
	if (*value >= 0)
		return true;
	answer_error(r, 400, "bad-parameter", "\"%s\" has to be one of the words that events have",
		     name);
	return false;
}

static bool read_wanted(struct request *r, struct wanted *w)
{
	struct net_peer peer;
	int event, reason;

	w->peer = request_parameter(r, "peer") != NULL;
	if (!read_word(r, "kind", event_named, &event) ||
	    !read_word(r, "reason", reason_named, &reason) ||
	    !request_copy(r, "endpoint", w->endpoint, sizeof(w->endpoint)) ||
	    (w->peer && !happened_read_peer(r, &peer)))
		return false;
	if (w->peer)
		w->key = happened_key(&peer);
	w->event = (enum log_event)event;
	w->reason = (enum reason)reason;
	return true;
}

/* The timer runs while somebody looks on. */
static bool start_ticking(void)
{
	static const struct timeval every = { .tv_usec = TICK * 1000 };

	if (!events.tick)
		events.tick = event_new(admin.base, -1, EV_PERSIST, tick_cb, NULL);
	return events.tick && event_add(events.tick, &every) == 0;
}

/* It begins with what happens from now on. false: it does not, and that is answered. */
static bool begin(struct reader *reader, struct request *r)
{
	if (!read_wanted(r, &reader->wanted))
		return false;
	for (int i = 0; i < CHRONICLE_RINGS; i++)
		reader->places[i].at = chronicle_next(admin.chronicle, (enum chronicle_ring)i);
	if (!stream_begin(&reader->stream, r, gone))
		return false;
	LIST_INSERT_HEAD(&events.readers, reader, entry);
	return true;
}

void events_get(struct request *r)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader || !start_ticking())
		answer_error(r, 503, "no-memory", "there is no memory");
	else if (begin(reader, r))
		return;
	else if (LIST_EMPTY(&events.readers))
		event_del(events.tick);
	free(reader);
}

void events_end(void)
{
	if (events.tick)
		event_free(events.tick);
	events.tick = NULL;
}
