/*
 * json_string.h - what stands within the quotes of a JSON string.
 */
#ifndef PROTO_JSON_STRING_H
#define PROTO_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether a byte is more than itself there: an end, an escape, or what has to be escaped. */
static inline bool json_ends_plain(uint8_t b)
{
	return b == '"' || b == '\\' || b < ' ';
}

/*
 * From p on to the first such byte, or to the end: eight at a time. Of a word that has one the bits
 * above it may be wrong, so it is found one by one.
 */
static inline const uint8_t *json_skip_plain(const uint8_t *p, const uint8_t *end)
{
	const uint64_t ones = UINT64_MAX / 255, high = ones << 7;
	uint64_t word;

	for (; end - p >= (ptrdiff_t)sizeof(word); p += sizeof(word)) {
		uint64_t quote, escape;

		memcpy(&word, p, sizeof(word));
		quote = word ^ '"' * ones;
		escape = word ^ '\\' * ones;
		if (((quote - ones) | (escape - ones) | (word - ' ' * ones)) & ~word & high)
			break;
	}
	while (p < end && !json_ends_plain(*p))
		p++;
	return p;
}

/* How many bytes a text has there; it is UTF-8. */
size_t json_escaped_size(const void *text, size_t len);

/* Writes it to out, which has so many. Returns the end. */
uint8_t *json_escape(uint8_t *out, const void *text, size_t len);

#endif
