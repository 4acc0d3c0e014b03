/*
 * expiry.c - see expiry.h.
 *
 * When a token expires is said by the clock of the day, which may be set; the wheel knows ticks. So at
 * each tick that was noted the clock has the word, and the next one is noted.
 *
 * A new token that is not good closes the connection, as it would not have let it in: nobody tries one
 * after another.
 */
#include "session/expiry.h"

#include <string.h>

#include "config/config.h"
#include "session/attempts.h"
#include "session/conn_internal.h"
#include "session/jwt_holder.h"
#include "session/requests.h"
#include "session/told.h"
#include "session/turn.h"
#include "session/verdict.h"

static bool gets_envelopes(const struct conn *c)
{
	return c->endpoint->has_room && c->admission->member.json;
}

void expiry_come(struct conn *c)
{
	struct jwt_kept *kept = c->admission->who->jwt;
	const double left = jwt_time_left(kept);

	if (left <= 0) {
		conn_close_word(c, WS_CLOSE_POLICY, REASON_TOKEN_EXPIRED);
		return;
	}
	if (left <= EXPIRY_TOLD_AHEAD && !kept->told) {
		kept->told = true;
		if (gets_envelopes(c))
			told_expiry(c, "token-expires", kept->expires, left);
	}
	jwt_note_look(kept);
}

/* --- a new one --- */

bool expiry_is_renewal(const struct conn *c, const struct ws_message *m)
{
	static const char name[] = "\"token\"";
	const char *p = (const char *)m->data + strlen(REQUEST_BEGINS),
		   *end = (const char *)m->data + m->len;

	if (m->opcode != WS_TEXT || !conn_has_jwt(c) || !request_is(m))
		return false;
	while (p < end && *p == ' ')
		p++;
	return (size_t)(end - p) >= strlen(name) && memcmp(p, name, strlen(name)) == 0;
}

bool expiry_renew(struct conn *c, const struct ws_message *m, struct verdict *v)
{
	struct http_text token;
	json_t *tree;
	const char *why = NULL;
	enum reason r = jwt_said(m, "token", &tree, &token);

	if (r == REASON_NONE)
		r = jwt_renew(c, token, &why);
	else if (r == REASON_NO_CREDENTIALS)
		r = REASON_BAD_TOKEN;
	json_decref(tree);
	if (r != REASON_NONE) {
		entry_refused(c, r, 0, NULL, why);
		attempts_refused(c, r);
		return verdict_close_word(v, jwt_close_code(r), r);
	}
	if (gets_envelopes(c))
		told_expiry(c, "token", c->admission->who->jwt->expires,
			    jwt_time_left(c->admission->who->jwt));
	timer_update(c);
	return true;
}
