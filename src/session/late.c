/*
 * late.c - see late.h.
 *
 * What the door asks of a token it is asked here (access.c has asked the rest there), and what a new member
 * needs it gets here. Whom it has counted without a user is counted anew.
 */
#include "session/late.h"

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proto/refusal.h"
#include "proto/upgrade.h"
#include "session/access.h"
#include "session/attempts.h"
#include "session/conn_internal.h"
#include "session/entering.h"
#include "session/jwt_holder.h"
#include "session/noted.h"
#include "session/quota.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/verdict.h"

bool late_begin(struct conn *c, const char *name, bool json, const struct replay_wish *wish)
{
	const size_t size = strlen(name) + 1;
	struct conn_extra *extra = conn_need_extra(c);
	struct conn_late *late = extra ? malloc(sizeof(*late) + size) : NULL;

	if (!late)
		return false;
	*late = (struct conn_late){
		.until = session.now + timer_ticks(c->endpoint->limits.access.jwt.auth_timeout),
		.json = json,
		.wish = *wish,
	};
	memcpy(late->name, name, size);
	extra->late = late;
	return true;
}

/* --- a reload --- */

/* As at the door, with a request that shows nothing: its own is gone. */
bool late_holds(struct conn *c, const struct config_endpoint *e)
{
	static const struct upgrade up;
	static const struct http_head head = { .target = { "", 0 } };
	const struct config_access *a = &e->limits.access;
	struct access_request rq = {
		.c = c, .up = &up, .head = &head, .name = c->extra->late->name
	};
	struct identity who = { .user = NULL };
	enum reason r;

	if (!a->jwt.rules || !a->jwt.first_message || access_by_network(a, c) != REASON_NONE)
		return false;
	r = access_by_credential(a, &rq, &who);
	identity_end(&who);
	return r == REASON_NONE || (r == REASON_NO_CREDENTIALS && rq.late);
}

/* --- letting in --- */

static enum reason identify(struct conn *c, const struct ws_message *m, struct identity *who,
			    const char **why)
{
	const char *name = c->extra->late->name;
	struct access_request rq = { .c = c, .name = name };
	struct refusal refusal;
	struct http_text token;
	json_t *tree;
	enum reason r;

	*why = NULL;
	/* its address may have failed since it came */
	if (!attempts_are_heard(c, &refusal))
		return refusal.reason;
	r = jwt_said(m, "auth", &tree, &token);
	if (r == REASON_NONE)
		r = jwt_check_token(&rq, token, who);
	json_decref(tree);
	*why = rq.detail;
	if (r == REASON_NONE && !access_path_is_own(c->endpoint, name, who->user))
		r = REASON_NOT_ALLOWED;
	return r;
}

static enum reason count_again(struct conn *c)
{
	enum reason r;

	quota_give_back(c);
	r = quota_take(c);
	return r == REASON_NONE && !quota_replace(c) ? REASON_TOO_MANY_FROM_USER : r;
}

static enum reason enter(struct conn *c, struct identity *who)
{
	const struct conn_late *late = c->extra->late;
	enum reason r = entering_admit(c, late->name, who, late->json);

	if (!c->admission || !c->admission->who)
		identity_end(who);
	if (r == REASON_NONE)
		r = count_again(c);
	if (r == REASON_NONE)
		r = entering_join(c);
	if (r == REASON_NONE && c->endpoint->has_room)
		replay_take(c, &late->wish);
	return r;
}

/* What tells of those who are open, and has waited until it was known who this is. */
static void become_known(struct conn *c)
{
	free(c->extra->late);
	c->extra->late = NULL;
	c->decoder.max_message = (uint32_t)c->endpoint->limits.max_message;
	noted_opened(c);
	timer_update(c);
	if (c->endpoint->limits.access_log)
		entry_opened(c);
}

bool late_take(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	struct identity who = { .user = NULL };
	const char *why = NULL;
	enum reason r = identify(c, m, &who, &why);

	if (r == REASON_NONE)
		r = enter(c, &who);
	else
		identity_end(&who);
	if (r == REASON_NONE) {
		become_known(c);
		return true;
	}
	entry_refused(c, r, 0, NULL, why);
	attempts_refused(c, r);
	return verdict_close_word(v, jwt_close_code(r), r);
}
