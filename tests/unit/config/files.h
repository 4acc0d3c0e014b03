/*
 * files.h - configurations for tests: written to a file, loaded, parsed.
 */
#ifndef TESTS_CONFIG_FILES_H
#define TESTS_CONFIG_FILES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "behaviours.h"
#include "config/config.h"

/* What config_errors_each gave, a line each; warnings begin with "warning: ". */
struct lines {
	char *text;
	size_t len;
};

static inline void lines_add(bool warning, const char *line, void *arg)
{
	struct lines *l = arg;
	char *text;
	int n = asprintf(&text, "%s%s%s\n", l->text != NULL ? l->text : "",
			 warning ? "warning: " : "", line);

	assert_true(n > 0);
	free(l->text);
	l->text = text;
	l->len = (size_t)n;
}

/* Loads and parses; the lines (caller frees) are "" if there are none. */
static inline struct config *parse_file(const char *path, char **lines)
{
	struct config_errors *e = config_errors_new();
	struct config_source *s = config_load(path, e);
	struct config *c = NULL;
	struct lines l = { strdup(""), 0 };

	if (s != NULL)
		c = config_parse(s, test_behaviours, 7, e);
	config_errors_each(e, lines_add, &l);
	assert_true((c == NULL) == (config_errors_count(e) > 0));
	config_source_free(s);
	config_errors_free(e);
	if (lines != NULL)
		*lines = l.text;
	else
		free(l.text);
	return c;
}

/* A file with these bytes that goes when fd is closed; path has 64 bytes. */
static inline int text_file(const char *bytes, size_t len, char *path)
{
	int fd = memfd_create("test.conf", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static inline struct config *parse_bytes(const char *bytes, size_t len, char **lines)
{
	char path[64];
	int fd = text_file(bytes, len, path);
	struct config *c = parse_file(path, lines);

	close(fd);
	return c;
}

/* A configuration that is expected to be good. */
static inline struct config *parse_good(const char *text)
{
	char *lines;
	struct config *c = parse_bytes(text, strlen(text), &lines);

	assert_string_equal(lines, "");
	free(lines);
	return c;
}

#define LISTEN "listen = ( { address = \"127.0.0.1\"; port = 8080; } );"
#define NO_ENDPOINTS "endpoints = ( { path = \"/\"; behaviour = \"plain\"; } );"

#endif
