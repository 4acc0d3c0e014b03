/*
 * plan_access.h - what another configuration changes about who may come in, as a plan tells it.
 */
#ifndef CONFIG_PLAN_ACCESS_H
#define CONFIG_PLAN_ACCESS_H

#include <stdbool.h>

#include "config/plan.h"

/* Of the files that two endpoints name. */
struct access_changes {
	struct file_change *tokens, *users, *keys;
	const struct config_access *old, *new;
};

/* From a, of the old configuration, to b, of the new one: found once for all endpoints with the same files. */
struct access_changes plan_access(struct plan *p, const struct config_endpoint *a,
				  const struct config_endpoint *b);

/* Whether their files hold the same. */
bool plan_access_same(const struct access_changes *c);
/* Whether somebody may be connected whom the new one does not let in, by its settings or its files. */
bool plan_access_bars(const struct access_changes *c);
/* Adds what of the files is new and goes to the item, where no item before it has told that. */
void plan_access_tell(const struct access_changes *c, struct plan_item *item);

/* plan.c: a value that differs; both JSON values are the item's from here on. */
void plan_add_value(struct plan_item *item, const char *key, json_t *old, json_t *new);

#endif
