/*
 * leaving.h - connections that are to be let go, in the order in which they go.
 *
 * There are several sets of them at a time, for a connection may be in each. Who is freed is in none
 * any more.
 */
#ifndef SESSION_LEAVING_H
#define SESSION_LEAVING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conn;

enum leaving_order { LEAVING_OLDEST, LEAVING_NEWEST, LEAVING_RANDOM, LEAVING_ORDERS };

/* REMOVED: their endpoint is gone. ALL: the worker is to end. ASKED: an administrator wants it. */
enum leaving_set { LEAVING_REMOVED, LEAVING_ALL, LEAVING_ASKED, LEAVING_SETS };

/* The order of a set, which must be empty. */
void leaving_begin(enum leaving_set set, enum leaving_order order);

/*
 * Puts c into a set, where it may be already. mark: told by leaving_mark, the last one counts.
 * False: no memory.
 */
bool leaving_add(enum leaving_set set, const struct conn *c, uint64_t mark);

/* The mark of c in a set; 0: it is not there. */
uint64_t leaving_mark(enum leaving_set set, const struct conn *c);

/* Takes c out, where it is in; of all sets, for it is about to be freed. */
void leaving_remove(enum leaving_set set, const struct conn *c);
void leaving_forget(const struct conn *c);

/* Takes out who is first. NULL: the set is empty. */
struct conn *leaving_take(enum leaving_set set);

size_t leaving_count(enum leaving_set set);

/* A number that looks like chance. */
uint64_t leaving_random(void);

#endif
