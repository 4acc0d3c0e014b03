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
	bool fresh; /* opened for a reload that is not decided yet, */
	int had; /* and of one that is not: slots that were open before */
	int stored; /* slots whose sockets the service manager keeps */
	int fds[CONFIG_WORKERS_MAX]; /* by slot */
};

/* What cannot be listened on, and why. */
struct sockets_fault {
	const char *file; /* of the configuration: where it stands. NULL: nowhere */
	int line;
	char text[400];
};

struct sockets {
	size_t count;
	/* by listener; while a reload is being decided those of the old configuration and of the new */
	struct socket_row *rows[2 * CONFIG_LISTENERS_MAX];
};

/*
 * Opens what c needs for slots 0 .. c->workers - 1 and s has not open yet, and gives
 * unix sockets that s has the rights that c says. On failure s is as before, as old (NULL:
 * there is none) says, and *fault says which address and why: returns -1.
 * What was opened is taken back by sockets_undo, or stays with sockets_commit.
 */
int sockets_open(struct sockets *s, const struct config *c, const struct config *old,
		 struct sockets_fault *fault) __attribute__((warn_unused_result));

/* Closes what sockets_open has opened since; all is as old says, which is in force. */
void sockets_undo(struct sockets *s, const struct config *old);

/* What may be done about a socket that cannot be listened on: goes on behind strerror, or is "". */
const char *sockets_advice(int error);

/* Whether one of them has connections that l is for, whatever address it is opened for. */
bool sockets_hold(const struct sockets *s, const struct config_listener *l);

/* *fault says that l is held by those of another key of the configuration. */
void sockets_note_held(struct sockets_fault *fault, const struct config_listener *l,
		       const char *by);

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
