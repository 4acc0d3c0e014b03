/*
 * route.c - see route.h.
 *
 * Paths with placeholders are a tree, a node for each place between two segments. From a node lead
 * the segments that are said literally, "{x}" and "{rest...}", and they are tried in this order; where
 * one leads nowhere the next one is. A node is come to in one way only, so that a look-up never
 * takes more steps than there are nodes, and in files that people write one for each segment.
 *
 * The literal segments of all nodes are in one hash table, under the node and their bytes. So are
 * paths without placeholders, as a whole, under no node.
 */
#include "config/route.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"

#define NO_NODE UINT32_MAX

struct node {
	int32_t ends, rest; /* endpoints: of a path that ends here, or goes on with "{rest...}" */
	uint32_t one; /* where "{x}" leads to; NO_NODE: nowhere */
};

/* p NULL: an empty place of the table. */
struct edge {
	const char *p;
	uint32_t len;
	uint32_t from, to; /* nodes; from NO_NODE: p is a whole path, and `to` an endpoint */
};

struct routes {
	struct edge *edges;
	size_t mask, edge_count;
	struct node *nodes; /* the first is where all begin */
	size_t node_count, node_cap;
	bool placeholders;
};

/* --- the table --- */

/* FNV-1a. Who looks up has no say in what is in the table, so that it needs no key. */
static size_t hash(uint32_t from, const char *p, size_t len)
{
	uint64_t h = 0xcbf29ce484222325 ^ from;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

/* Where it is, or would be. */
static struct edge *find(const struct routes *r, uint32_t from, const char *p, size_t len)
{
	for (size_t i = hash(from, p, len);; i++) {
		struct edge *e = &r->edges[i & r->mask];

		if (!e->p || (e->from == from && e->len == len && memcmp(e->p, p, len) == 0))
			return e;
	}
}

/* --- how it is made --- */

static uint32_t add_node(struct routes *r)
{
	r->nodes = alloc_grow(r->nodes, r->node_count, &r->node_cap, sizeof(*r->nodes));
	r->nodes[r->node_count] =
		(struct node){ .ends = ROUTE_NONE, .rest = ROUTE_NONE, .one = NO_NODE };
	return (uint32_t)r->node_count++;
}

/* The node that a segment, no "{rest...}", leads to. */
static uint32_t make_step(struct routes *r, uint32_t from, const struct path_segment *s)
{
	struct edge *e;
	uint32_t to;

	if (s->kind == PATH_ONE) {
		if (r->nodes[from].one == NO_NODE) {
			to = add_node(r);
			r->nodes[from].one = to;
		}
		return r->nodes[from].one;
	}
	e = find(r, from, s->p, s->len);
	if (!e->p)
		*e = (struct edge){ s->p, (uint32_t)s->len, from, add_node(r) };
	return e->to;
}

static void add_placeholders(struct routes *r, const char *path, int32_t endpoint)
{
	struct path_segment s;
	uint32_t node = 0;

	r->placeholders = true;
	while (path_next(&path, &s)) {
		if (s.kind == PATH_REST) {
			r->nodes[node].rest = endpoint;
			return;
		}
		node = make_step(r, node, &s);
	}
	r->nodes[node].ends = endpoint;
}

/* How many edges there may be: as many as segments, or one. */
static size_t count_edges(const char *const *paths, size_t count)
{
	size_t edges = 0;

	for (size_t i = 0; i < count; i++) {
		const char *at = paths[i];
		struct path_segment s;

		edges++;
		while (path_has_placeholders(paths[i]) && path_next(&at, &s))
			edges++;
	}
	return edges;
}

struct routes *routes_new(const char *const *paths, size_t count)
{
	struct routes *r = alloc_zero(1, sizeof(*r));
	size_t size = 4;

	while (size < 2 * count_edges(paths, count))
		size *= 2;
	r->edges = alloc_zero(size, sizeof(*r->edges));
	r->mask = size - 1;
	add_node(r);
	for (size_t i = 0; i < count; i++) {
		const size_t len = strlen(paths[i]);

		if (path_has_placeholders(paths[i]))
			add_placeholders(r, paths[i], (int32_t)i);
		else
			*find(r, NO_NODE, paths[i], len) =
				(struct edge){ paths[i], (uint32_t)len, NO_NODE, (uint32_t)i };
	}
	return r;
}

void routes_free(struct routes *r)
{
	if (r == NULL)
		return;
	free(r->edges);
	free(r->nodes);
	free(r);
}

/* --- how it is used --- */

int route_literal(const struct routes *r, const char *path)
{
	const struct edge *e = find(r, NO_NODE, path, strlen(path));

	return e->p ? (int)e->to : ROUTE_NONE;
}

bool route_has_placeholders(const struct routes *r)
{
	return r->placeholders;
}

static bool is_value(const struct path_split *s, unsigned i)
{
	size_t len;
	const char *p = path_segment_of(s, i, &len);

	return path_is_value(p, len);
}

static bool is_rest(const struct path_split *s, unsigned i)
{
	for (; i < s->count; i++)
		if (!is_value(s, i))
			return false;
	return true;
}

/* From a node on, with the segments from i on. */
static int go_on(const struct routes *r, uint32_t node, const struct path_split *s, unsigned i)
{
	const struct node *n = &r->nodes[node];
	const struct edge *e;
	const char *p;
	int found = ROUTE_NONE;
	size_t len;

	if (i == s->count)
		return n->ends;
	p = path_segment_of(s, i, &len);
	e = find(r, node, p, len);
	if (e->p)
		found = go_on(r, e->to, s, i + 1);
	if (found == ROUTE_NONE && n->one != NO_NODE && is_value(s, i))
		found = go_on(r, n->one, s, i + 1);
	if (found == ROUTE_NONE && n->rest != ROUTE_NONE && is_rest(s, i))
		found = n->rest;
	return found;
}

int route_split(const struct routes *r, const struct path_split *s)
{
	return r->placeholders ? go_on(r, 0, s, 0) : ROUTE_NONE;
}
