/*
 * passwords.c - see passwords.h.
 *
 * Of somebody unknown the hash of one of the others is checked, and the answer is no, whatever it is. A
 * name that nobody may have and a password that is too long are nobody's, and cost nothing.
 */
#include "session/passwords.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bucket.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/verifier.h"
#include "config/config.h"
#include "config/users.h"
#include "net/peer.h"
#include "proto/authorization.h"
#include "session/awaiting.h"
#include "session/conn_internal.h"
#include "session/network.h"
#include "session/opening.h"
#include "session/session.h"
#include "session/turn.h"

_Static_assert((int)VERIFIER_PASSWORD_MAX >= (int)AUTHORIZATION_PASSWORD_MAX &&
		       (int)VERIFIER_HASH_MAX >= (int)CONFIG_CRYPTED_MAX,
	       "whatever comes can be asked");

/* Nanoseconds for each cost that there is of hashes, see users_stand_in. */
enum { DRAWN = 1500 };

static struct verifier *verifier; /* NULL: nobody has asked yet */
static struct event *answers;

static void note_waiting(void)
{
	atomic_store_explicit(&session.row->passwords_waiting, verifier_waiting(verifier),
			      memory_order_relaxed);
}

/* Whoever connects decides how often that happens, so it is told once in a minute. */
static void tell_trouble(const char *what, const char *why)
{
	static const struct bucket_size size = { 1, 60000 };
	static struct bucket bucket;

	if (bucket_take(&bucket, &size, session.now * SESSION_TICK))
		log_err(NULL, "%s: %s", what, why);
}

/* --- answers --- */

static enum reason judge(struct claim *claim, enum verifier_verdict verdict)
{
	switch (verdict) {
	case VERIFIER_RIGHT:
	case VERIFIER_WRONG:
		if (verdict == VERIFIER_RIGHT && claim->known)
			remembered_add(claim->mark);
		else
			claim->denied = true;
		return REASON_NONE;
	case VERIFIER_DISPLACED:
		return REASON_BUSY;
	case VERIFIER_FAILED:
		tell_trouble("a password cannot be checked",
			     "crypt(3) has no memory, or does not know this kind of hash");
		break;
	}
	return REASON_NO_MEMORY;
}

static void take_answers(void)
{
	struct verifier_answer a;
	struct conn *c;

	while (verifier_answer(verifier, &a)) {
		turn_spend(TURN_CALL);
		if (a.verdict != VERIFIER_DISPLACED)
			metrics_add(&session.row->passwords, 1);
		c = awaiting_find(a.id);
		if (c)
			awaiting_answer(c, judge(&c->opening->claim, a.verdict));
	}
	note_waiting();
}

static void answers_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	take_answers();
}

/* --- questions --- */

static bool start(void)
{
	if (verifier)
		return true;
	verifier = verifier_new();
	if (!verifier) {
		tell_trouble("passwords cannot be checked, for a thread cannot be started",
			     strerror(errno));
		return false;
	}
	answers = event_new(session.base, verifier_fd(verifier), EV_READ | EV_PERSIST, answers_cb,
			    NULL);
	if (answers && event_add(answers, NULL) == 0)
		return true;
	passwords_fini();
	return false;
}

static void cancel(uint64_t id)
{
	verifier_cancel(verifier, id);
}

/* Those whom a proxy does not name have none, and nor do the clients of unix sockets. */
static uint64_t address_of(const struct net_peer *p)
{
	return p->family == AF_UNIX || p->unnamed ? 0 : network_of(p);
}

/* by: whose hash it is. */
static enum reason ask(struct conn *c, const struct config_user *by, const char *password)
{
	struct verifier_question q = { .from = address_of(&c->peer),
				       .password = password,
				       .hash = by->hash };

	if (!start())
		return REASON_NO_MEMORY;
	q.id = awaiting_begin(c, cancel);
	if (!verifier_ask(verifier, &q))
		awaiting_end(c);
	note_waiting();
	return REASON_BUSY;
}

static enum reason check(struct conn *c, const struct config_users *all,
			 const struct authorization_basic *given, const struct config_user **user)
{
	/* drawn also for who is known: that takes time, which would tell that he is */
	const struct config_user *stand_in = users_stand_in(all, given->user),
				 *known = users_find(all, given->user),
				 *by = known ? known : stand_in;
	struct claim *claim = &c->opening->claim, now = { .known = known != NULL };

	turn_spend(DRAWN * (uint32_t)all->cost_count);
	if (!by)
		return REASON_BAD_PASSWORD;
	if (!remembered_mark(by->line, given->user, given->password, now.mark))
		return REASON_NO_MEMORY;
	if (known && remembered_has(now.mark)) {
		*user = known;
		return REASON_NONE;
	}
	if (claim->denied && memcmp(claim->mark, now.mark, sizeof(now.mark)) == 0)
		return REASON_BAD_PASSWORD;
	*claim = now;
	return ask(c, by, given->password);
}

enum reason passwords_check(struct conn *c, const struct config_users *all, struct http_text value,
			    const struct config_user **user)
{
	struct authorization_basic given;
	enum authorization_found found;
	enum reason r = REASON_BAD_PASSWORD;

	found = value.p ? authorization_basic(value, &given) : AUTHORIZATION_OTHER;
	if (found == AUTHORIZATION_OTHER)
		return REASON_NO_CREDENTIALS;
	if (found == AUTHORIZATION_GOOD)
		r = check(c, all, &given, user);
	explicit_bzero(&given, sizeof(given));
	return r;
}

/* --- all of them --- */

/* What the thread has begun with is in no line any more. */
void passwords_tick(void)
{
	if (verifier)
		note_waiting();
}

void passwords_fini(void)
{
	if (answers)
		event_free(answers);
	verifier_free(verifier);
	remembered_fini();
	answers = NULL;
	verifier = NULL;
}
