/*
 * told.c - see told.h.
 */
#include "session/told.h"

#include <stdio.h>

#include "session/conn.h"

enum { FRAME_MAX = 256 };

void told_error(struct conn *c, const char *word, const char *text)
{
	char out[FRAME_MAX];
	int n = snprintf(out, sizeof(out),
			 "{\"type\":\"error\",\"error\":\"%s\",\"message\":\"%s\"}", word, text);

	conn_send(c, WS_TEXT, NULL, 0, out, (size_t)n);
}

void told_expiry(struct conn *c, const char *type, double expires, double in)
{
	const bool known = in < 1000.0 * 366 * 24 * 3600;
	char out[FRAME_MAX];
	int n = known ? snprintf(out, sizeof(out), "{\"type\":\"%s\",\"expires\":%.0f,\"in\":%.0f}",
				 type, expires, in)
		      : snprintf(out, sizeof(out), "{\"type\":\"%s\",\"expires\":null,\"in\":null}",
				 type);

	conn_send(c, WS_TEXT, NULL, 0, out, (size_t)n);
}
