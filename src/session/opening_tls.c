/*
 * opening_tls.c - the TLS handshake of a connection, see opening.h.
 *
 * Handshakes cost a thousand times what a message does, and how much depends on the key: so the
 * clock is looked at behind each step of one.
 * Scanners fail here all day: that is worth a line, not an alarm.
 */
#include "base/metrics.h"
#include "net/tls.h"
#include "session/client.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/opening.h"
#include "session/turn.h"

bool opening_begin_tls(struct conn *c)
{
	return tls_start(&c->link.transport, c->opening->listener->tls) == 0;
}

enum opening_step opening_read_tls(struct conn *c, struct refusal *why)
{
	const char *words = NULL;

	turn_spend(TURN_STEP);
	metrics_beat();
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
