/*
 * token_changes.h - how what a file of tokens holds differs from what it held, as a plan shows it.
 */
#ifndef CONFIG_TOKEN_CHANGES_H
#define CONFIG_TOKEN_CHANGES_H

#include <jansson.h>
#include <stdbool.h>

struct config_tokens;

/* Of the files of `access` one change for each pair that was asked for. */
struct token_change {
	const struct config_tokens *old, *new; /* NULL: there was, or is, none */
	bool same;
	json_t *gone, *come; /* their names, 100 of each at most; NULL where they are the same */
	bool told; /* the caller's */
	struct token_change *next;
};

/* The change from one to the other, made at the first call; it lives as long as *all. */
struct token_change *token_changes_find(struct token_change **all, const struct config_tokens *old,
					const struct config_tokens *new);
void token_changes_free(struct token_change *all);

/*
 * All tokens of `admin`, by name and scope, which is all that anybody needs to know; and with a mark
 * those that others have not, for one that takes the place of another may have the same of both.
 */
json_t *token_changes_show_all(const struct config_tokens *all, const struct config_tokens *others,
			       const char *mark);

#endif
