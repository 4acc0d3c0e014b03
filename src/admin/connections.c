/*
 * connections.c - the connections that there are, and the end of some.
 *
 * Workers are asked one after the other, in the order of their slots, which is that of the ids; of
 * a worker as often as it has more. One that does not answer is named in the answer, and passed
 * over. Whoever has asked may be gone before all have answered.
 */
#include "admin/connections.h"

#include <stdlib.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/inquire.h"
#include "admin/later.h"
#include "admin/numbers.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "base/board.h"
#include "proto/frame.h"
#include "session/chosen.h"

enum { USUAL = 100, MOST = 1000 };

struct inquiry {
	struct later later;
	struct survey_question question;
	int slot; /* that is asked, or about to be */
	size_t limit; /* of those to be told of; SIZE_MAX: all */
	uint64_t closed;
	json_t *connections, *silent;
	void (*answer)(struct request *r, struct inquiry *q);
	void (*found)(struct request *r, const struct connections_found *f); /* by answer_found */
};

static uint64_t first_of(int slot)
{
	return (uint64_t)slot << 56;
}

static int slot_of(uint64_t id)
{
	return (int)(id >> 56);
}

/* --- its life --- */

static void finish(struct inquiry *q)
{
	struct request r;

	if (later_end(&q->later, &r))
		q->answer(&r, q);
	json_decref(q->connections);
	json_decref(q->silent);
	free(q);
}

static bool is_there(int slot)
{
	return atomic_load(&admin.board->children[slot].pid) != 0;
}

static void go_to(struct inquiry *q, int slot)
{
	q->slot = slot;
	if (q->question.after < first_of(slot))
		q->question.after = first_of(slot);
}

/* One is asked for by its id alone: no other worker can have it. */
static void pass_on(struct inquiry *q)
{
	go_to(q, q->question.id != 0 ? SLOTS_WORKERS : q->slot + 1);
}

static bool is_through(const struct inquiry *q)
{
	return !q->later.http || q->slot >= SLOTS_WORKERS ||
	       json_array_size(q->connections) >= q->limit;
}

static void told(const struct ask_answer *a, json_t *list, void *arg);

static void go_on(struct inquiry *q)
{
	while (!is_through(q)) {
		size_t left = q->limit - json_array_size(q->connections);

		q->question.limit = left < CHOSEN_MAX ? (uint32_t)left : CHOSEN_MAX;
		if (is_there(q->slot)) {
			if (ask(q->slot, &q->question, told, q) == 0)
				return;
			json_array_append_new(q->silent, json_integer(q->slot));
		}
		pass_on(q);
	}
	finish(q);
}

static void told(const struct ask_answer *a, json_t *list, void *arg)
{
	struct inquiry *q = arg;

	if (!a)
		json_array_append_new(q->silent, json_integer(q->slot));
	else if (q->limit == SIZE_MAX)
		q->closed += a->closed;
	else
		json_array_extend(q->connections, list);
	json_decref(list);
	/* who goes backwards would go round for ever */
	if (a && a->more && a->last > q->question.after && q->question.id == 0)
		q->question.after = a->last;
	else
		pass_on(q);
	go_on(q);
}

/* --- what is asked for --- */

/* any: whether there is a filter at all. */
static bool read_filters(struct request *r, struct survey_question *q, bool *any)
{
	uint64_t older = 0, slow = 0;

	if (!request_copy(r, "endpoint", q->endpoint, sizeof(q->endpoint)) ||
	    !request_copy(r, "room", q->room, sizeof(q->room)) ||
	    !request_copy(r, "peer", q->peer, sizeof(q->peer)) ||
	    !request_copy(r, "user", q->user, sizeof(q->user)) ||
	    !number_parameter(r, "older", 0, UINT32_MAX, &older) ||
	    !number_parameter(r, "slow", 0, 1, &slow))
		return false;
	q->older = (uint32_t)older;
	q->slow = (uint32_t)slow;
	*any = *q->endpoint || *q->room || *q->peer || *q->user || older || slow;
	return true;
}

static bool read_end(struct request *r, struct survey_question *q)
{
	uint64_t code = WS_CLOSE_POLICY;

	if (!number_parameter(r, "code", 1000, 4999, &code) ||
	    !request_copy(r, "reason", q->reason, sizeof(q->reason)))
		return false;
	q->code = (uint32_t)code;
	if (ws_close_code_valid((uint16_t)code))
		return true;
	answer_error(r, 400, "bad-parameter", "%u is no code that may be sent", (unsigned)code);
	return false;
}

