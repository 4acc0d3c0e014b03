/*
 * key.h - the header Idempotency-Key: a request that is done once, however often it is sent.
 */
#ifndef ADMIN_KEY_H
#define ADMIN_KEY_H

#include "bus/bus.h"

struct request;

enum { KEY_MAX = 255 }; /* characters */

enum key_given {
	KEY_NONE,
	KEY_GOOD,
	KEY_BAD, /* it is empty, too long, or has what is not printable ASCII */
};

/* Fills in *once if the request has a key: of that and of who asks, and of what it asks for. */
enum key_given key_read(struct request *r, struct bus_once *once);

#endif
