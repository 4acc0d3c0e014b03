/*
 * chosen.h - some connections, by their ids, while they come and go.
 */
#ifndef SESSION_CHOSEN_H
#define SESSION_CHOSEN_H

#include <stddef.h>

struct conn;

enum { CHOSEN_MAX = 128 };

/* None are, and of those that are offered so many with the lowest ids will be, at most CHOSEN_MAX. */
void chosen_begin(size_t most);

/* One may be offered more than once. */
void chosen_offer(struct conn *c);

/* It is about to be freed. */
void chosen_forget(const struct conn *c);

/* In the order of their ids. */
size_t chosen_count(void);
struct conn *chosen_at(size_t i);

#endif
