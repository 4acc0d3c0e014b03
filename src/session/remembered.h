/*
 * remembered.h - passwords that were found to be right a moment ago, so that who comes back need not be
 * checked again at once.
 *
 * What is remembered is a keyed hash of all that it goes by: nobody can tell anything from it, and where
 * the line of the user changes it is of no use any more.
 */
#ifndef SESSION_REMEMBERED_H
#define SESSION_REMEMBERED_H

#include <stdbool.h>
#include <stdint.h>

enum {
	REMEMBERED_MARK = 32,
	REMEMBERED_MOST = 4096, /* of one worker; then the oldest goes */
	REMEMBERED_FOR = 5 * 60 * 1000, /* ms */
};

/*
 * That of a password that somebody gives as that of a user, to be checked by a line of the file
 * (config_user). False: there is no memory.
 */
bool remembered_mark(const uint8_t *line, const char *user, const char *password,
		     uint8_t mark[REMEMBERED_MARK]);

/* It is right; whether it was, within REMEMBERED_FOR. Without memory nothing is remembered. */
void remembered_add(const uint8_t mark[REMEMBERED_MARK]);
bool remembered_has(const uint8_t mark[REMEMBERED_MARK]);

void remembered_fini(void);

#endif
