/*
 * texts.c - see texts.h.
 *
 * A text is put together where there is time for it: when a connection opens, and by a reload. What
 * is put ahead of each message is then kept, so that a message finds it as it finds one that has no
 * placeholders; what is sent once is not.
 */
#include "session/texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "config/config.h"
#include "config/template.h"
#include "session/conn_internal.h"
#include "session/turn.h"

_Static_assert(NET_PEER_TEXT_MAX <= (int)TEMPLATE_PEER_MAX,
	       "an address is no longer than is thought");

enum { KEPT = 64 * 1024 };

/* Where they are written. */
struct values {
	struct template_values known;
	char peer[NET_PEER_TEXT_MAX], conn[TEMPLATE_CONN_MAX + 1];
};

static void find_values(const struct conn *c, const struct config_endpoint *e, const char *name,
			struct values *v)
{
	snprintf(v->conn, sizeof(v->conn), "%llx", (unsigned long long)c->id);
	v->known = (struct template_values){ .endpoint = e,
					     .name = name,
					     .peer = net_peer_format(&c->peer, v->peer),
					     .conn = v->conn,
					     .user = conn_user(c) };
}

bool texts_keep(struct conn *c, const struct config_endpoint *e, const char *name)
{
	struct config_text text = { NULL, 0 };
	struct values v;

	if (e->kept && !conn_need_extra(c))
		return false;
	if (e->kept) {
		find_values(c, e, name, &v);
		text.len = template_size(e->kept, &v.known);
		text.data = malloc(text.len + 1);
		if (!text.data)
			return false;
		template_write(e->kept, &v.known, text.data);
		turn_spend_on(text.len, TURN_KEEP);
	}
	if (c->extra)
		conn_set_text(c, text);
	return true;
}

struct config_text conn_kept_text(const struct conn *c)
{
	return c->extra->text;
}

static void tell_values(struct conn *c, const struct config_template *t)
{
	static struct buffer out;
	struct values v;
	size_t len;

	find_values(c, c->endpoint, conn_name(c), &v);
	len = template_size(t, &v.known);
	out.len = 0;
	if (!buffer_reserve(&out, len)) {
		link_fail(&c->link, ENOMEM);
		return;
	}
	template_write(t, &v.known, (char *)out.p);
	conn_send(c, WS_TEXT, NULL, 0, out.p, len);
	buffer_reset(&out, KEPT);
}

void conn_tell(struct conn *c, const struct config_template *t)
{
	if (t->count > 0)
		tell_values(c, t);
	else
		conn_send(c, WS_TEXT, NULL, 0, t->text.data, t->text.len);
}
