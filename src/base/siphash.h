/*
 * siphash.h - 128 bits of a keyed hash: what somebody else names is known by them.
 *
 * Whoever does not know the key cannot make two names that meet; by chance it takes some 2^64.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

/* SipHash-2-4 of len bytes. key: random, and never told. */
void siphash(const uint64_t key[2], const void *data, size_t len, uint64_t out[2]);

#endif
