/*
 * route.h - which endpoint a path leads to: a structure that is made once for all endpoints, and
 * then never changes.
 *
 * What it costs to look a path up is up to the path, not to how many endpoints there are.
 */
#ifndef CONFIG_ROUTE_H
#define CONFIG_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/path.h"

struct routes;

/*
 * paths: of all endpoints, lent as long as the result; sound, and no two of one shape (path.h). What
 * leads to one is its index. Ended by routes_free.
 */
struct routes *routes_new(const char *const *paths, size_t count);
void routes_free(struct routes *r);

enum { ROUTE_NONE = -1 };

/* Of a path without placeholders that is just this one, decoded. */
int route_literal(const struct routes *r, const char *path);

/* Whether any has placeholders: else route_split finds none. */
bool route_has_placeholders(const struct routes *r);

/*
 * Of one with placeholders: of those that match the most specific one, from left to right: what is
 * said literally before "{x}", and that before "{rest...}".
 */
int route_split(const struct routes *r, const struct path_split *s);

#endif
