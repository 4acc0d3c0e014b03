/*
 * values.h - what several answers have, as JSON.
 */
#ifndef ADMIN_VALUES_H
#define ADMIN_VALUES_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds as the seconds that answers have. */
double seconds_of(int64_t ms);

/* The word of a level of the log, LOG_ERR .. LOG_DEBUG. */
const char *level_word(int level);

/* Text of any origin: where it is not UTF-8 each byte of it is written as %XX. */
json_t *json_of_text(const char *text, size_t len);

/* Bytes as base64. */
json_t *json_of_base64(const void *bytes, size_t len);

/* The id of a connection, as the log writes it. */
json_t *json_of_id(uint64_t id);

/* The position of a message in its room. */
json_t *json_of_position(uint64_t sequence);

#endif
