/*
 * load.c - reading the files.
 *
 * `@include "file"` alone on a line stands for the lines of that file. It is
 * expanded here, not by libconfig: the workers must parse what the master
 * read, not what is on the disk by then, and libconfig 1.5 ends the process
 * when it is given a directory. A name is relative to the file that includes
 * it and may be a glob pattern, which is expanded in sorted order and may match
 * nothing.
 *
 * Files are read whole, each once, and only regular files: a FIFO would block
 * the master for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/file.h"
#include "config/lex.h"
#include "config/source.h"

/* One file being expanded, and those that include it. */
struct frame {
	const char *name;
	dev_t dev;
	ino_t ino;
	struct frame *up;
	uint32_t file; /* its number in the source */
	unsigned line; /* where it is being read */
};

struct loader {
	struct config_source *source;
	struct config_errors *errors;
	size_t budget; /* bytes that may still be read */
};

static void expand_file(struct loader *l, const char *name, struct frame *up);

/* Where an error about a file is reported: at the line that includes it, else at the file. */
static struct config_place place_of(const struct loader *l, const struct frame *f, const char *name)
{
	if (f == NULL)
		return (struct config_place){ .file = name };
	return (struct config_place){ f->name, f->line, l->source->lines + 1 };
}

static void report(struct loader *l, struct frame *up, const char *name, const char *why)
{
	struct config_place at = place_of(l, up, name);

	if (up == NULL)
		errors_add(l->errors, false, at, "cannot read: %s", why);
	else
		errors_add(l->errors, false, at, "cannot include \"%s\": %s", name, why);
}

/* Whether f, one of those that include it, is this file; or there are too many. */
static const char *check_nesting(const struct frame *f)
{
	unsigned depth = 0;

	for (const struct frame *g = f->up; g != NULL; g = g->up) {
		if (g->dev == f->dev && g->ino == f->ino)
			return "it would include itself";
		depth++;
	}
	return depth < SOURCE_NESTING_MAX ? NULL : "more than 10 files are nested";
}

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r", *p) != NULL)
		p++;
	return p;
}

/* If the line is an @include, what stands behind the word; else NULL. */
static const char *include_argument(const char *line, const char *end)
{
	static const char word[] = "@include";
	const char *p = skip_space(line, end);

	if ((size_t)(end - p) < strlen(word) || memcmp(p, word, strlen(word)) != 0)
		return NULL;
	return p + strlen(word);
}

/* Takes the quoted name out of it. NULL: it is malformed. Caller frees. */
static char *include_name(const char *p, const char *end)
{
	const char *name = skip_space(p, end), *quote;

	if (name == p || name == end || *name != '"')
		return NULL;
	name++;
	quote = memchr(name, '"', (size_t)(end - name));
	if (quote == NULL || quote == name)
		return NULL;
	p = skip_space(quote + 1, end);
	if (p < end && *p != '#' && !(end - p >= 2 && p[0] == '/' && p[1] == '/'))
		return NULL;
	return alloc_bytes(name, (size_t)(quote - name));
}

/* The directory of a file as the beginning of a glob pattern: taken literally. */
static char *pattern_in_directory_of(const char *file, const char *pattern)
{
	const char *slash = strrchr(file, '/');
	size_t dir = *pattern == '/' || slash == NULL ? 0 : (size_t)(slash - file) + 1, n = 0;
	char *out = alloc_zero(2 * dir + strlen(pattern) + 1, 1);

	for (size_t i = 0; i < dir; i++) {
		if (strchr("*?[\\", file[i]) != NULL)
			out[n++] = '\\';
		out[n++] = file[i];
	}
	strcpy(out + n, pattern);
	return out;
}

