/*
 * users.h - files of users: of who may connect with a password.
 *
 * A line is NAME:HASH, as `ignyxctl password` prints it, with a hash as crypted.h has it. No two lines
 * have one name.
 */
#ifndef CONFIG_USERS_H
#define CONFIG_USERS_H

#include <stddef.h>

#include "config/config.h"
#include "config/lines.h"

/* Reads len bytes of text into *out. Lines that are wrong are not among them. */
void users_parse(const char *text, size_t len, struct config_users *out, lines_wrong_fn *wrong,
		 void *arg);
void users_free(struct config_users *all);

/* NULL: there is none of that name. */
const struct config_user *users_find(const struct config_users *all, const char *name);

/*
 * Whose hash is to be checked in place of that of somebody who is none of them, so that this takes as long
 * as if he were: of each kind and cost of hash that there is one, and of these always the same for one
 * name, by a secret. NULL: the file has no users.
 */
const struct config_user *users_stand_in(const struct config_users *all, const char *name);

#endif
