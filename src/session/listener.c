/*
 * listener.c - see listener.h.
 */
#include "session/listener.h"

#include <stdlib.h>

#include "config/config.h"
#include "net/tls.h"

struct listener *listener_new(const struct config_listener *c, const struct tickets *tickets,
			      const char **why)
{
	struct listener *l = calloc(1, sizeof(*l));

	*why = "no memory";
	if (!l)
		return NULL;
	l->refs = 1;
	if (!c->tls.on)
		return l;
	l->tls = tls_server_new(&c->tls, tickets, why);
	if (l->tls)
		return l;
	free(l);
	return NULL;
}

struct listener *listener_ref(struct listener *l)
{
	l->refs++;
	return l;
}

void listener_unref(struct listener *l)
{
	if (!l || --l->refs > 0)
		return;
	if (l->tls)
		tls_server_free(l->tls);
	free(l);
}
