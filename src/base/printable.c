/*
 * printable.c - see printable.h.
 */
#include "base/printable.h"

size_t printable(const unsigned char *p)
{
	size_t n;

	if (*p < 0x80)
		return *p >= ' ' && *p != 0x7f;
	/* C1 controls (U+0080 to U+009F) move cursors too. */
	if (*p < 0xc2 || *p > 0xf4 || (*p == 0xc2 && p[1] < 0xa0))
		return 0;
	n = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool printable_whole(const char *text, size_t len)
{
	size_t at = 0, n;

	while (at < len && (n = printable((const unsigned char *)text + at)) > 0)
		at += n;
	return at == len;
}
