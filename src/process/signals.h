/*
 * signals.h - what each signal does to the master and to a worker; ignyxd(8) lists them.
 */
#ifndef PROCESS_SIGNALS_H
#define PROCESS_SIGNALS_H

struct event_base;

/*
 * Master, before all else: from here on no signal but SIGTERM and SIGINT ends it, and a reload
 * that is asked for waits until signals_add.
 */
void signals_prepare(void);

/*
 * Master: handler gets, in the loop, what the master has a use for: SIGCHLD, SIGHUP, SIGINT,
 * SIGTERM and, once a second at most, SIGUSR1. -1: there is no memory.
 */
int signals_add(struct event_base *base, void (*handler)(int sig))
	__attribute__((warn_unused_result));

/* Gives back what signals_add took. */
void signals_remove(void);

/* Worker: none of the signals that are for the master means anything here. Unblocks all. */
void signals_ignore(void);

#endif
