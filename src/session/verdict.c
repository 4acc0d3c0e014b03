/*
 * verdict.c - see verdict.h.
 */
#include "session/verdict.h"

#include <string.h>

#include "base/bytes.h"

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
