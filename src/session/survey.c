/*
 * survey.c - see survey.h.
 */
#include "session/survey.h"

#include <jansson.h>
#include <string.h>

#include "config/config.h"
#include "session/chosen.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"

static struct {
	struct survey_question question;
	survey_told_fn *told; /* NULL: none is under way */
	char text[SURVEY_TEXT_MAX];
} survey;

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool survey_is_sound(const struct survey_question *q)
{
	return q->limit > 0 && (q->code == 0 || ws_close_code_valid((uint16_t)q->code)) &&
	       q->code <= UINT16_MAX && ends(q->endpoint, sizeof(q->endpoint)) &&
	       ends(q->room, sizeof(q->room)) && ends(q->peer, sizeof(q->peer)) &&
	       ends(q->user, sizeof(q->user)) && ends(q->reason, sizeof(q->reason));
}

/* --- which ones --- */

static bool is_open(const struct conn *c)
{
	return c->state_now == CONN_OPEN || c->state_now == CONN_CLOSING;
}

static uint32_t age_ms(const struct conn *c)
{
	return (uint32_t)session_clock() - c->opened;
}

static bool is_of_peer(const struct conn *c, const char *wanted)
{
	char text[NET_PEER_TEXT_MAX];
	const char *address = net_peer_format(&c->peer, text);
	size_t n = strlen(wanted);

	if (strcmp(address, wanted) == 0)
		return true;
	if (*address == '[' && *wanted != '[')
		return strncmp(address + 1, wanted, n) == 0 && address[1 + n] == ']';
	return strncmp(address, wanted, n) == 0 && (address[n] == ':' || address[n] == ',');
}

static bool is_behind(const struct conn *c)
{
	uint32_t since;

	return link_waits(&c->link, &since);
}

static bool is_wanted(const struct conn *c)
{
	const struct survey_question *q = &survey.question;
	const char *room = conn_room(c), *user = conn_user(c);

	return is_open(c) && c->id > q->after && (q->id == 0 || c->id == q->id) &&
	       (q->older == 0 || age_ms(c) / 1000 >= q->older) && (!q->slow || is_behind(c)) &&
	       (!*q->endpoint || strcmp(c->endpoint->path, q->endpoint) == 0) &&
	       (!*q->room || (room && strcmp(room, q->room) == 0)) &&
	       (!*q->user || (user && strcmp(user, q->user) == 0)) &&
	       (!*q->peer || is_of_peer(c, q->peer));
}

static void look(struct conn *c)
{
	if (is_wanted(c))
		chosen_offer(c);
}

/* It is put where the survey has been: it is looked at now. */
static bool look_now(struct conn *c)
{
	look(c);
	return false;
}

/* --- what is told of one --- */

static void put_text(json_t *o, const char *name, const char *text)
{
	if (text)
		json_object_set_new(o, name, json_string(text));
}

static void put_address(json_t *o, const char *name, const struct net_peer *p)
{
	char text[NET_PEER_TEXT_MAX];

	put_text(o, name, net_peer_format(p, text));
}

static void put_extra(json_t *o, const struct conn *c)
{
	if (!c->extra)
		return;
	if (c->extra->proxy.family != 0)
		put_address(o, "proxy", &c->extra->proxy);
	put_text(o, "client", c->extra->client);
	json_object_set_new(o, "dropped", json_integer((json_int_t)c->extra->dropped));
}

/* A tick that was rounded up may be ahead. */
static double seconds_since(uint32_t tick)
{
	const int32_t ticks = (int32_t)(session.now - tick);

	return ticks > 0 ? (double)ticks * SESSION_TICK / 1000 : 0;
}

static void put_waiting(json_t *o, const struct conn *c)
{
	uint32_t since;

	json_object_set_new(o, "pending", json_integer((json_int_t)link_unsent(&c->link)));
	if (link_waits(&c->link, &since))
		json_object_set_new(o, "waits", json_real(seconds_since(since)));
}

/* An open one was marked when it was pinged last, or when it opened. */
static void put_ping(json_t *o, const struct conn *c)
{
	double since = seconds_since(c->mark), took = c->ping / 1e6;

	if (c->state_now != CONN_OPEN)
		return;
	if (c->ping_state == PING_AWAITED)
		json_object_set_new(o, "pong_awaited", json_real(since));
	if (c->ping_state != PING_ANSWERED)
		return;
	json_object_set_new(o, "round_trip", json_real(took));
	json_object_set_new(o, "last_pong", json_real(since > took ? since - took : 0));
}

