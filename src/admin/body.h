/*
 * body.h - what comes with a request.
 */
#ifndef ADMIN_BODY_H
#define ADMIN_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* The body, lent until the request is answered. */
const uint8_t *body_of(struct request *r, size_t *len);

/* Whether it is of a media type, such as "text/plain", parameters aside. */
bool body_is(const struct request *r, const char *type);

#endif
