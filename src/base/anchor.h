/*
 * anchor.h - which authority a certificate is of, in a few bytes.
 */
#ifndef BASE_ANCHOR_H
#define BASE_ANCHOR_H

#include <stdbool.h>
#include <stdint.h>

enum { ANCHOR = 32 };

struct x509_st;

/*
 * A digest of its name and key: it stays when its certificate is made anew for the same key. False: no
 * memory.
 */
bool anchor_of(const struct x509_st *x, uint8_t out[ANCHOR]);

#endif
