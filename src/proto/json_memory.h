/*
 * json_memory.h - whether jansson had the memory that it asked for.
 *
 * It does not always say so: while it reads a string, a byte for which there is no memory is left out, and
 * the rest is taken. So "annabel" may become "annabe", who is somebody else.
 */
#ifndef PROTO_JSON_MEMORY_H
#define PROTO_JSON_MEMORY_H

#include <stdbool.h>

/* From here on, and whether any was refused since. */
void json_memory_watch(void);
bool json_memory_is_short(void);

#endif
