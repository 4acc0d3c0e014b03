/*
 * buffer.h - bytes that grow.
 *
 * A zeroed buffer is empty and owns nothing. It grows by doubling.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *p;
	size_t len, size;
};

/* Makes room for n more bytes behind len. False: no memory, and nothing has changed. */
bool buffer_reserve(struct buffer *b, size_t n) __attribute__((warn_unused_result));

/* Appends n bytes; p may be NULL if n is 0. False: no memory, and nothing has changed. */
bool buffer_append(struct buffer *b, const void *p, size_t n) __attribute__((warn_unused_result));

/* Frees what it owns; it is empty then. */
void buffer_free(struct buffer *b);

/* Empties it, and keeps its memory for the next use if that is at most `keep` bytes. */
void buffer_reset(struct buffer *b, size_t keep);

#endif
