/*
 * secure.c - a connection while its TLS handshake goes on.
 *
 * Handshakes cost a thousand times what a message does, so each loop turn takes on a
 * bounded number of steps; who has to wait is reported again by the next turn.
 * Scanners fail here all day: that is worth a line, not an alarm.
 */
#include <stdio.h>

#include "config/config.h"
#include "net/tls.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/session.h"

enum { STEPS_A_TURN = 16, IDENTITY_MAX = 512 };

static int steps_left = STEPS_A_TURN;

void secure_turn_end(void)
{
	steps_left = STEPS_A_TURN;
}

/* The peer's certificate goes with every line about the connection. */
static void note_identity(struct conn *c)
{
	char text[IDENTITY_MAX];

	if (tls_peer_identity(&c->transport, text, sizeof(text)) > 0)
		origin_set_client(c, text);
}

static void refuse(struct conn *c, enum reason reason, const char *why)
{
	char text[256];

	snprintf(text, sizeof(text), "TLS handshake failed: %s", why);
	entry_refused(c, reason, 0, NULL, text);
	conn_kill(c, reason);
}

void secure_timeout(struct conn *c)
{
	refuse(c, REASON_HANDSHAKE_TIMEOUT, "it did not come to an end in time");
}

/* In the clear, for that is all that such a peer understands. */
static void answer_plainly(struct conn *c)
{
	tls_abandon(&c->transport);
	conn_set_state(c, CONN_UPGRADE);
	handshake_refuse(c, REASON_PLAIN_HTTP);
}

bool secure_begin(struct conn *c)
{
	if (tls_start(&c->transport, c->listener->tls) == 0)
		return true;
	conn_kill(c, REASON_NO_MEMORY);
	return false;
}

bool secure_go_on(struct conn *c)
{
	const char *why = NULL;

	if (steps_left == 0)
		return false;
	steps_left--;
	metrics_beat();
	switch (tls_handshake(&c->transport, &why)) {
	case TLS_DONE:
		note_identity(c);
		conn_set_state(c, CONN_UPGRADE);
		conn_update_interest(c);
		return c->state_now == CONN_UPGRADE;
	case TLS_WAIT:
		conn_update_interest(c);
		return false;
	case TLS_GONE: /* a check whether we are there is no failure */
		conn_kill(c, REASON_PEER_GONE);
		return false;
	case TLS_PLAIN:
		answer_plainly(c);
		return false;
	case TLS_FAILED:
		refuse(c, REASON_TLS_HANDSHAKE, why);
		return false;
	}
	return false;
}
