/*
 * plan.c - see plan.h.
 *
 * Two endpoints are the same if their behaviour and every row of their tables is, two listeners if
 * that and what their files hold is; what is at the same path or address is one that changed. The
 * rows say which settings there are, so a new one is in the plan without a line here.
 */
#include "config/plan.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/alloc.h"
#include "config/fill.h"
#include "config/jwt.h"
#include "config/path.h"
#include "config/plan_access.h"
#include "config/shown.h"
#include "config/tables.h"
#include "config/token_changes.h"
#include "config/tokens.h"
#include "config/validity.h"

enum { COMPARES_MOST = 100000 }; /* of paths, in one plan */

static struct plan_item *add_item(struct plan *p, enum plan_what what, enum plan_how how)
{
	struct plan_item *item;

	p->items = alloc_grow(p->items, p->count, &p->cap, sizeof(*p->items));
	item = &p->items[p->count++];
	*item = (struct plan_item){ .what = what, .how = how, .connections = -1 };
	return item;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* --- settings that differ --- */

static void add_value(struct plan_item *item, const char *group, const struct config_key *k,
		      const void *old, const void *new)
{
	struct plan_value *v;

	item->values = alloc_grow(item->values, item->count, &item->cap, sizeof(*v));
	v = &item->values[item->count++];
	*v = (struct plan_value){ .key = alloc_format("%s%s", group, k->name),
				  .old = show_value(k, old),
				  .new = show_value(k, new) };
}

/* group: in front of the names, such as "compression.". */
static void add_values(struct plan_item *item, const char *group, const struct config_key *k,
		       const void *old, const void *new)
{
	for (; k != NULL && k->name != NULL; k++) {
		if (fill_equal(k, old, new))
			continue;
		if (k->type == CONFIG_GROUP) {
			char *inner = alloc_format("%s%s.", group, k->name);

			add_values(item, inner, k->group->keys, (const char *)old + k->offset,
				   (const char *)new + k->offset);
			free(inner);
		} else {
			add_value(item, group, k, old, new);
		}
	}
}

static void free_values(struct plan_item *item)
{
	for (size_t i = 0; i < item->count; i++) {
		free(item->values[i].key);
		json_decref(item->values[i].old);
		json_decref(item->values[i].new);
	}
	free(item->values);
}

static void plan_setting(struct plan *p, const struct config_key *k, const void *old)
{
	struct plan_item *item;

	if (fill_equal(k, old, p->new))
		return;
	item = add_item(p, PLAN_SETTING, PLAN_CHANGED);
	item->restart = k->restart;
	if (k->type == CONFIG_GROUP)
		add_values(item, "", (const struct config_key[]){ *k, { 0 } }, old, p->new);
	else
		add_value(item, "", k, old, p->new);
}

void plan_add_value(struct plan_item *item, const char *key, json_t *old, json_t *new)
{
	struct plan_value *v;

	item->values = alloc_grow(item->values, item->count, &item->cap, sizeof(*v));
	v = &item->values[item->count++];
	*v = (struct plan_value){ .key = alloc_string(key), .old = old, .new = new };
}

/* What the file holds; that it is another file is a setting that differs. */
static void plan_tokens(struct plan *p)
{
	const struct config_admin *old = &p->old->admin, *new = &p->new->admin;

	if (tokens_same(&old->tokens, &new->tokens) ||
	    !same_string(old->tokens_file, new->tokens_file))
		return;
	plan_add_value(add_item(p, PLAN_SETTING, PLAN_CHANGED), "admin.tokens",
		       token_changes_show_all(&old->tokens, &new->tokens, " (goes)"),
		       token_changes_show_all(&new->tokens, &old->tokens, " (new)"));
}

static void plan_settings(struct plan *p, const struct config *started)
{
	for (const struct config_key *k = table_top.keys; k->name != NULL; k++)
		if (k->type != CONFIG_GROUPS)
			plan_setting(p, k, k->restart ? started : p->old);
	plan_tokens(p);
}

/* --- endpoints --- */

static bool same_endpoint(const struct config_endpoint *a, const struct config_endpoint *b)
{
	return a->behaviour == b->behaviour && fill_same(table_endpoint.keys, a, b) &&
	       (a->opts == NULL || fill_same(a->behaviour->keys, a->opts, b->opts));
}

static bool bars(struct plan *p, const struct config_endpoint *from,
		 const struct config_endpoint *to)
{
	const struct access_changes access = plan_access(p, from, to);

	return plan_access_bars(&access);
}

/* Those that are connected are looked up again, each by the path that it came by. */
static void plan_removed_endpoint(struct plan *p, struct plan_item *item,
				  const struct config_endpoint *e)
{
	const struct config_endpoint *other =
		e->placeholders ? NULL : config_route_name(p->new, e->path);

	item->by_path = e->placeholders;
	item->closes = !e->placeholders && (!other || other->behaviour != e->behaviour);
	item->by_access = other && !item->closes && bars(p, e, other);
}

/* Looks at so many, and no more: of ten thousand endpoints each could be compared with each. */
static const struct config_endpoint *find_taken(const struct plan *p, const char *path,
						unsigned *compares)
{
	const struct config *old = p->old;

	for (size_t i = 0; i < old->endpoint_count; i++) {
		const struct config_endpoint *e = &old->endpoints[i];

		if (!e->placeholders)
			continue;
		if (*compares == 0)
			break;
		--*compares;
		if (path_takes_from(path, e->path))
			return e;
	}
	return NULL;
}

/* More specific than one that there is it takes what leads to it, and who came by that. */
static void plan_added_endpoint(struct plan *p, struct plan_item *item,
				const struct config_endpoint *e, unsigned *compares)
{
	item->from = e->placeholders ? find_taken(p, e->path, compares)
				     : config_route_name(p->old, e->path);
	item->closes = item->from && item->from->behaviour != e->behaviour;
	item->by_access = item->from && !item->closes && bars(p, item->from, e);
}

static void plan_endpoint(struct plan *p, enum plan_how how, const struct config_endpoint *e,
			  unsigned *compares)
{
	struct plan_item *item = add_item(p, PLAN_ENDPOINT, how);

	item->endpoint = e;
	if (how == PLAN_REMOVED)
		plan_removed_endpoint(p, item, e);
	else
		plan_added_endpoint(p, item, e, compares);
}

static void plan_changed_endpoint(struct plan *p, const struct config_endpoint *a,
				  const struct config_endpoint *b)
{
	const struct access_changes access = plan_access(p, a, b);
	struct plan_item *item;

	if (same_endpoint(a, b) && plan_access_same(&access))
		return;
	item = add_item(p, PLAN_ENDPOINT, PLAN_CHANGED);
	item->endpoint = b;
	item->closes = a->behaviour != b->behaviour;
	item->by_path = !item->closes && b->placeholders &&
			strcmp(a->limits.room_names, b->limits.room_names) != 0;
	item->by_access = !item->closes && plan_access_bars(&access);
	add_values(item, "", table_endpoint.keys, a, b);
	plan_access_tell(&access, item);
	if (!item->closes)
		add_values(item, "", a->behaviour->keys, a->opts, b->opts);
}

static void plan_endpoints(struct plan *p)
{
	const struct config *old = p->old, *new = p->new;
	size_t i = 0, j = 0;
	unsigned compares = COMPARES_MOST;

	/* both are sorted by path */
	while (i < old->endpoint_count || j < new->endpoint_count) {
		const struct config_endpoint *a = &old->endpoints[i], *b = &new->endpoints[j];
		int order = i == old->endpoint_count   ? 1
			    : j == new->endpoint_count ? -1
						       : strcmp(a->path, b->path);

		if (order < 0)
			plan_endpoint(p, PLAN_REMOVED, a, &compares);
		else if (order > 0)
			plan_endpoint(p, PLAN_ADDED, b, &compares);
		else
			plan_changed_endpoint(p, a, b);
		i += order <= 0;
		j += order >= 0;
	}
}

/* --- listeners --- */

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

/* Files of other names are settings that differ. */
static bool same_files(const struct config_listener *a, const struct config_listener *b)
{
	size_t n = a->tls.certificate_count;

	for (size_t i = 0; i < n && i < b->tls.certificate_count; i++)
		if (!same_certificate(&a->tls.certificates[i], &b->tls.certificates[i]))
			return false;
	return n == b->tls.certificate_count &&
	       same_chain(a->tls.authorities, b->tls.authorities) &&
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

static void plan_listener(struct plan *p, const struct config_listener *l)
{
	const struct config_listener *was = find_listener(p->old, l);
	struct plan_item *item;

	if (was != NULL && fill_same(table_listen.keys, was, l) && same_files(was, l))
		return;
	item = add_item(p, PLAN_LISTENER, was != NULL ? PLAN_CHANGED : PLAN_ADDED);
	item->listener = l;
	if (was == NULL)
		return;
	add_values(item, "", table_listen.keys, was, l);
	item->files = !same_files(was, l);
}

static void plan_listeners(struct plan *p)
{
	for (size_t i = 0; i < p->new->listener_count; i++)
		plan_listener(p, &p->new->listeners[i]);
	for (size_t i = 0; i < p->old->listener_count; i++)
		if (find_listener(p->new, &p->old->listeners[i]) == NULL)
			add_item(p, PLAN_LISTENER, PLAN_REMOVED)->listener = &p->old->listeners[i];
}

/* --- certificates --- */

static bool has_certificate(const struct config *c, const struct config_certificate *k)
{
	const struct config_listener *l;

	for (size_t i = 0; (l = config_any_listener(c, i)) != NULL; i++) {
		const struct config_tls *t = &l->tls;

		for (size_t j = 0; j < t->certificate_count; j++)
			if (X509_cmp(t->certificates[j].leaf, k->leaf) == 0)
				return true;
	}
	return false;
}

/* Those of a that no listener of b has. */
static void plan_missing(struct plan *p, const struct config *a, const struct config *b,
			 enum plan_how how)
{
	const struct config_listener *l;

	for (size_t i = 0; (l = config_any_listener(a, i)) != NULL; i++) {
		for (size_t j = 0; j < l->tls.certificate_count; j++) {
			struct plan_item *item;

			if (has_certificate(b, &l->tls.certificates[j]))
				continue;
			item = add_item(p, PLAN_CERTIFICATE, how);
			item->listener = l;
			item->certificate = &l->tls.certificates[j];
		}
	}
}

char *plan_subject(const struct config_certificate *c)
{
	return validity_name(X509_get_subject_name(c->leaf));
}

int64_t plan_expiry(const struct config_certificate *c)
{
	return validity_end(c->leaf);
}

/* --- all of it --- */

struct plan *plan_new(struct config *old, const struct config *started, struct config *new)
{
	struct plan *p = alloc_zero(1, sizeof(*p));

	p->old = config_ref(old);
	p->new = config_ref(new);
	plan_endpoints(p);
	plan_listeners(p);
	plan_missing(p, new, old, PLAN_ADDED);
	plan_missing(p, old, new, PLAN_REMOVED);
	plan_settings(p, started);
	return p;
}

void plan_free(struct plan *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->count; i++)
		free_values(&p->items[i]);
	free(p->items);
	file_changes_free(p->file_changes);
	config_unref(p->old);
	config_unref(p->new);
	free(p);
}

unsigned plan_count(const struct plan *p, enum plan_what what, enum plan_how how)
{
	unsigned n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->items[i].what == what && p->items[i].how == how;
	return n;
}
