/*
 * tail.h - who follows rooms, see resources.h for the request.
 */
#ifndef ADMIN_TAIL_H
#define ADMIN_TAIL_H

/* Another configuration is in force: who follows a room that is none any more is done. */
void tail_reload(void);

#endif
