/*
 * crypted.h - hashes of passwords as crypt(5) has them, and what it costs to check one.
 */
#ifndef CONFIG_CRYPTED_H
#define CONFIG_CRYPTED_H

#include <stddef.h>

/* Bytes of the longest that is taken. */
enum { CRYPTED_MAX = 140 };

/*
 * What is wrong with len bytes as a hash of yescrypt, SHA-512, SHA-256 or bcrypt that is checked within
 * about a second and 64 MiB: "has a HASH ...". NULL: nothing, and it has at most CRYPTED_MAX bytes, none
 * of them a NUL.
 */
const char *crypted_check(const char *p, size_t len);

/* Of one that is right: how many bytes it begins with that say what it costs, its kind and parameters. */
size_t crypted_cost(const char *hash);

#endif
