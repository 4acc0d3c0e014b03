/*
 * belongings.c - what belongs to a connection and lies elsewhere: the snapshot of its endpoint, as
 * what it was let in, and what few need.
 */
#include <stdlib.h>

#include "config/config.h"
#include "session/conn_internal.h"

void conn_set_endpoint(struct conn *c, const struct config_endpoint *e)
{
	const struct config_endpoint *old = c->endpoint;

	if (e)
		config_ref((struct config *)e->config);
	c->endpoint = e;
	if (old)
		config_unref((struct config *)old->config);
}

struct conn_extra *conn_need_extra(struct conn *c)
{
	if (!c->extra)
		c->extra = calloc(1, sizeof(*c->extra));
	return c->extra;
}

void conn_free_belongings(struct conn *c)
{
	conn_set_endpoint(c, NULL);
	if (c->extra)
		free(c->extra->client);
	free(c->extra);
	free(c->admission);
}
