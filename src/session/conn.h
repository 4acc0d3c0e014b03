/*
 * conn.h - one WebSocket connection, as behaviours see it.
 */
#ifndef SESSION_CONN_H
#define SESSION_CONN_H

#include <stddef.h>

#include "base/reason.h"
#include "config/key.h"
#include "proto/frame.h"

struct conn;

/*
 * Sends one message (TEXT or BINARY): prefix, then data. Both are lent for the
 * call, after which a long message that came in may be gone. What the socket does
 * not take is kept up to max_pending; beyond, the endpoint's slow_consumer policy
 * decides. Cannot fail towards the caller: a connection that cannot go on is ended
 * after the loop turn.
 */
void conn_send(struct conn *c, enum ws_opcode opcode, const void *prefix, size_t prefix_len,
	       const void *data, size_t len);

/* The same of a setting, with c's values in place of its placeholders (config/template.h). */
void conn_tell(struct conn *c, const struct config_template *t);

/*
 * The CONFIG_TEMPLATE of c's behaviour, with c's values: ready to be used, and lent for the call. It was
 * made when c was let in, and by each reload since.
 */
struct config_text conn_kept_text(const struct conn *c);
static inline struct config_text conn_text(const struct conn *c, const struct config_template *t)
{
	return t->count == 0 ? t->text : conn_kept_text(c);
}

/* Sends a message back as it came, and so needs no copy of it in most cases. */
void conn_send_back(struct conn *c, const struct ws_message *m);

/*
 * The behaviour's own line in the log, with the connection's fields. Of more than 100 at once,
 * then 20 a second, only the number is logged.
 */
void conn_log(struct conn *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Why the connection ended or ends. */
enum reason conn_close_reason(const struct conn *c);

#endif
