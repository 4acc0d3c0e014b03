/*
 * poison.h - bytes that nobody may touch, for AddressSanitizer; nothing without it.
 *
 * Memory that its owner lends out in pieces looks like one piece to the sanitizer. It notices a
 * touch of what is not lent if it is told. What goes back to the kernel has to be unpoisoned, for
 * the addresses come back as somebody else's.
 */
#ifndef BASE_POISON_H
#define BASE_POISON_H

#include <stddef.h>

#ifdef __has_feature
#define POISON_FEATURE __has_feature(address_sanitizer)
#else
#define POISON_FEATURE 0
#endif

#if defined(__SANITIZE_ADDRESS__) || POISON_FEATURE
#include <sanitizer/asan_interface.h>
#define POISON_WORKS 1
#define poison(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON_WORKS 0
#define poison(p, n) ((void)(p), (void)(n))
#define unpoison(p, n) ((void)(p), (void)(n))
#endif

#endif
