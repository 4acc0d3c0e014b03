/*
 * texts.h - settings that have placeholders, with the values of a connection.
 */
#ifndef SESSION_TEXTS_H
#define SESSION_TEXTS_H

#include <stdbool.h>

struct config_endpoint;
struct conn;

/*
 * Makes what c keeps of an endpoint that it is about to be at (conn_kept_text), by the name that led
 * there (config_route_name); or nothing, where there is nothing to be made. Its address and id are
 * known, and do not change any more. False: no memory, and what it had it has.
 */
bool texts_keep(struct conn *c, const struct config_endpoint *e, const char *name);

#endif
