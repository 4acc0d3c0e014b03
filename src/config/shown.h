/*
 * shown.h - settings as an administrator is shown them: without secrets.
 */
#ifndef CONFIG_SHOWN_H
#define CONFIG_SHOWN_H

#include <jansson.h>

#include "config/key.h"

/*
 * The value of a row in the object of its table, as JSON: what is written with a unit or in quotes
 * is a string, a group an object, a list an array, what is not set null. A row that is secret, and
 * a password in a URL, is "***". The caller has the reference.
 */
json_t *show_value(const struct config_key *k, const void *object);

/* A string so; bytes that are not UTF-8 become \xNN. */
json_t *show_string(const char *s);

#endif
