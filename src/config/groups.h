/*
 * groups.h - lists of groups.
 */
#ifndef CONFIG_GROUPS_H
#define CONFIG_GROUPS_H

#include "config/fill.h"

/*
 * Fills the array of k, a row of CONFIG_GROUPS in holder's table, from r->group.
 * Reports what is missing, no list, no group, too much, or there twice. An element
 * that has an error is in the array all the same, with defaults.
 */
void groups_fill(struct config_report *r, const struct config_key *k, struct key_object holder);

#endif
