/*
 * announcing.h - members of the format "json" are told that others come and go.
 */
#ifndef SESSION_ANNOUNCING_H
#define SESSION_ANNOUNCING_H

#include <stdbool.h>

/* With every tick: rooms are to be looked at, if who is in any has changed. */
void announcing_tick(void);

/*
 * Looks at those of this tick, and tells their members, as far as the turn goes and at least one step
 * of it. Returns whether there is more to do.
 */
bool announcing_go_on(void);

void announcing_fini(void);

#endif
