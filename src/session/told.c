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
