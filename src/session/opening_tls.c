/*
 * opening_tls.c - the TLS handshake of a connection, see opening.h.
 *
 * Handshakes cost a thousand times what a message does, and how much depends on the key: so the
 * clock is looked at behind each step of one, and those that can go on wait for the end of the turn.
 * Who is open already waits for one of them, however many have come.
 * Scanners fail here all day: that is worth a line, not an alarm.
 */
#include "base/metrics.h"
#include "net/tls.h"
#include "session/client.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/opening.h"
#include "session/turn.h"

static TAILQ_HEAD(waiting_list, opening) waiting = TAILQ_HEAD_INITIALIZER(waiting);

bool opening_wait(struct conn *c)
{
	struct opening *o = c->opening;

	if (o->waiting)
		return false;
	o->waiting = c;
	TAILQ_INSERT_TAIL(&waiting, o, entry);
	turn_counters_wait(LINE_HANDSHAKES, &o->wait);
	return true;
}

void opening_wait_no_more(struct opening *o)
{
	if (!o->waiting)
		return;
	o->waiting = NULL;
	TAILQ_REMOVE(&waiting, o, entry);
	turn_counters_serve(LINE_HANDSHAKES, &o->wait);
}

struct conn *opening_next(void)
{
	struct opening *o = TAILQ_FIRST(&waiting);
	struct conn *c = o ? o->waiting : NULL;

	if (o)
		opening_wait_no_more(o);
	return c;
}

bool opening_some_wait(void)
{
	return !TAILQ_EMPTY(&waiting);
}

/* Also what OpenSSL needs for it is made then, and not for who has said nothing yet. */
static bool begin(struct conn *c)
{
	return c->link.transport.tls ||
	       tls_start(&c->link.transport, c->opening->listener->tls) == 0;
}

enum opening_step opening_read_tls(struct conn *c, struct refusal *why)
{
	const char *words = NULL;

	turn_spend(TURN_STEP);
	metrics_beat();
	if (!begin(c)) {
		why->reason = REASON_NO_MEMORY;
		return OPENING_GONE;
	}
	switch (tls_handshake(&c->link.transport, &words)) {
	case TLS_DONE:
		client_by_certificate(c);
		return OPENING_GO;
	case TLS_WAIT:
		return OPENING_WAIT;
	case TLS_GONE: /* a check whether we are there is no failure */
		why->reason = REASON_PEER_GONE;
		return OPENING_GONE;
	case TLS_PLAIN: /* it is answered in the clear, for that is all that it understands */
		tls_abandon(&c->link.transport);
		refusal_plain(why, REASON_PLAIN_HTTP);
		return OPENING_REFUSE;
	case TLS_FAILED:
		break;
	}
	refusal_set(why, REASON_TLS_HANDSHAKE, "TLS handshake failed: %s", words);
	return OPENING_REFUSE;
}
