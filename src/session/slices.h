/*
 * slices.h - how much is compressed in one go.
 *
 * Nobody waits while a long message is compressed: that is done a slice at a time. How long one takes is
 * up to the level and to the text, which a client chooses.
 */
#ifndef SESSION_SLICES_H
#define SESSION_SLICES_H

#include <stdbool.h>
#include <stddef.h>

struct config_compression;
struct conn;

/* Bytes of the largest slice, and of what is compressed in one piece; of levels that are slow it is less. */
enum { COMPRESS_SLICE = 16 * 1024, COMPRESS_SHORT = 2 * COMPRESS_SLICE };

/* So many bytes a slice has, and so many need none, with these settings. */
size_t slices_size(const struct config_compression *k);
size_t slices_short(const struct config_compression *k);

/* The time that so many bytes may take: as many as take as long at a level that is not slow. */
size_t slices_weight(const struct config_compression *k, size_t len);

/* Whether a payload of so many bytes is compressed, and takes more than one slice; and one for c. */
bool slices_are_more(const struct config_compression *k, size_t len);
bool slices_are_more_for(const struct conn *c, size_t len);

#endif
