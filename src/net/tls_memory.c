/*
 * tls_memory.c - the buffers that OpenSSL has for the records of a connection.
 *
 * Idle connections are to hold none (SSL_MODE_RELEASE_BUFFERS; two of them would be 33 KiB),
 * so two are asked for and let go with every message. For blocks of that size the C library
 * takes as long as for the rest of a short message; so a few wait here for the next one.
 */
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "net/tls.h"

enum {
	LEAST = 16 * 1024, /* a record of 16 KiB, */
	MOST = 18 * 1024, /* with the most that encryption adds */
	KEPT = 4,
};

static void *kept[KEPT];
static size_t count;

static void *allocate(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	if (n < LEAST || n > MOST)
		return malloc(n);
	return count > 0 ? kept[--count] : malloc(MOST);
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(p, n);
}

static void release(void *p, const char *file, int line)
{
	size_t size = p && count < KEPT ? malloc_usable_size(p) : 0;

	(void)file;
	(void)line;
	if (size >= MOST && size < MOST + LEAST)
		kept[count++] = p;
	else
		free(p);
}

void tls_init(void)
{
	/* Where it is too late for that all works as well, but slower. */
	CRYPTO_set_mem_functions(allocate, resize, release);
}
