/*
 * control.h - what the master and its workers tell each other.
 *
 * Messages of fixed size, whole or not at all, over a socketpair per slot that
 * outlives workers. Descriptors go with them.
 */
#ifndef PROCESS_CONTROL_H
#define PROCESS_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum control_type {
	/* to a worker */
	CONTROL_RELOAD = 1, /* fds: the packed source, then its listening sockets; `retire`: none */
	CONTROL_ADOPT, /* fds: sockets of `slot` for `listeners`, to accept for it */
	CONTROL_RELEASE, /* `slot` accepts for itself again, or with `give_up` never more */
	CONTROL_STOP, /* close all; what is left after `grace` ms is cut */
	/* to the master */
	CONTROL_READY, /* it listens, with `generation` */
	CONTROL_RELOADED, /* `generation` is in force; `moved`, `closed`: connections */
};

enum { CONTROL_FDS_MAX = 1 + CONFIG_LISTENERS_MAX };

struct control_message {
	uint32_t type; /* enum control_type */
	uint32_t slot;
	uint64_t generation;
	uint64_t listeners; /* ADOPT: a bit for each of the configuration's that has an fd */
	int64_t grace;
	uint32_t moved, closed;
	uint32_t retire; /* RELOAD: accept nothing more, end with the last connection */
	uint32_t give_up; /* RELEASE: who waits is accepted, and the sockets take nobody more */
	uint32_t keep_waiting; /* STOP: who is not accepted yet is left in the queue */
};

/* fds[0] is the master's end. Both are non-blocking. -1: errno is set. */
int control_pair(int fds[2]);

/* -1: errno is set; EAGAIN when the other side does not read. fds stay the caller's. */
int control_send(int fd, const struct control_message *m, const int *fds, size_t count)
	__attribute__((warn_unused_result));

/*
 * Takes one message. Returns 1, with *count descriptors that are the caller's
 * now; 0: there is none; -1: the other side is gone or sent what cannot be.
 */
int control_receive(int fd, struct control_message *m, int fds[CONTROL_FDS_MAX], size_t *count)
	__attribute__((warn_unused_result));

/* Forgets all that a dead worker left unread or unsaid. */
void control_drain(int fd);

#endif
