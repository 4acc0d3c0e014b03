/*
 * json_memory.h - whether jansson had the memory that it asked for.
 *
 * It does not always say so: while it reads a string, a byte for which there is no memory is left out, and
 * the rest is taken. So "annabel" may become "annabe", who is somebody else.
 */
#ifndef PROTO_JSON_MEMORY_H
#define PROTO_JSON_MEMORY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Reads len bytes as json_loadb does, but all of what they say or nothing. NULL, with errno: ENOMEM, there is
 * no memory for it; 0, it is no JSON, of which *error (or NULL) is told. Whoever acts on what he reads reads it
 * so: tests/lint has an eye on that.
 */
json_t *json_memory_read(const void *bytes, size_t len, size_t flags, json_error_t *error)
	__attribute__((warn_unused_result));

/* For what else asks jansson for memory: from here on, and whether any was refused since. */
void json_memory_watch(void);
bool json_memory_is_short(void);

#endif
