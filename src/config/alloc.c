/*
 * alloc.c - memory for configuration.
 *
 * The one place of the layer that may end the process; see alloc.h for why.
 */
#include "config/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *alloc_checked(void *p)
{
	if (p == NULL) {
		fputs("ignyxd: out of memory while reading the configuration\n", stderr);
		exit(1);
	}
	return p;
}

void *alloc_zero(size_t count, size_t size)
{
	/* calloc may answer NULL for nothing, which is no shortage */
	return alloc_checked(calloc(count != 0 ? count : 1, size != 0 ? size : 1));
}

void *alloc_grow(void *array, size_t count, size_t *cap, size_t size)
{
	if (count < *cap)
		return array;
	*cap = *cap != 0 ? *cap * 2 : 16;
	if (*cap <= count)
		*cap = count + 1;
	return alloc_checked(reallocarray(array, *cap, size));
}

void alloc_free_secret(void *p, size_t len)
{
	if (p != NULL)
		explicit_bzero(p, len);
	free(p);
}

char *alloc_string(const char *s)
{
	return alloc_checked(strdup(s));
}

char *alloc_bytes(const void *p, size_t len)
{
	char *copy = alloc_zero(len + 1, 1);

	if (len != 0)
		memcpy(copy, p, len);
	return copy;
}

char *alloc_vformat(const char *fmt, va_list ap)
{
	char *s;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return alloc_checked(s);
}

char *alloc_format(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = alloc_vformat(fmt, ap);
	va_end(ap);
	return s;
}
