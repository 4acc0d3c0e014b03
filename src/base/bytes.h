/*
 * bytes.h - copying what may be nothing.
 *
 * A part of a message that is empty often has no address, and memcpy must not
 * be given NULL even for no bytes (C11 7.24.1).
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <string.h>

/* Copies n bytes that do not overlap; from may be NULL if n is 0. Returns to + n. */
static inline unsigned char *bytes_copy(void *to, const void *from, size_t n)
{
	if (n > 0)
		memcpy(to, from, n);
	return (unsigned char *)to + n;
}

#endif
