/*
 * gap.c - see gap.h.
 */
#include "session/gap.h"

#include <string.h>

#include "base/bytes.h"
#include "base/digits.h"
#include "proto/frame.h"

static const char end[] = "\"}";

static size_t payload_max(const struct gap_form *f)
{
	return f->head_len + DIGITS_DECIMAL_MAX + f->middle_len + DIGITS_DECIMAL_MAX + sizeof(end) -
	       1;
}

size_t gap_frame_max(const struct gap_form *f)
{
	return WS_HEADER_MAX + payload_max(f);
}

/* The header is as long as its payload needs, so that is written first, and moved. */
size_t gap_write_frame(uint8_t *out, const struct gap_form *f, const struct gap *g)
{
	uint8_t *const payload = out + WS_HEADER_MAX, *p;
	size_t header;

	p = bytes_copy(payload, f->head, f->head_len);
	p = digits_put(p, g->first - 1, 10);
	p = bytes_copy(p, f->middle, f->middle_len);
	p = digits_put(p, g->last, 10);
	p = bytes_copy(p, end, sizeof(end) - 1);
	header = ws_encode_header(out, WS_TEXT, (size_t)(p - payload));
	memmove(out + header, payload, (size_t)(p - payload));
	return header + (size_t)(p - payload);
}
