/*
 * jwt_holder.c - see jwt_holder.h.
 *
 * What a token costs is charged when it is known; a turn that has looked at one is over soon, and the
 * next of those who wait is looked at in the next.
 */
#include "session/jwt_holder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/jwt.h"
#include "proto/authorization.h"
#include "proto/credential.h"
#include "proto/json_memory.h"
#include "proto/refusal.h"
#include "proto/upgrade.h"
#include "session/access.h"
#include "session/attempts.h"
#include "session/conn_internal.h"
#include "session/expiry.h"
#include "session/session.h"
#include "session/turn.h"

static double now(void)
{
	return (double)session_time() / 1000;
}

/* --- its time --- */

enum { LOOK_MOST = 24 * 3600 }; /* seconds: clocks are set */

double jwt_time_left(const struct jwt_kept *kept)
{
	return kept->expires - now();
}

void jwt_note_look(struct jwt_kept *kept)
{
	double left = jwt_time_left(kept) - (kept->told ? 0 : EXPIRY_TOLD_AHEAD);

	left = left < 0 ? 0 : left > LOOK_MOST ? LOOK_MOST : left;
	kept->look = session.now + timer_ticks((int64_t)(left * 1000));
}

/* --- who comes --- */

static struct jwt_kept *make_kept(const struct jwt_verdict *v, const char *claims, size_t len)
{
	struct jwt_kept *kept = malloc(sizeof(*kept) + len + 1);

	if (!kept)
		return NULL;
	*kept = (struct jwt_kept){
		.expires = v->expires, .alg = v->alg, .publishes = v->publishes, .len = len
	};
	memcpy(kept->print, v->key->print, JWS_PRINT);
	memcpy(kept->claims, claims, len + 1);
	jwt_note_look(kept);
	return kept;
}

/* Who signs may say what he likes; what a connection keeps of it has an end. */
static enum reason keep(const struct config_jwt *j, struct jwt_verdict *v, struct jwt_kept **kept)
{
	json_t *asked = jwt_claims_asked(j, v->claims);
	char *text = asked ? json_dumps(asked, JSON_COMPACT) : NULL;
	const size_t len = text ? strlen(text) : 0;
	const bool may = jwt_may_keep(len, v);

	if (may)
		*kept = text ? make_kept(v, text, len) : NULL;
	free(text);
	json_decref(asked);
	if (!may)
		return v->reason;
	return *kept ? REASON_NONE : REASON_NO_MEMORY;
}

enum reason jwt_check_token(struct access_request *rq, struct http_text token, struct identity *who)
{
	static struct jwt_verdict v;
	static char detail[JWT_WHY_MAX + 32];
	const struct config_endpoint *e = rq->c->endpoint;

	jwt_judge(e, rq->name, token, now(), &v);
	turn_spend(v.cost);
	if (v.reason == REASON_NONE) {
		who->user = v.user;
		v.reason = keep(&e->limits.access.jwt, &v, &who->jwt);
	}
	if (*v.why) {
		snprintf(detail, sizeof(detail), "the token is refused: %s", v.why);
		rq->detail = detail;
	}
	json_decref(v.claims);
	v.claims = NULL;
	return v.reason;
}

/* In the order of the manual. */
static bool find(const struct config_jwt *j, const struct access_request *rq,
		 struct http_text *token)
{
	const struct http_text authorization = rq->up->authorization;

	if (authorization.p && authorization_bearer(authorization, token))
		return true;
	if (j->cookie && credential_cookie(rq->head, j->cookie, token))
		return true;
	if (j->subprotocol && credential_subprotocol(rq->head, CONFIG_BEARER_PREFIX, token))
		return true;
	return j->query && credential_query(rq->head->target, j->query, token);
}

enum reason jwt_check_shown(const struct config_access *a, struct access_request *rq,
			    struct identity *who)
{
	struct http_text token;

	if (find(&a->jwt, rq, &token))
		return jwt_check_token(rq, token, who);
	rq->late = a->jwt.first_message;
	return REASON_NO_CREDENTIALS;
}

/* --- who is in --- */

static bool is_signed_still(const struct jwt_rules *rules, const struct jwt_kept *kept)
{
	return jwk_algs(rules->keys, kept->print) & rules->algs & 1U << kept->alg;
}

static bool holds(const struct config_endpoint *e, const struct conn *c, struct jwt_kept *kept)
{
	struct jwt_verdict v = { .reason = REASON_BAD_TOKEN };
	json_t *claims;

	turn_spend_on(kept->len, TURN_TREE);
	claims = json_memory_read(kept->claims, kept->len, 0, NULL);
	if (claims)
		jwt_judge_claims(e, conn_name(c), claims, now(), &v);
	turn_spend(v.cost);
	json_decref(claims);
	kept->expires = v.expires;
	kept->publishes = v.publishes;
	jwt_note_look(kept);
	return v.reason == REASON_NONE && strcmp(v.user, conn_user(c)) == 0;
}

/* A claim that no rule named when it came is one that it does not have. */
bool jwt_holds(const struct config_endpoint *e, const struct conn *c, const struct identity *who)
{
	return who && who->jwt && is_signed_still(e->limits.access.jwt.rules, who->jwt) &&
	       holds(e, c, who->jwt);
}

/* --- what is said --- */

enum reason jwt_said(const struct ws_message *m, const char *asked, json_t **tree,
		     struct http_text *token)
{
	const json_t *value;
	const char *word;

	*tree = NULL;
	if (m->opcode != WS_TEXT || m->len > JWT_MESSAGE_MAX)
		return REASON_NO_CREDENTIALS;
	turn_spend_on(m->len, TURN_TREE);
	*tree = json_memory_read(m->data, m->len, JSON_REJECT_DUPLICATES, NULL);
	if (!*tree && errno == ENOMEM)
		return REASON_NO_MEMORY;
	word = json_string_value(json_object_get(*tree, "ignyx"));
	value = json_object_get(*tree, "token");
	if (!word || strcmp(word, asked) != 0 || !json_is_string(value))
		return REASON_NO_CREDENTIALS;
	*token = (struct http_text){ json_string_value(value), json_string_length(value) };
	return REASON_NONE;
}

int jwt_close_code(enum reason r)
{
	switch (r) {
	case REASON_NO_CREDENTIALS:
	case REASON_BAD_TOKEN:
	case REASON_TOKEN_EXPIRED:
	case REASON_WRONG_AUDIENCE:
	case REASON_NOT_ALLOWED:
		return WS_CLOSE_POLICY;
	default: /* it may try again */
		return WS_CLOSE_TRY_AGAIN;
	}
}

enum reason jwt_renew(struct conn *c, struct http_text token, const char **why)
{
	struct access_request rq = { .c = c, .name = conn_name(c) };
	struct identity who = { .user = NULL };
	struct refusal refusal;
	enum reason r;

	*why = NULL;
	if (!attempts_are_heard(c, &refusal))
		return refusal.reason;
	r = jwt_check_token(&rq, token, &who);
	*why = rq.detail;
	if (r == REASON_NONE && strcmp(who.user, conn_user(c)) != 0)
		r = REASON_NOT_ALLOWED;
	if (r == REASON_NONE)
		conn_set_jwt(c, who.jwt);
	else
		identity_end(&who);
	return r;
}

bool jwt_publishes(const struct conn *c)
{
	const struct identity *who = c->admission->who;

	return !who || !who->jwt || who->jwt->publishes || !c->endpoint->limits.access.jwt.rules;
}
