/*
 * rights.h - who may do what.
 */
#ifndef ADMIN_RIGHTS_H
#define ADMIN_RIGHTS_H

/* The rights (enum right) of who is at the other end of a unix socket; 0: none. */
unsigned rights_of_peer(int fd);

/* Who that is, as text that stays the same: his user. */
enum { RIGHTS_ASKER_SIZE = 32 };
void rights_asker(int fd, char out[RIGHTS_ASKER_SIZE]);

#endif
