/*
 * values.c - see values.h.
 */
#include "admin/values.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#include "admin/admin_internal.h"
#include "base/base64.h"
#include "bus/bus.h"
#include "bus/position.h"
#include "proto/utf8.h"

double seconds_of(int64_t ms)
{
	return (double)ms / 1000;
}

const char *level_word(int level)
{
	static const char *const words[] = {
		[LOG_ERR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};

	return words[level];
}

json_t *json_of_text(const char *text, size_t len)
{
	char *escaped;
	json_t *json;

	if (utf8_valid(text, len))
		return json_stringn(text, len);
	escaped = malloc(3 * len + 1);
	if (!escaped)
		return NULL;
	for (size_t i = 0; i < len; i++)
		snprintf(escaped + 3 * i, 4, "%%%02X", (unsigned char)text[i]);
	json = json_string(escaped);
	free(escaped);
	return json;
}

json_t *json_of_base64(const void *bytes, size_t len)
{
	char *text = base64_encode(bytes, len);
	json_t *json = text ? json_string(text) : NULL;

	free(text);
	return json;
}

json_t *json_of_id(uint64_t id)
{
	return json_sprintf("%" PRIx64, id);
}

json_t *json_of_position(uint64_t sequence)
{
	char text[BUS_POSITION_SIZE];
	size_t len =
		bus_position_format((struct bus_position){ bus_epoch(admin.bus), sequence }, text);

	return json_stringn(text, len);
}