static void expand_pattern(struct loader *l, struct frame *f, const char *name)
{
	char *pattern = pattern_in_directory_of(f->name, name);
	glob_t g;
	int rc = glob(pattern, GLOB_ERR, NULL, &g);

	if (rc == 0) {
		for (size_t i = 0; i < g.gl_pathc; i++)
			expand_file(l, g.gl_pathv[i], f);
	} else if (strpbrk(name, "*?[") == NULL) {
		report(l, f, name, strerror(ENOENT));
	} else if (rc != GLOB_NOMATCH && errno != ENOENT) { /* no directory, no match */
		report(l, f, name, strerror(errno));
	}
	if (rc == 0)
		globfree(&g);
	free(pattern);
}

static void expand_include(struct loader *l, struct frame *f, const char *argument, const char *end)
{
	char *name = include_name(argument, end);

	if (name == NULL)
		errors_add(l->errors, false, place_of(l, f, NULL),
			   "@include needs the name of a file in quotes, alone on its line");
	else
		expand_pattern(l, f, name);
	free(name);
	source_add_run(l->source, f->file, f->line + 1);
}

static void report_open_comment(struct loader *l, struct frame *f, unsigned line)
{
	f->line = line;
	errors_add(l->errors, false, place_of(l, f, NULL),
		   "the comment is not closed: \"*/\" is missing");
}

/* Appends the lines of a file, includes expanded. */
static void expand_lines(struct loader *l, struct frame *f, const char *bytes, size_t len)
{
	const char *end = bytes + len;
	bool comment = false;
	unsigned opened = 0;

	f->line = 1;
	source_add_run(l->source, f->file, 1);
	for (const char *p = bytes; p < end; f->line++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p)), *argument;

		if (stop == NULL)
			stop = end;
		argument = comment ? NULL : include_argument(p, stop);
		if (argument != NULL) {
			expand_include(l, f, argument, stop);
		} else {
			source_add_line(l->source, p, (size_t)(stop - p));
			if (!comment)
				opened = f->line;
			comment = lex_line_comment(p, (size_t)(stop - p), comment);
		}
		p = stop + 1;
	}
	/* the comment would go on in the file that includes this one */
	if (comment && f->up != NULL)
		report_open_comment(l, f, opened);
}

static void report_nul(struct loader *l, struct frame *f, const char *bytes, const char *nul)
{
	f->line = 1;
	for (const char *p = bytes; p < nul; p++)
		f->line += *p == '\n';
	errors_add(l->errors, false, place_of(l, f, NULL), "a NUL byte: this is not a text file");
}

static void expand_bytes(struct loader *l, struct frame *f, const char *bytes, size_t len)
{
	const char *nul = memchr(bytes, '\0', len);

	f->file = source_add_file(l->source, f->name);
	if (nul != NULL)
		report_nul(l, f, bytes, nul);
	else
		expand_lines(l, f, bytes, len);
}

static void expand_file(struct loader *l, const char *name, struct frame *up)
{
	struct frame f = { .name = name, .up = up };
	const char *why = NULL;
	struct stat st = { 0 };
	char *bytes = NULL;
	size_t len = 0;
	int fd = file_open(name, &st, &why);

	if (fd >= 0) {
		f.dev = st.st_dev;
		f.ino = st.st_ino;
		why = check_nesting(&f);
		if (why == NULL)
			why = file_read(fd, l->budget, "the configuration is larger than 4 MiB",
					&bytes, &len);
		close(fd);
	}
	if (why != NULL) {
		report(l, up, name, why);
	} else {
		l->budget -= len;
		expand_bytes(l, &f, bytes, len);
	}
	free(bytes);
}

struct config_source *config_load(const char *path, struct config_errors *e)
{
	struct loader l = { .errors = e, .budget = SOURCE_BYTES_MAX };
	size_t before = config_errors_count(e);

	l.source = alloc_zero(1, sizeof(*l.source));
	expand_file(&l, path, NULL);
	if (config_errors_count(e) != before) {
		config_source_free(l.source);
		return NULL;
	}
	if (l.source->text == NULL) /* an empty file */
		source_add_line(l.source, "", 0);
	return l.source;
}
