/*
 * base64.h - bytes as text (RFC 4648 4), with padding and nothing else in it.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stddef.h>

/* The text of len bytes, at most 1 GiB, as a new string. NULL: there is no memory. */
char *base64_encode(const void *bytes, size_t len);

/* How long that of len bytes is, and writes it and a NUL behind it. */
static inline size_t base64_size(size_t len)
{
	return (len + 2) / 3 * 4;
}
void base64_write(char *out, const void *bytes, size_t len);

/* Decodes in place; text is overwritten. Returns the number of bytes, -1: it is no base64. */
long base64_decode(char *text, size_t len);

#endif
