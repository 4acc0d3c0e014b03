/*
 * diff.c - looking things up in snapshots, and comparing two.
 *
 * Two endpoints are the same if their behaviour and every row of their tables
 * is, two listeners if that and what their files hold is; what is at the same path or
 * address is one that changed.
 */
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/config.h"
#include "config/fill.h"
#include "config/tables.h"

static int compare_path(const void *path, const void *endpoint)
{
	return strcmp(path, ((const struct config_endpoint *)endpoint)->path);
}

struct config_route config_route(const struct config *c, const char *path)
{
	const struct config_endpoint *e =
		bsearch(path, c->endpoints, c->endpoint_count, sizeof(*c->endpoints), compare_path);

	return (struct config_route){ .endpoint = e, .room = e && e->has_room ? e->path : NULL };
}

bool config_uses_bus(const struct config *c)
{
	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i].has_room)
			return true;
	}
	return false;
}

void config_changed_keys(const struct config *old, const struct config *new, bool restart,
			 void (*fn)(const char *key, void *arg), void *arg)
{
	for (const struct config_key *k = table_top.keys; k->name != NULL; k++) {
		if (k->type != CONFIG_GROUPS && k->restart == restart && !fill_equal(k, old, new))
			fn(k->name, arg);
	}
}

static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return a->behaviour == b->behaviour && fill_same(table_endpoint.keys, a, b) &&
	       (a->opts == NULL || fill_same(a->behaviour->keys, a->opts, b->opts));
}

struct config_diff config_diff_endpoints(const struct config *old, const struct config *new)
{
	struct config_diff d = { 0 };
	size_t i = 0, j = 0;

	/* both are sorted by path */
	while (i < old->endpoint_count && j < new->endpoint_count) {
		const struct config_endpoint *a = &old->endpoints[i], *b = &new->endpoints[j];
		int order = strcmp(a->path, b->path);

		d.removed += order < 0;
		d.added += order > 0;
		d.changed += order == 0 && !same_endpoint(a, b);
		i += order <= 0;
		j += order >= 0;
	}
	d.removed += (unsigned)(old->endpoint_count - i);
	d.added += (unsigned)(new->endpoint_count - j);
	return d;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_place(const struct config_listener *a, const struct config_listener *b)
{
	return a->port == b->port && same_string(a->address, b->address) &&
	       same_string(a->unix_path, b->unix_path) && same_string(a->systemd, b->systemd);
}

static bool same_chain(const STACK_OF(X509) * a, const STACK_OF(X509) * b)
{
	int n = sk_X509_num(a);

	if (n != sk_X509_num(b))
		return false;
	while (n-- > 0)
		if (X509_cmp(sk_X509_value(a, n), sk_X509_value(b, n)) != 0)
			return false;
	return true;
}

static bool same_lists(const STACK_OF(X509_CRL) * a, const STACK_OF(X509_CRL) * b)
{
	int n = sk_X509_CRL_num(a);

	if (n != sk_X509_CRL_num(b))
		return false;
	while (n-- > 0)
		if (X509_CRL_match(sk_X509_CRL_value(a, n), sk_X509_CRL_value(b, n)) != 0)
			return false;
	return true;
}

static bool same_certificate(const struct config_certificate *a, const struct config_certificate *b)
{
	return X509_cmp(a->leaf, b->leaf) == 0 && same_chain(a->chain, b->chain);
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
	if (!fill_same(table_listen.keys, a, b))
		return false;
	for (size_t i = 0; i < a->tls.certificate_count; i++)
		if (!same_certificate(&a->tls.certificates[i], &b->tls.certificates[i]))
			return false;
	return same_chain(a->tls.authorities, b->tls.authorities) &&
	       same_lists(a->tls.revoked, b->tls.revoked);
}

static const struct config_listener *find_listener(const struct config *c,
						   const struct config_listener *l)
{
	for (size_t i = 0; i < c->listener_count; i++)
		if (same_place(&c->listeners[i], l))
			return &c->listeners[i];
	return NULL;
}

struct config_diff config_diff_listeners(const struct config *old, const struct config *new)
{
	struct config_diff d = { 0 };

	for (size_t i = 0; i < new->listener_count; i++) {
		const struct config_listener *was = find_listener(old, &new->listeners[i]);

		d.added += was == NULL;
		d.changed += was != NULL && !same_listener(was, &new->listeners[i]);
	}
	for (size_t i = 0; i < old->listener_count; i++)
		d.removed += find_listener(new, &old->listeners[i]) == NULL;
	return d;
}

static bool has_certificate(const struct config *c, const struct config_certificate *k)
{
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_tls *t = &c->listeners[i].tls;

		for (size_t j = 0; j < t->certificate_count; j++)
			if (X509_cmp(t->certificates[j].leaf, k->leaf) == 0)
				return true;
	}
	return false;
}

unsigned config_new_certificates(const struct config *old, const struct config *new)
{
	unsigned n = 0;

	for (size_t i = 0; i < new->listener_count; i++)
		for (size_t j = 0; j < new->listeners[i].tls.certificate_count; j++)
			n += !has_certificate(old, &new->listeners[i].tls.certificates[j]);
	return n;
}

static void each_row(const char *scope, const struct config_key *k,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	for (; k != NULL && k->name != NULL; k++) {
		fn(scope, k, arg);
		if (k->group != NULL)
			each_row(k->name, k->group->keys, fn, arg);
	}
}

void config_each_key(const struct behaviour *const *list,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg)
{
	each_row("", table_top.keys, fn, arg);
	for (; *list != NULL; list++)
		each_row((*list)->name, (*list)->keys, fn, arg);
}
