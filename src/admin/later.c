/*
 * later.c - see later.h.
 */
#include "admin/later.h"

#include "admin/request.h"

static void gone_cb(struct evhttp_connection *c, void *arg)
{
	struct later *l = arg;

	(void)c;
	request_gone(l->http);
	l->http = NULL;
}

void later_begin(struct later *l, const struct request *r)
{
	l->http = r->http;
	evhttp_connection_set_closecb(evhttp_request_get_connection(l->http), gone_cb, l);
}

bool later_end(struct later *l, struct request *r)
{
	if (!l->http)
		return false;
	evhttp_connection_set_closecb(evhttp_request_get_connection(l->http), NULL, NULL);
	*r = (struct request){ .http = l->http };
	return true;
}
