/*
 * access_listeners.c - whether what endpoints ask of clients can be had on the listeners, and is safe
 * there.
 */
#include <string.h>

#include "config/parse.h"

/* Whether an endpoint's group asks for something. */
typedef bool asks_fn(const struct config_access *a);

/* The first endpoint of all in the text. NULL: none asks. */
static const struct config_endpoint *find_first(const struct config *c, asks_fn *asks)
{
	for (size_t i = 0; i < c->endpoint_count; i++)
		if (asks(&c->endpoints[i].limits.access))
			return &c->endpoints[i];
	return NULL;
}

/* --- certificates --- */

static bool asks_for_certificates(const struct config_access *a)
{
	return a->client_certificates != NULL && a->client_certificates[0] != NULL;
}

/* Whoever looks at a client's certificate, be it a proxy that tells us of it. */
static bool has_certificates(const struct config *c)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (c->listeners[i].tls.verify != VERIFY_NONE || c->listeners[i].proxy_protocol)
			return true;
	return false;
}

static void check_certificates(struct parse *p)
{
	const struct config *c = p->config;
	const struct config_endpoint *e = find_first(c, asks_for_certificates);

	if (e != NULL && c->listener_count > 0 && !has_certificates(c))
		config_report_error(
			&p->top, "listen",
			"has no listener that asks clients for certificates, and the "
			"endpoint at %s:%d has \"client_certificates\": set \"tls\" with "
			"\"client_ca\" and \"verify\" for one",
			e->file, e->line);
}

/* --- secrets --- */

static bool asks_for_secrets(const struct config_access *a)
{
	return a->tokens != NULL || a->jwt.rules != NULL || a->users != NULL;
}

/* Where nobody has ended TLS ahead of us. Of what the service manager opens it is not known. */
static bool is_in_the_clear(const struct config_listener *l)
{
	return l->address != NULL && !listener_is_loopback(l->address) &&
	       l->tls.certificate_count == 0 && !l->proxy_protocol && l->forwarded == 0;
}

/* What is read on its way lets in whoever reads it. */
static void check_secrets(struct parse *p)
{
	const struct config *c = p->config;
	const struct config_endpoint *e = find_first(c, asks_for_secrets);
	const config_setting_t *list = config_setting_get_member(p->top.group, "listen");

	for (size_t i = 0; e != NULL && i < c->listener_count; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		if (s != NULL && is_in_the_clear(&c->listeners[i]))
			report_warning(
				&p->top, s,
				"clients send what lets them in in the clear to %s, port %lld, "
				"for the endpoint at %s:%d asks for it: set \"tls\" for this "
				"listener, or let it listen on \"127.0.0.1\" behind a proxy",
				c->listeners[i].address, (long long)c->listeners[i].port, e->file,
				e->line);
	}
}

void access_check_listeners(struct parse *p)
{
	check_certificates(p);
	check_secrets(p);
}
