/*
 * sockets.h - the listening sockets that the master owns, for all slots.
 */
#ifndef PROCESS_SOCKETS_H
#define PROCESS_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "net/socket.h"

/* What is open for one listener: a socket for each slot (-1: none); a unix socket is one for all. */
struct socket_row {
	char key[SOCKET_NAME_MAX]; /* as configured */
	char name[SOCKET_NAME_MAX]; /* with the port that is in use */
	char *unix_path;
	struct socket_file file; /* of the unix socket */
	int port;
	bool handed_in; /* by the service manager's socket unit, whose it stays */
	bool fresh; /* opened for a reload that is not decided yet */
	int stored; /* slots whose sockets the service manager keeps */
	int fds[CONFIG_WORKERS_MAX]; /* by slot */
};

struct sockets {
	size_t count;
	/* by listener; while a reload is being decided those of the old configuration and of the new */
	struct socket_row *rows[2 * CONFIG_LISTENERS_MAX];
};

/*
 * Opens what c needs for slots 0 .. c->workers - 1 and s has not open yet, and gives
 * unix sockets that s has the rights that c says. On failure s is as before, as old (NULL:
 * there is none) says, and error (of size bytes) says which address, where it is
 * configured, and why: returns -1.
 */
int sockets_open(struct sockets *s, const struct config *c, const struct config *old, char *error,
		 size_t size);

/* Closes the sockets of listeners that c does not have; others are as c says from then on. */
void sockets_commit(struct sockets *s, const struct config *c);

/* Whether there is any of a slot. */
bool sockets_has(const struct sockets *s, int slot);

/* Closes those of the slots from this one on, which are not wanted any more. */
void sockets_close_from(struct sockets *s, int slot);

/*
 * The sockets of a slot in the order of c's listeners, -1 where it has none; returns the number
 * of listeners.
 */
size_t sockets_of(const struct sockets *s, const struct config *c, int slot,
		  int fds[CONFIG_LISTENERS_MAX]);

/* Closes all; removes the files of unix sockets, unless they are kept for the next run. */
void sockets_close(struct sockets *s);

#endif
