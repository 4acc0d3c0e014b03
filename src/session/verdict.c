/*
 * verdict.c - see verdict.h.
 */
#include "session/verdict.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/json.h"

bool verdict_close(struct verdict *v, int code, enum reason reason, const char *text, size_t len)
{
	v->code = (uint16_t)code;
	v->reason = reason;
	v->len = len < sizeof(v->text) ? len : sizeof(v->text);
	bytes_copy(v->text, text, v->len);
	return false;
}

bool verdict_close_word(struct verdict *v, int code, enum reason reason)
{
	const char *word = reason_word(reason);

	return verdict_close(v, code, reason, word, strlen(word));
}

bool verdict_close_json(struct verdict *v, const struct json_error *error)
{
	char text[WS_CLOSE_REASON_MAX + 1];

	snprintf(text, sizeof(text), "invalid-json: line %u column %u", error->line, error->column);
	return verdict_close(v, WS_CLOSE_INVALID_DATA, REASON_INVALID_JSON, text, strlen(text));
}
