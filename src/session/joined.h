/*
 * joined.h - what a member of the format "json" is told of its room when it comes in, and
 * whenever it asks.
 */
#ifndef SESSION_JOINED_H
#define SESSION_JOINED_H

struct conn;

/* Sends that to a member of a room, as what it begins with, and who is present, if the room tells. */
void joined_send(struct conn *c);

/* Sends where the room is. */
void joined_send_position(struct conn *c);

/* Sends what of its past comes next, which was copied for it as an answer (replay.h). */
void joined_send_history(struct conn *c);

/* Sends who is present in a room that tells it. */
void joined_send_presence(struct conn *c);

#endif
