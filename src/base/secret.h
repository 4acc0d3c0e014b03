/*
 * secret.h - random bytes that are the same in all processes of this daemon, and known to nobody else.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdint.h>

enum { SECRET_LEN = 32 };

/* Draws them, unless they are there: ahead of the first fork. -1: there are none, with errno. */
int secret_draw(void) __attribute__((warn_unused_result));

/* They must have been drawn. */
const uint8_t *secret_bytes(void);

#endif
