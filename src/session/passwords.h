/*
 * passwords.h - whether a client knows the password of a user.
 *
 * To find that out takes its time, in a thread of this worker that is there from the first one on: the
 * opening waits for it (awaiting.h). Who comes back within some minutes does not wait (remembered.h).
 */
#ifndef SESSION_PASSWORDS_H
#define SESSION_PASSWORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "proto/http.h"
#include "session/remembered.h"

struct config_user;
struct config_users;
struct conn;

/* What an opening has of it, zeroed at first. */
struct claim {
	uint8_t mark[REMEMBERED_MARK]; /* of what was asked about last, */
	bool known; /* whose user there is */
	bool denied; /* and the answer was no */
};

/*
 * By the value of an Authorization header (p NULL: there is none). NONE, and *user: who it is; NO_CREDENTIALS,
 * BAD_PASSWORD; or BUSY, NO_MEMORY: it cannot be found out now, or c waits for it from here on (awaiting_is).
 * Who there is and who is not takes the same time, and the same steps.
 */
enum reason passwords_check(struct conn *c, const struct config_users *all, struct http_text value,
			    const struct config_user **user);

/* With every tick: what is counted of them. */
void passwords_tick(void);
void passwords_fini(void);

#endif
