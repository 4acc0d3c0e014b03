/*
 * bytes.h - copying what may be nothing, in one piece or in parts, and cutting what is text.
 *
 * A part of a message that is empty often has no address, and memcpy must not
 * be given NULL even for no bytes (C11 7.24.1).
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stddef.h>
#include <string.h>
#include <sys/uio.h>

/* Copies n bytes that do not overlap; from may be NULL if n is 0. Returns to + n. */
static inline unsigned char *bytes_copy(void *to, const void *from, size_t n)
{
	if (n > 0)
		memcpy(to, from, n);
	return (unsigned char *)to + n;
}

/* The same of a literal text, without its NUL. */
#define BYTES_PUT(to, text) bytes_copy(to, text, sizeof(text) - 1)

/* How many bytes the parts have together. */
static inline size_t bytes_of_parts(const struct iovec *parts, int count)
{
	size_t len = 0;

	for (int i = 0; i < count; i++)
		len += parts[i].iov_len;
	return len;
}

/* Copies all of them; returns the address behind. */
static inline unsigned char *bytes_copy_parts(void *to, const struct iovec *parts, int count)
{
	for (int i = 0; i < count; i++)
		to = bytes_copy(to, parts[i].iov_base, parts[i].iov_len);
	return to;
}

/*
 * How many of the n bytes of text are whole characters (UTF-8), where it was cut behind them. What
 * is no such text counts, but for at most 3 bytes at its end.
 */
static inline size_t bytes_whole(const char *text, size_t n)
{
	size_t last = n;
	unsigned char c;

	if (n == 0)
		return 0;
	do
		c = (unsigned char)text[--last];
	while (last > 0 && n - last < 4 && (c & 0xc0) == 0x80);
	return n - last < (c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4) ? last : n;
}

#endif
