/*
 * posted.h - what is on the board (base/board.h), for whoever asks how the daemon is.
 */
#ifndef PROCESS_POSTED_H
#define PROCESS_POSTED_H

#include <stdbool.h>

/* Once, before the first fork. */
void posted_begin(void);

/* Whenever something may have changed, and with every tick. */
void posted_renew(void);

/* What came of a reload. */
void posted_reload(bool applied, const char *summary);

#endif
