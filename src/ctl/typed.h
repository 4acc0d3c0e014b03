/*
 * typed.h - a password that somebody types, or has in a pipe.
 */
#ifndef CTL_TYPED_H
#define CTL_TYPED_H

enum { TYPED_MAX = 256 }; /* bytes of a password that the daemon takes */

/*
 * Reads one: from a terminal twice and unseen, else the first line of standard input. What it is is the
 * caller's to clear. -1: it was said what is wrong, and nothing is left in it.
 */
int typed_password(char password[TYPED_MAX + 1]) __attribute__((warn_unused_result));

#endif
