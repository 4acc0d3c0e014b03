/*
 * digits.c - see digits.h.
 */
#include "base/digits.h"

#include <stddef.h>

#include "base/bytes.h"

uint8_t *digits_put(uint8_t *out, uint64_t n, unsigned base)
{
	char digits[DIGITS_DECIMAL_MAX];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[n % base];
	while (n /= base);
	return bytes_copy(out, digits + at, sizeof(digits) - at);
}
