/*
 * failing.c - memory that runs out when a test wants it to.
 *
 * The linker puts these in the place of the functions (--wrap). They are for tests of
 * one thread.
 */
#include "failing.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

static unsigned left; /* requests until the one that fails, with it; 0: none does */
static bool all; /* those behind it, too */
static bool failed;

static void begin(unsigned n, bool from)
{
	left = n;
	all = from;
	failed = false;
}

void failing_nth(unsigned n)
{
	begin(n, false);
}

void failing_from(unsigned n)
{
	begin(n, true);
}

bool failing_end(void)
{
	left = 0;
	return failed;
}

static bool fails(void)
{
	if (left == 0 || --left > 0)
		return false;
	left = all;
	failed = true;
	errno = ENOMEM;
	return true;
}

#define WRAP(type, name, failure, parameters, arguments)                                           \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fails() ? failure : __real_##name arguments;                                \
	}

WRAP(void *, malloc, NULL, (size_t n), (n))
WRAP(void *, calloc, NULL, (size_t n, size_t size), (n, size))
WRAP(void *, realloc, NULL, (void *p, size_t n), (p, n))
WRAP(void *, reallocarray, NULL, (void *p, size_t n, size_t size), (p, n, size))
WRAP(char *, strdup, NULL, (const char *s), (s))
WRAP(void *, mmap, MAP_FAILED, (void *p, size_t n, int prot, int flags, int fd, off_t at),
     (p, n, prot, flags, fd, at))
/* with an address of its choice nobody of us calls it */
WRAP(void *, mremap, MAP_FAILED, (void *p, size_t n, size_t to, int flags), (p, n, to, flags))
