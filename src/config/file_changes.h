/*
 * file_changes.h - how what a file that `access` names holds differs from what it held, as a plan shows it.
 *
 * Ten thousand endpoints may name the same file: what two configurations have of it is compared once.
 */
#ifndef CONFIG_FILE_CHANGES_H
#define CONFIG_FILE_CHANGES_H

#include <jansson.h>
#include <stdbool.h>

/* What is in a file of one kind, each as the kind has it. */
struct file_kind {
	bool (*same)(const void *a, const void *b);
	/* A list of what of all the others have not, each with the mark behind it; of what can be shown. */
	json_t *(*missing)(const void *all, const void *others, const char *mark);
};

struct file_change {
	const void *old, *new; /* NULL: there was, or is, none */
	bool same;
	json_t *gone, *come; /* NULL where they are the same, or there is one of them alone */
	bool told; /* the caller's */
	struct file_change *next;
};

/* The change from one to the other, made at the first call; it lives as long as *all. */
struct file_change *file_changes_find(struct file_change **all, const struct file_kind *kind,
				      const void *old, const void *new);
void file_changes_free(struct file_change *all);

#endif
