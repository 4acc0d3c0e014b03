/*
 * digits.h - numbers as text, where printf would take too long for them.
 */
#ifndef BASE_DIGITS_H
#define BASE_DIGITS_H

#include <stdint.h>

/* How many characters a number may have. */
enum { DIGITS_DECIMAL_MAX = 20, DIGITS_HEX_MAX = 16 };

/* Writes n to the base, 10 or 16, without a NUL. Returns the end. */
uint8_t *digits_put(uint8_t *out, uint64_t n, unsigned base);

#endif
