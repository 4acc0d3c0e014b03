/*
 * tokens.h - files of tokens: of who may ask over TCP, and of who may connect.
 *
 * A line has a name, in the first of the two a scope, and a hash, as `ignyxctl token make` prints it;
 * empty lines and those that begin with # are passed over. A name may be on several lines, so that a
 * token can be replaced while the old one is still in use.
 */
#ifndef CONFIG_TOKENS_H
#define CONFIG_TOKENS_H

#include <stddef.h>

#include "config/config.h"
#include "config/lines.h"
#include "proto/http.h"

/* What a line of a file has, and how many there may be: of `admin`, and of `access`. */
struct tokens_form;
extern const struct tokens_form tokens_of_admin, tokens_of_access;

/*
 * Reads len bytes of text into *out, whose list the caller frees. Lines that are wrong are not among
 * them.
 */
void tokens_parse(const char *text, size_t len, const struct tokens_form *form,
		  struct config_tokens *out, lines_wrong_fn *wrong, void *arg);

/* The line of a token, and that of a hash. NULL: there is none. */
const struct config_token *tokens_find(const struct config_tokens *all, struct http_text token);
const struct config_token *tokens_find_hash(const struct config_tokens *all,
					    const uint8_t hash[CONFIG_TOKEN_HASH]);

/* Whether one of that name, scope and hash is among them. */
bool tokens_have(const struct config_tokens *all, const struct config_token *t);

/* Whether they are the same, in whatever order they were written. */
bool tokens_same(const struct config_tokens *a, const struct config_tokens *b);

#endif
