/*
 * guard.h - what a process does that has keys in its memory.
 */
#ifndef CONFIG_GUARD_H
#define CONFIG_GUARD_H

/*
 * From here on there is a key in memory, and copies of it that libraries make where they like: none of
 * this process goes into a core dump, nor may other processes of its user look at it.
 */
void guard_memory(void);

/*
 * For whatever reads PEM: a daemon asks nobody for a passphrase, and a library that is given no such
 * function asks at the terminal. wanted: a bool that is set if it would be asked for; NULL: nobody cares.
 */
int guard_no_passphrase(char *buf, int size, int writing, void *wanted);

#endif
