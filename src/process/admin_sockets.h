/*
 * admin_sockets.h - what the admin process listens on, as the master has it: opened for a
 * configuration that is not in force yet, and then taken or closed again.
 */
#ifndef PROCESS_ADMIN_SOCKETS_H
#define PROCESS_ADMIN_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "net/socket.h"

struct sockets;
struct sockets_fault;

struct admin_socket {
	char key[SOCKET_NAME_MAX]; /* as configured */
	char name[SOCKET_NAME_MAX]; /* with the port that is in use */
	bool is_unix;
	struct socket_file file; /* of the unix socket */
	int port;
	int fd;
	bool fresh; /* opened for a configuration that is not in force yet */
};

/* Zeroed there are none. In the order of config_admin_socket. */
struct admin_sockets {
	size_t count;
	struct admin_socket rows[CONFIG_ADMIN_SOCKETS_MAX];
};

/*
 * Fills next with what c asks for: what now has already, with the rights that c says, and the rest
 * newly opened. -1: *fault says which and why; then, too, admin_sockets_undo is to be called. One that
 * clients have, or that are to have one of now, is such a fault.
 */
int admin_sockets_open(struct admin_sockets *next, const struct admin_sockets *now,
		       const struct sockets *clients, const struct config *c,
		       struct sockets_fault *fault) __attribute__((warn_unused_result));

/*
 * Closes what was opened for next, which is then empty; now is as c says, which is in force. NULL:
 * that does not matter any more.
 */
void admin_sockets_undo(struct admin_sockets *next, const struct admin_sockets *now,
			const struct config *c);

/* next is in force: closes what it has not. */
void admin_sockets_commit(struct admin_sockets *next, struct admin_sockets *now);

/* Their descriptors, in their order; returns how many. */
size_t admin_sockets_of(const struct admin_sockets *s, int fds[CONFIG_ADMIN_SOCKETS_MAX]);

void admin_sockets_close(struct admin_sockets *s);

#endif
