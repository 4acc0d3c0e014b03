/*
 * numbers.c - see numbers.h.
 */
#include "admin/numbers.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "admin/request.h"

bool number_parameter(struct request *r, const char *name, uint64_t from, uint64_t to,
		      uint64_t *value)
{
	const char *text = request_parameter(r, name);
	char *end;

	if (!text)
		return true;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *value >= from &&
	    *value <= to)
		return true;
	answer_error(r, 400, "bad-parameter",
		     "\"%s\" has to be a number from %" PRIu64 " to %" PRIu64, name, from, to);
	return false;
}

bool number_of_id(const char *text, uint64_t *id)
{
	size_t n = strspn(text, "0123456789abcdef");

	if (n == 0 || n > 16 || text[n] != '\0')
		return false;
	*id = strtoull(text, NULL, 16);
	return *id != 0;
}