bool connections_read_id(struct request *r, const char *text, uint64_t *id)
{
	if (number_of_id(text, id) && slot_of(*id) < SLOTS_WORKERS)
		return true;
	answer_error(r, 400, "bad-parameter", "an id is what the log has as conn=");
	return false;
}

static void begin_as(struct request *r, const struct inquiry *as)
{
	const struct survey_question *question = &as->question;
	struct inquiry *q = calloc(1, sizeof(*q));

	if (!q) {
		answer_error(r, 503, "no-memory", "there is no memory");
		return;
	}
	*q = *as;
	q->connections = json_array();
	q->silent = json_array();
	later_begin(&q->later, r);
	go_to(q, slot_of(question->id != 0 ? question->id : question->after));
	go_on(q);
}

static void begin(struct request *r, const struct survey_question *question, size_t limit,
		  void (*answer)(struct request *r, struct inquiry *q))
{
	begin_as(r, &(struct inquiry){ .question = *question, .limit = limit, .answer = answer });
}

static void answer_found(struct request *r, struct inquiry *q)
{
	q->found(r,
		 &(struct connections_found){ &q->question, q->limit, q->connections, q->silent });
}

void connections_find(struct request *r, const struct survey_question *q, size_t limit,
		      void (*answer)(struct request *r, const struct connections_found *f))
{
	begin_as(r,
		 &(struct inquiry){
			 .question = *q, .limit = limit, .answer = answer_found, .found = answer });
}

/* --- answers --- */

void connections_add_silent(json_t *body, json_t *silent)
{
	if (body && json_array_size(silent) > 0)
		json_object_set(body, "silent", silent);
}

static void answer_list(struct request *r, struct inquiry *q)
{
	json_t *body = json_pack("{s:O}", "connections", q->connections);
	size_t n = json_array_size(q->connections);

	if (body && n >= q->limit)
		json_object_set(body, "next",
				json_object_get(json_array_get(q->connections, n - 1), "id"));
	connections_add_silent(body, q->silent);
	answer_json(r, 200, body);
}

static void answer_closed(struct request *r, struct inquiry *q)
{
	json_t *body = json_pack("{s:I}", "closed", (json_int_t)q->closed);

	connections_add_silent(body, q->silent);
	answer_json(r, 200, body);
}

static void answer_none(struct request *r, const struct inquiry *q)
{
	if (json_array_size(q->silent) > 0)
		answer_error(r, 504, "no-answer", "worker %d, which has it, does not answer",
			     slot_of(q->question.id));
	else
		answer_error(r, 404, "no-such-connection", "no connection with this id is open");
}

static void answer_one(struct request *r, struct inquiry *q)
{
	json_t *one = json_array_get(q->connections, 0);

	if (one)
		answer_json(r, 200, json_incref(one));
	else
		answer_none(r, q);
}

static void answer_closed_one(struct request *r, struct inquiry *q)
{
	if (q->closed > 0)
		answer_closed(r, q);
	else
		answer_none(r, q);
}

/* --- requests --- */

static void list(struct request *r)
{
	struct survey_question q = { 0 };
	const char *after = request_parameter(r, "after");
	uint64_t limit = USUAL;
	bool any;

	if (number_parameter(r, "limit", 1, MOST, &limit) && read_filters(r, &q, &any) &&
	    (!after || connections_read_id(r, after, &q.after)))
		begin(r, &q, limit, answer_list);
}

static void one(struct request *r)
{
	struct survey_question q = { .details = 1 };

	if (connections_read_id(r, r->rest + 1, &q.id))
		begin(r, &q, 1, answer_one);
}

void connections_get(struct request *r)
{
	if (*r->rest)
		one(r);
	else
		list(r);
}

void connections_delete(struct request *r)
{
	struct survey_question q = { 0 };
	bool any;

	if (!read_end(r, &q))
		return;
	if (*r->rest) {
		if (connections_read_id(r, r->rest + 1, &q.id))
			begin(r, &q, SIZE_MAX, answer_closed_one);
		return;
	}
	if (!read_filters(r, &q, &any))
		return;
	if (any)
		begin(r, &q, SIZE_MAX, answer_closed);
	else
		answer_error(r, 400, "bad-request",
			     "say which ones: endpoint, room, peer, user, older or slow");
}
