/* resident.h - how much of a piece of memory is there, and not only its addresses. */
#ifndef UNIT_RESIDENT_H
#define UNIT_RESIDENT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages that are there of those that [at, at + len) lies in. */
static inline size_t resident_pages(const void *at, size_t len)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), off = (uintptr_t)at & (page - 1);
	const size_t all = (off + len + page - 1) / page;
	unsigned char *there = malloc(all);
	size_t n = 0;

	assert_non_null(there);
	assert_int_equal(mincore((uint8_t *)at - off, off + len, there), 0);
	for (size_t i = 0; i < all; i++)
		n += there[i] & 1;
	free(there);
	return n;
}

/* The same in bytes. */
static inline size_t resident(const void *at, size_t len)
{
	return resident_pages(at, len) * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
