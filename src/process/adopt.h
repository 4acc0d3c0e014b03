/*
 * adopt.h - who accepts for a slot whose worker cannot: it backs off, or stands still.
 */
#ifndef PROCESS_ADOPT_H
#define PROCESS_ADOPT_H

#include <stdbool.h>
#include <stdint.h>

#include "process/slot.h"

/* The slot of the worker that accepts for this one, -1: nobody does. */
int adopter_of(const struct slot *s);

/*
 * Has others accept for those who cannot, and those who can for themselves again. With every tick,
 * and when a worker came up or died.
 */
void adopt_look(void);

/* A worker ended, and accepts for nobody any more. */
void adopt_forget(const struct slot *s);

/* After a reload: what was adopted is adopted with the sockets of the new configuration. */
void adopt_anew(void);

/* After a reload: closes the sockets of slots that are not wanted any more; nobody is lost. */
void adopt_last(void);

/*
 * What adopt_look goes by. Whether a slot that is wanted needs somebody: adopted: has somebody;
 * still: its worker stands still; ready: all workers were there once.
 */
bool adopt_is_needed(enum slot_state state, bool adopted, bool still, bool ready);

/* able: a bit for each slot that can. Returns which is to accept for a slot, -1: nobody can. */
int adopt_choose(uint64_t able, int slot);

#endif
