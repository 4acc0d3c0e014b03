/*
 * verdict.h - what a behaviour says of its connection, where that is not to go on.
 *
 * Who returns a verdict returns true to go on, and leaves it alone; or false, for one of the
 * functions below has filled it in: return verdict_close(v, ...).
 */
#ifndef SESSION_VERDICT_H
#define SESSION_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "proto/frame.h"

struct json_error;

struct verdict {
	uint16_t code; /* of the close frame */
	enum reason reason; /* counted, and logged */
	size_t len;
	char text[WS_CLOSE_REASON_MAX]; /* of the close frame */
};

/* code: 1000..4999; text: UTF-8, copied, cut to WS_CLOSE_REASON_MAX bytes. Returns false. */
bool verdict_close(struct verdict *v, int code, enum reason reason, const char *text, size_t len);

/* The same with the reason's word as the text. */
bool verdict_close_word(struct verdict *v, int code, enum reason reason);

/* With 1007: a text was no JSON, for that error. Returns false. */
bool verdict_close_json(struct verdict *v, const struct json_error *error);

#endif
