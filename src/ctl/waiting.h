/*
 * waiting.h - asking again and again until something is true of the daemon.
 */
#ifndef CTL_WAITING_H
#define CTL_WAITING_H

struct asker;

/* Until the drain that is under way has ended. Returns an exit status, and has said why it is bad. */
int wait_until_drained(struct asker *d);

#endif