/* Those by which it may be cut off. Seconds; 0: there is none. */
static void put_limits(json_t *o, const struct conn *c)
{
	static const char *const policies[] = { [SLOW_CONSUMER_CLOSE] = "close",
						[SLOW_CONSUMER_DROP_NEWEST] = "drop_newest",
						[SLOW_CONSUMER_DROP_OLDEST] = "drop_oldest",
						[SLOW_CONSUMER_LATEST] = "latest" };
	const struct config_limits *l = &c->endpoint->limits;
	const struct {
		const char *name;
		int64_t ms;
	} times[] = {
		{ "ping_interval", l->ping_interval }, { "ping_timeout", l->ping_timeout },
		{ "idle_timeout", l->idle_timeout },   { "message_timeout", l->message_timeout },
		{ "stall_timeout", l->stall_timeout }, { "close_timeout", l->close_timeout },
	};
	json_t *limits = json_pack("{s:I, s:I, s:s}", "max_message", (json_int_t)l->max_message,
				   "max_pending", (json_int_t)l->max_pending, "slow_consumer",
				   policies[l->slow_consumer]);

	for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
		json_object_set_new(limits, times[i].name, json_real((double)times[i].ms / 1000));
	json_object_set_new(o, "limits", limits);
}

static json_t *describe(const struct conn *c)
{
	double age = age_ms(c) / 1000.0;
	json_t *o = json_pack(
		"{s:o, s:i, s:s, s:f, s:f, s:I, s:I}", "id",
		json_sprintf("%llx", (unsigned long long)c->id), "worker", (int)(c->id >> 56),
		"state", c->state_now == CONN_OPEN ? "open" : "closing", "since",
		(double)session_time() / 1000 - age, "age", age, "received",
		(json_int_t)c->messages_in, "received_bytes", (json_int_t)c->bytes_in);

	if (!o)
		return NULL;
	put_address(o, "peer", &c->peer);
	put_text(o, "endpoint", c->endpoint->path);
	put_text(o, "room", conn_room(c));
	put_text(o, "user", conn_user(c));
	put_waiting(o, c);
	put_ping(o, c);
	put_extra(o, c);
	if (survey.question.details)
		put_limits(o, c);
	return o;
}

/* --- all of them --- */

static void end_conn(struct conn *c)
{
	const struct survey_question *q = &survey.question;

	turn_spend(TURN_CALL);
	if (*q->reason)
		conn_close(c, (int)q->code, REASON_KICKED, q->reason, strlen(q->reason));
	else
		conn_close_word(c, (int)q->code, REASON_KICKED);
}

/* Returns how many of the chosen ones. */
static size_t end_all(struct survey_answer *a)
{
	size_t i = 0;

	for (; i < chosen_count(); i++) {
		struct conn *c = chosen_at(i);

		a->last = c->id;
		if (c->state_now != CONN_OPEN)
			continue;
		end_conn(c);
		a->closed++;
	}
	return i;
}

/* Puts one behind the first len bytes of the text. Returns how many it has then, if it fits. */
static size_t put_conn(const struct conn *c, size_t len)
{
	json_t *o = describe(c);

	survey.text[len] = len == 0 ? '[' : ',';
	len++;
	len += json_dumpb(o, survey.text + len, sizeof(survey.text) - len, JSON_COMPACT);
	json_decref(o);
	return len;
}

/* The same, of those for which there is space; the first one always has it. */
static size_t describe_all(struct survey_answer *a)
{
	size_t i = 0, len = 0;

	for (; i < chosen_count(); i++) {
		const struct conn *c = chosen_at(i);
		size_t more = is_open(c) ? put_conn(c, len) : len;

		if (more >= sizeof(survey.text))
			break;
		len = more;
		a->last = c->id;
	}
	if (len > 0) {
		survey.text[len++] = ']';
		a->json = survey.text;
		a->len = len;
	}
	return i;
}

static void tell(void)
{
	survey_told_fn *told = survey.told;
	struct survey_answer a = { .last = survey.question.after, .json = "[]", .len = 2 };
	size_t n = survey.question.code != 0 ? end_all(&a) : describe_all(&a);

	a.more = n < chosen_count() || n == survey.question.limit || n == CHOSEN_MAX;
	survey.told = NULL;
	chosen_begin(0);
	told(&a);
}

void survey_begin(const struct survey_question *q, survey_told_fn *told)
{
	survey.question = *q;
	survey.told = told;
	chosen_begin(q->limit);
	timer_walk(TIMER_WALK_SURVEY, look, look_now);
	session.chores = true;
}

bool survey_go_on(void)
{
	if (!survey.told)
		return false;
	if (timer_walk_on(TIMER_WALK_SURVEY))
		return true;
	turn_spend(TURN_OPENING * (uint32_t)(chosen_count() / 4 + 1));
	tell();
	return false;
}
