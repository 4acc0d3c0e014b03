/*
 * counted.h - bytes that several hold: kept once, and gone with the last of them.
 */
#ifndef BASE_COUNTED_H
#define BASE_COUNTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

struct counted {
	size_t holders;
	size_t size; /* of bytes */
	uint8_t *bytes; /* behind it, or in memory that was given */
	size_t given; /* bytes of that; 0: none was */
};

/* A piece of `size` bytes, held by the caller. NULL: no memory. */
struct counted *counted_new(size_t size) __attribute__((warn_unused_result));

/*
 * One of the bytes of a buffer, held by the caller, with its memory: the buffer is empty then. They are
 * counted already (base/account.h). NULL: no memory, and nothing has changed.
 */
struct counted *counted_new_given(struct buffer *from) __attribute__((warn_unused_result));

/*
 * Makes *p, which has one holder and was not given, or is NULL, a piece of at least `size` bytes, of
 * which the first `used` are kept. False: no memory, and nothing has changed.
 */
bool counted_resize(struct counted **p, size_t used, size_t size)
	__attribute__((warn_unused_result));

/* One holder more. Returns p. */
static inline struct counted *counted_hold(struct counted *p)
{
	p->holders++;
	return p;
}

/* One holder less; p may be NULL. */
void counted_release(struct counted *p);

#endif
