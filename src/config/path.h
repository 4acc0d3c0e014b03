/*
 * path.h - the paths of endpoints, which may have placeholders, and of requests: by segments.
 *
 * "/chat/{room}" takes one segment, "/files/{rest...}" one or more, up to the end. What a request
 * asks for is split at "/" as it came, and each segment is decoded once: one that has a "/" then is
 * none that a placeholder takes.
 */
#ifndef CONFIG_PATH_H
#define CONFIG_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/upgrade.h"

enum {
	PATH_PLACEHOLDERS_MAX = 8, /* of one endpoint */
	PATH_VALUE_MAX = 255, /* bytes of a segment that a placeholder takes */
	PATH_WHY_MAX = 256,
};

enum path_kind { PATH_LITERAL, PATH_ONE, PATH_REST };

/* A segment of an endpoint's path: what it says, or the name of its placeholder. A view of it. */
struct path_segment {
	enum path_kind kind;
	const char *p;
	size_t len;
};

/*
 * The segment that begins at *at, which is then behind it. False: there are no more. path_wrong has to have
 * found nothing.
 */
bool path_next(const char **at, struct path_segment *s);

/* Whether a path that begins with "/" has any placeholder, or what was meant for one. */
bool path_has_placeholders(const char *path);

/* Whether its placeholders are written as they must be; false: why goes on behind "the path". */
bool path_placeholders_good(const char *path, char why[PATH_WHY_MAX]);

/*
 * The path with placeholders that have no names, so that two that can match the same at the same
 * rank are the same. The caller frees it.
 */
char *path_shape(const char *path);

/* Whether there may be paths that both of them match, and the first of them takes those. */
bool path_takes_from(const char *path, const char *other);

/* A path that was asked for. */
struct path_split {
	unsigned count; /* of segments */
	/* Where each begins in the text, with its "/", and behind them all where it ends. */
	uint16_t at[UPGRADE_PATH_MAX + 1];
	char text[UPGRADE_PATH_MAX + 1]; /* decoded; ended by NUL */
};

/*
 * Splits len bytes at p, which are as they came, or (encoded false) a name that was decoded before.
 * False: it does not begin with "/", is too long, or cannot be decoded.
 */
bool path_split(struct path_split *s, const char *p, size_t len, bool encoded);

/* A segment, without its "/". */
static inline const char *path_segment_of(const struct path_split *s, unsigned i, size_t *len)
{
	*len = (size_t)(s->at[i + 1] - s->at[i] - 1);
	return s->text + s->at[i] + 1;
}

/*
 * Whether a placeholder takes such a segment: 1 to PATH_VALUE_MAX bytes of UTF-8 without control
 * characters and "/", and neither "." nor "..".
 */
bool path_is_value(const char *p, size_t len);

#endif
