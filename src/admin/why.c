/*
 * why.c - what became of a connection, or of those of a peer.
 *
 * Workers are asked for what is open now; then the rings are searched, so that one that ends in
 * between is found in one of the two. That takes a millisecond where nothing is found.
 *
 * What was open in a worker that died has no end of its own. Ids of a slot rise from worker to
 * worker, so the death that ended it is the first one of its slot that has a higher number; it is told
 * ahead of the opening.
 */
#include <inttypes.h>

#include "admin/admin_internal.h"
#include "admin/connections.h"
#include "admin/happened.h"
#include "admin/numbers.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "base/chronicle.h"
#include "base/log.h"
#include "session/survey.h"

/* SEARCHES: of the ring of ends, each of which may take half a millisecond. */
enum { USUAL = 100, MOST = 1000, SEARCHES = 20 };

/* One ring, gone back through. */
struct trail {
	enum chronicle_ring ring;
	uint64_t n;
	bool there; /* the entry is the last one that was found */
	struct chronicle_entry entry;
};

static struct chronicle_key key_of(const struct survey_question *q)
{
	struct net_peer p;

	/* which was read before */
	if (q->id == 0 && net_peer_parse(&p, q->peer) == 0)
		return happened_key(&p);
	return (struct chronicle_key){ .conn = q->id };
}

static void go_back(struct trail *t, const struct chronicle_key *k)
{
	t->there = chronicle_search(admin.chronicle, t->ring, k, &t->n, &t->entry);
}

static struct trail *latest(struct trail *trails, size_t count)
{
	struct trail *last = NULL;

	for (size_t i = 0; i < count; i++)
		if (trails[i].there && (!last || trails[i].entry.time > last->entry.time))
			last = &trails[i];
	return last;
}

/* --- workers that died --- */

/* All deaths that are known, as they were when `deaths_look` was called last. */
static struct {
	size_t count;
	unsigned searches; /* for ends that may be left */
	struct chronicle_entry all[CHRONICLE_DAEMON_SIZE];
} deaths;

static void deaths_look(void)
{
	const enum chronicle_ring ring = CHRONICLE_DAEMON;
	struct chronicle_span span = chronicle_span(admin.chronicle, ring);

	deaths.searches = SEARCHES;
	deaths.count = 0;
	for (uint64_t n = span.oldest; n < span.next; n++) {
		struct chronicle_entry *e = &deaths.all[deaths.count];

		deaths.count += chronicle_read(admin.chronicle, ring, n, e) == CHRONICLE_WHOLE &&
				e->event == LOG_EVENT_WORKER_DIED;
	}
}

/* That of the worker that had it. NULL: none is known. */
static const struct chronicle_entry *death_of(uint64_t id)
{
	for (size_t i = 0; i < deaths.count; i++)
		if (deaths.all[i].conn >> 56 == id >> 56 && deaths.all[i].conn > id)
			return &deaths.all[i];
	return NULL;
}

/* Whether an end of it is known; where that would take too long, it is said to be. */
static bool has_ended(uint64_t id)
{
	const struct chronicle_key k = { .conn = id };
	uint64_t n = chronicle_next(admin.chronicle, CHRONICLE_ENDS);
	struct chronicle_entry end;

	if (deaths.searches == 0)
		return true;
	deaths.searches--;
	return chronicle_search(admin.chronicle, CHRONICLE_ENDS, &k, &n, &end);
}

/* The death that was its end. Returns whether there was one. */
static bool add_death(json_t *list, uint64_t id)
{
	const struct chronicle_entry *death = death_of(id);
	json_t *o;

	if (!death || has_ended(id))
		return false;
	o = json_of_happened(death);
	if (o)
		json_object_set_new(o, "id", json_sprintf("%" PRIx64, id));
	json_array_append_new(list, o);
	return true;
}

/* --- what is known --- */

/* Adds an entry; returns whether it tells of an end. */
static bool add(json_t *list, const struct trail *t)
{
	bool ended = t->ring != CHRONICLE_OPENS || add_death(list, t->entry.conn);

	json_array_append_new(list, json_of_happened(&t->entry));
	return ended;
}

/* Adds what is known, the latest first. Returns whether an end or a refusal is in it. */
static bool add_past(json_t *list, const struct chronicle_key *k, size_t limit)
{
	struct trail trails[] = { { .ring = CHRONICLE_ENDS },
				  { .ring = CHRONICLE_REFUSALS },
				  { .ring = CHRONICLE_OPENS } };
	const size_t count = sizeof(trails) / sizeof(*trails);
	struct trail *t;
	bool ended = false;

	for (size_t i = 0; i < count; i++) {
		trails[i].n = chronicle_next(admin.chronicle, trails[i].ring);
		go_back(&trails[i], k);
	}
	while (json_array_size(list) < limit && (t = latest(trails, count))) {
		ended |= add(list, t);
		go_back(t, k);
	}
	return ended;
}

static uint64_t kept(enum chronicle_ring ring)
{
	struct chronicle_span span = chronicle_span(admin.chronicle, ring);

	return span.next - span.oldest;
}

static void answer_nothing(struct request *r)
{
	answer_error(r, 404, "nothing-known",
		     "it is not open, and not among the last %" PRIu64 " ends and %" PRIu64
		     " refusals",
		     kept(CHRONICLE_ENDS), kept(CHRONICLE_REFUSALS));
}

static void answer(struct request *r, const struct connections_found *f)
{
	const struct chronicle_key k = key_of(f->question);
	json_t *why = json_array(), *body;
	bool is_open = json_array_size(f->connections) > 0;

	deaths_look();
	/* its opening may not be known any more */
	if (!add_past(why, &k, f->limit) && !is_open && k.conn != 0)
		add_death(why, k.conn);
	if (json_array_size(why) == 0 && !is_open && json_array_size(f->silent) == 0) {
		json_decref(why);
		answer_nothing(r);
		return;
	}
	body = json_pack("{s:o, s:O}", "why", why, "connections", f->connections);
	connections_add_silent(body, f->silent);
	answer_json(r, 200, body);
}

static bool read_peer(struct request *r, struct survey_question *q)
{
	struct net_peer p;

	if (!happened_read_peer(r, &p))
		return false;
	net_peer_format(&p, q->peer);
	return true;
}

void why_get(struct request *r)
{
	const char *peer = request_parameter(r, "peer"), *conn = request_parameter(r, "conn");
	struct survey_question q = { .details = 1 };
	uint64_t limit = USUAL;

	if (!peer == !conn)
		answer_error(r, 400, "bad-parameter", "say of whom: peer or conn");
	else if (number_parameter(r, "limit", 1, MOST, &limit) &&
		 (peer ? read_peer(r, &q) : connections_read_id(r, conn, &q.id)))
		connections_find(r, &q, limit, answer);
}
