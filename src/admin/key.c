/*
 * key.c - see key.h.
 *
 * A key belongs to who gives it: nobody learns what somebody else has published, or keeps it from
 * being published, by guessing his. What it is given for is the path, whether the message is
 * binary, and the body as it was sent: the same again is a retry, and nothing of it has to be understood.
 */
#include "admin/key.h"

#include <string.h>

#include "admin/admin_internal.h"
#include "admin/body.h"
#include "admin/request.h"
#include "base/clock.h"

static struct bus_part part_of(const char *text)
{
	return (struct bus_part){ text, strlen(text) };
}

static bool is_key(const char *text)
{
	size_t n = 0;

	for (; text[n]; n++)
		if (text[n] < ' ' || text[n] > '~')
			return false;
	return n > 0 && n <= KEY_MAX;
}

enum key_given key_read(struct request *r, struct bus_once *once)
{
	const char *key =
		evhttp_find_header(evhttp_request_get_input_headers(r->http), "Idempotency-Key");
	bool binary = body_is(r, "application/octet-stream");
	struct bus_part body;

	if (!key)
		return KEY_NONE;
	if (!is_key(key))
		return KEY_BAD;
	body.p = body_of(r, &body.len);
	once->key = bus_digest_of(admin.bus,
				  (struct bus_part[]){ part_of(r->caller.who), part_of(key) }, 2);
	once->request = bus_digest_of(
		admin.bus,
		(struct bus_part[]){ part_of(r->path), part_of(binary ? "binary" : "text"), body },
		3);
	once->now = clock_steady_ms();
	return KEY_GOOD;
}
