/*
 * mask.h - masking (RFC 6455 5.3), in place, alone or joined with the check of text.
 */
#ifndef PROTO_MASK_H
#define PROTO_MASK_H

#include <stddef.h>
#include <stdint.h>

#include "proto/utf8.h"

/*
 * Applies a frame's key (its four bytes as they lie in memory) to n payload
 * bytes that begin `offset` bytes into the frame's payload.
 */
void ws_mask(uint8_t *p, size_t n, uint32_t key, size_t offset);

/*
 * Unmasks n bytes of text as ws_mask does and goes on with the state s of its
 * validation, in one pass. Returns the new state, as utf8_feed would for the
 * unmasked bytes; at UTF8_INVALID it is undefined which bytes are unmasked.
 */
utf8_state ws_unmask_text(uint8_t *p, size_t n, uint32_t key, size_t offset, utf8_state s);

#endif
