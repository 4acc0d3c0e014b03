/*
 * stream.h - answers that go on as long as who asked stays: lines of JSON.
 *
 * Nobody waits for one who reads slowly. What he has not taken is bounded, and whoever writes
 * looks whether there is space and keeps an account of what he had to leave out.
 */
#ifndef ADMIN_STREAM_H
#define ADMIN_STREAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "admin/caller.h"

struct evhttp_request;
struct request;

enum {
	STREAMS_MAX = 16, /* at the same time */
	STREAM_KEPT = 1 << 20, /* bytes that may wait when a line is added */
};

/* Part of what is kept meanwhile. */
struct stream {
	LIST_ENTRY(stream) entry;
	struct evhttp_request *http;
	enum right right; /* that it takes */
	void (*gone)(struct stream *s); /* who asked has left, or was too slow: free it */
};

/* Begins the answer. false: it is over already, there are too many, or no body is wanted. */
bool stream_begin(struct stream *s, struct request *r, void (*gone)(struct stream *s));

/* How many bytes he has not taken, beside those that the socket has; and whether a line may be added. */
size_t stream_waits(const struct stream *s);
bool stream_has_space(const struct stream *s);

/* Adds a line, which is taken over; NULL: there is no memory, and one is missing. */
void stream_add(struct stream *s, json_t *line);

/* That was all; gone is not called. */
void stream_end(struct stream *s);

/* Another configuration is in force: ends those whose readers may not read them any more. */
void stream_reload(void);

#endif
