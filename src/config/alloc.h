/*
 * alloc.h - memory for configuration, which never runs out.
 *
 * A configuration is read at start and at reload, is at most a few megabytes,
 * and nothing sensible can go on without it: when there is no memory these end
 * the process with a message. What they return is freed with free.
 */
#ifndef CONFIG_ALLOC_H
#define CONFIG_ALLOC_H

#include <stdarg.h>
#include <stddef.h>

/* p; NULL: there was no memory for it. */
void *alloc_checked(void *p);

/* Zeroed memory for count objects of size bytes. */
void *alloc_zero(size_t count, size_t size);

/* Grows an array to at least count + 1 objects, doubling; *cap is what it holds. */
void *alloc_grow(void *array, size_t count, size_t *cap, size_t size);

/* Frees len bytes that may hold a key, and leaves nothing of them in memory. p may be NULL. */
void alloc_free_secret(void *p, size_t len);

char *alloc_string(const char *s);
char *alloc_bytes(const void *p, size_t len); /* a copy with a NUL behind it */
char *alloc_format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *alloc_vformat(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

#endif
