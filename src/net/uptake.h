/*
 * uptake.h - whether a peer takes what it was sent, as far as the kernel knows.
 *
 * What a socket has taken may wait there for long, if the peer reads slowly, and a ping behind it. That it
 * goes on to take some tells that it is alive.
 */
#ifndef NET_UPTAKE_H
#define NET_UPTAKE_H

#include <stdbool.h>
#include <stdint.h>

struct uptake {
	uint64_t taken; /* bytes, by which only two looks can be compared, */
	uint64_t sent; /* and how many there will be when it has all that was sent by now */
	uint32_t silent; /* milliseconds since the other kernel said anything of it */
};

/* False: nothing waits that was sent, or nobody knows. */
bool uptake_look(int fd, struct uptake *u);

#endif
