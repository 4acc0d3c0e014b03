/*
 * token_changes.h - how what a file of tokens holds differs from what it held, as a plan shows it.
 */
#ifndef CONFIG_TOKEN_CHANGES_H
#define CONFIG_TOKEN_CHANGES_H

#include <jansson.h>

#include "config/file_changes.h"

struct config_tokens;

/* Of the lines of two files of `access`, of tokens or of users: struct config_tokens. */
extern const struct file_kind token_changes;

/*
 * All tokens of `admin`, by name and scope, which is all that anybody needs to know; and with a mark
 * those that others have not, for one that takes the place of another may have the same of both.
 */
json_t *token_changes_show_all(const struct config_tokens *all, const struct config_tokens *others,
			       const char *mark);

#endif
