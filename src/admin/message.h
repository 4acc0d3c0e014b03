/*
 * message.h - a message of a room as answers have it.
 */
#ifndef ADMIN_MESSAGE_H
#define ADMIN_MESSAGE_H

#include <jansson.h>

struct bus_entry;

/* NULL: it is no frame as members get them. */
json_t *json_of_message(const struct bus_entry *e);

#endif
