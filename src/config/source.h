/*
 * source.h - the expanded text, and where each of its lines came from.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/errors.h"
#include "config/named.h"

enum {
	SOURCE_BYTES_MAX = 4 << 20, /* read in all, include lines counted */
	SOURCE_NESTING_MAX = 10, /* files that are open at once */
};

/* Expanded lines from `first` on are those of one file from `line` on. */
struct source_run {
	uint32_t first, file, line;
};

/* A file that the text names, as it was when it was read. */
struct source_attachment {
	char *name;
	char *bytes;
	size_t len;
	unsigned mode; /* of the file; 0 in an unpacked source */
};

struct config_source {
	char *text; /* NUL-terminated, no NUL within, ends with a line break */
	size_t len, cap;
	unsigned lines;
	struct source_run *runs; /* ascending; runs[0].first is 1 */
	size_t run_count, run_cap;
	char **files; /* files[0] is the one that was asked for */
	size_t file_count, file_cap;
	struct source_attachment **attachments; /* in the order in which they came, */
	struct named_objects by_name; /* and by their names */
	size_t attachment_count, attachment_cap;
	bool unpacked; /* made by another process, which has checked it */
};

/* Building one: appends a line (its line break is added), a file, a run that begins here. */
void source_add_line(struct config_source *s, const char *line, size_t len);
uint32_t source_add_file(struct config_source *s, const char *name);
void source_add_run(struct config_source *s, uint32_t file, unsigned line);

/*
 * The file of a name, which is read at the first call and never again. NULL: *why
 * says why it cannot be read. An unpacked source has what it came with.
 */
const struct source_attachment *source_attach(struct config_source *s, const char *name,
					      const char **why);

/* The place of a line of the expanded text; line 0 counts as the first. */
struct config_place source_place(const struct config_source *s, unsigned line);
uint32_t source_file(const struct config_source *s, unsigned line);

#endif
