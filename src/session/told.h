/*
 * told.h - what the daemon itself has to say to a client: why something was not done.
 */
#ifndef SESSION_TOLD_H
#define SESSION_TOLD_H

struct conn;

/*
 * Sends {"type":"error","error":WORD,"message":TEXT}. Both have no character that JSON would escape;
 * the words are a public contract: ignyxd-protocol(7).
 */
void told_error(struct conn *c, const char *word, const char *text);

/*
 * Sends {"type":TYPE,"expires":SECONDS,"in":SECONDS}: when a token expires, since the epoch and from now
 * on. One that never does, or not in a thousand years, has null for both.
 */
void told_expiry(struct conn *c, const char *type, double expires, double in);

#endif
