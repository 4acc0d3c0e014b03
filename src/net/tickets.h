/*
 * tickets.h - the keys of TLS session tickets, in memory that all workers share.
 *
 * A client resumes its session with whichever worker it meets, before and after a
 * reload. The master makes the keys before the first fork and rotates them; nothing
 * of it is ever on a disk or in a core dump.
 */
#ifndef NET_TICKETS_H
#define NET_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	TICKET_NAME_LEN = 16,
	TICKET_KEY_LEN = 32,
	/* Seconds between two rotations; a ticket is good for two to three of them. */
	TICKET_ROTATION = 8 * 60 * 60,
};

struct ticket_key {
	uint8_t name[TICKET_NAME_LEN]; /* in the ticket, to find the key again */
	uint8_t aes[TICKET_KEY_LEN];
	uint8_t hmac[TICKET_KEY_LEN];
};

struct tickets;

/* Master: maps the table with a first key. NULL: errno is set. */
struct tickets *tickets_new(void);

/* In each process for itself. NULL: nothing; errno stays. */
void tickets_free(struct tickets *t);

/* Worker: from now on this process can read them only, whatever it tries. -1: errno is set. */
int tickets_only_read(struct tickets *t) __attribute__((warn_unused_result));

/* Master: a new key for new tickets; the two before it still open theirs. -1: no randomness. */
int tickets_rotate(struct tickets *t);

/*
 * Master: a new key whenever TICKET_ROTATION has passed since the last. now: milliseconds of a clock
 * that was 0 at tickets_new and never goes back. -1: as tickets_rotate; the next is due in its turn.
 */
int tickets_tick(struct tickets *t, uint64_t now);

/* The key for new tickets. */
struct ticket_key tickets_current(const struct tickets *t);

/* The key of a name. False: none has it any more. *old: the ticket should be renewed. */
bool tickets_find(const struct tickets *t, const uint8_t name[TICKET_NAME_LEN],
		  struct ticket_key *key, bool *old);

#endif
