/*
 * placed.h - the room whose path follows a route's.
 */
#ifndef ADMIN_PLACED_H
#define ADMIN_PLACED_H

#include <stdbool.h>

#include "bus/bus.h"

struct config_endpoint;
struct request;

/* The endpoint of the room that a request is about. NULL: there is none, and that is answered. */
const struct config_endpoint *placed_endpoint(struct request *r);

/* Whether the bus did what it was asked to with a room. False: what it said is answered. */
bool placed_is_ok(struct request *r, enum bus_result result);

/* Finds the room itself. False: that is answered. */
bool placed_find(struct request *r, struct bus_room *room);

#endif
