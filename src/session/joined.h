/*
 * joined.h - what a member of the format "json" is told of its room when it comes in, and
 * whenever it asks.
 */
#ifndef SESSION_JOINED_H
#define SESSION_JOINED_H

struct conn;

/* Sends it, as a frame of that type, to a member of a room. */
void joined_send(struct conn *c, const char *type);

#endif
