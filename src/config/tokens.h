/*
 * tokens.h - the file of who may ask over TCP.
 *
 * A line has a name, a scope and a hash, as `ignyxctl token make` prints it; empty lines and those
 * that begin with # are passed over. A name may be on several lines, so that a token can be replaced
 * while the old one is still in use.
 */
#ifndef CONFIG_TOKENS_H
#define CONFIG_TOKENS_H

#include <stddef.h>

#include "config/config.h"

/*
 * Called with the number of a line, from 1, and what is wrong: "the line has ...". Of many it is called
 * for the first 20, then with 0 and how many more there are.
 */
typedef void tokens_wrong_fn(unsigned line, const char *what, void *arg);

/*
 * Reads len bytes of text into tokens, which has space for CONFIG_TOKENS_MAX. Returns how many
 * there are; lines that are wrong are not among them.
 */
size_t tokens_parse(const char *text, size_t len, struct config_token *tokens,
		    tokens_wrong_fn *wrong, void *arg);

/* Whether one of that name, scope and hash is among them. */
bool tokens_have(const struct config_admin *a, const struct config_token *t);

/* Whether they are the same, in whatever order. */
bool tokens_same(const struct config_admin *a, const struct config_admin *b);

#endif
