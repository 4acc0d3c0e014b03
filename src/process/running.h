/*
 * running.h - what is in force: the configuration, the sockets that it listens on, and how far the
 * daemon is in its life.
 */
#ifndef PROCESS_RUNNING_H
#define PROCESS_RUNNING_H

#include <stdbool.h>

#include "process/sockets.h"

/* READY: all workers were there once, and the service manager was told. */
enum phase { PHASE_STARTING, PHASE_READY, PHASE_STOPPING };

/* To be read by all of the master; written by running.c, its sockets by who opens and closes them. */
struct running {
	struct config *config; /* NULL until the first is taken */
	struct config *started; /* the first: what the keys that need a restart have */
	struct sockets sockets;
	enum phase phase;
	char *drained; /* path of the endpoint that takes no new connections, "": all; NULL: none */
	bool verbose; /* -v: log at debug level whatever the configuration says */
};

extern struct running running;

/* Ahead of reading the first configuration: what has expired until now is told with it. */
void running_begin(bool verbose);

/* Takes c over as what is in force, for the log as well, and lets go of the one before. */
void running_take(struct config *c);

/*
 * Listens where the configuration says, now that sockets_open has opened what it needs; gives labels
 * to the endpoints that are new.
 */
void running_listen(void);

/* endpoint: as drained. -1: there is no memory, and it is as before. */
int running_drain(const char *endpoint) __attribute__((warn_unused_result));
void running_undrain(void);

/* Never back. */
void running_enter(enum phase phase);

/* With every tick: warns of certificates that have expired since. */
void running_tick(void);

/* Closes the sockets and lets go of the configuration. */
void running_end(void);

#endif
