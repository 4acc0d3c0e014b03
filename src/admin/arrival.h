/*
 * arrival.h - requests on their way in: how long one may take, and how much of it is read of whom nobody
 * knows.
 *
 * libevent hands a request over when all of it has come, and until then only silence is bounded. So what
 * comes is looked at ahead of libevent: in all of a request no more than 30 s may pass, and over TCP
 * one without a token in force has 64 KiB, head and body together. What is more is cut off.
 */
#ifndef ADMIN_ARRIVAL_H
#define ADMIN_ARRIVAL_H

#include <stdbool.h>

struct bufferevent;

/* Looks at what comes by b, a new connection's, from its first byte on. */
void arrival_watch(struct bufferevent *b, bool tcp);

/* A request has come by b, and is being answered; and then: that is over, and the next one may come. */
void arrival_whole(struct bufferevent *b);
void arrival_answered(struct bufferevent *b);

#endif
