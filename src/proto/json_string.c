/*
 * json_string.c - see json_string.h.
 *
 * Most of a text needs no escape, and is passed over, or copied, up to the next byte that does. Where
 * all of it does, as a stranger may have it, a byte takes as long as several of the others.
 */
#include "proto/json_string.h"

#include "base/bytes.h"

enum { SHORT = 2, LONG = 6 }; /* bytes of \n and \u0000 */

/* What stands behind the backslash for a byte that json_ends_plain; 0: it has no letter. */
static const uint8_t letters[256] = { ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
				      ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\' };

size_t json_escaped_size(const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;
	size_t size = len;

	while ((p = json_skip_plain(p, end)) < end)
		do
			size += (letters[*p] ? SHORT : LONG) - 1;
		while (++p < end && json_ends_plain(*p));
	return size;
}

static uint8_t *write_escape(uint8_t *out, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";

	out[0] = '\\';
	if (letters[c]) {
		out[1] = letters[c];
		return out + SHORT;
	}
	memcpy(out + 1, "u00", 3);
	out[4] = (uint8_t)digits[c >> 4];
	out[5] = (uint8_t)digits[c & 0x0f];
	return out + LONG;
}

uint8_t *json_escape(uint8_t *out, const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;

	while (p < end) {
		const uint8_t *plain = p;

		p = json_skip_plain(p, end);
		out = bytes_copy(out, plain, (size_t)(p - plain));
		for (; p < end && json_ends_plain(*p); p++)
			out = write_escape(out, *p);
	}
	return out;
}
