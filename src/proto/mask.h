/*
 * mask.h - masking (RFC 6455 5.3), in place.
 */
#ifndef PROTO_MASK_H
#define PROTO_MASK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Applies a frame's key (its four bytes as they lie in memory) to n payload
 * bytes that begin `offset` bytes into the frame's payload.
 */
void ws_mask(uint8_t *p, size_t n, uint32_t key, size_t offset);

#endif
