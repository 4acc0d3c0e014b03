/*
 * jwt_holder.h - those who are let in by a JSON Web Token: what a request shows of one, and what is kept of it.
 */
#ifndef SESSION_JWT_HOLDER_H
#define SESSION_JWT_HOLDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reason.h"
#include "proto/frame.h"
#include "proto/http.h"
#include "proto/jws.h"

struct access_request;
struct config_access;
struct config_endpoint;
struct conn;
struct identity;

/* Of a token that was good: enough to judge it again by other rules. */
struct jwt_kept {
	double expires; /* seconds since the epoch, leeway counted; HUGE_VAL: never */
	enum jws_alg alg;
	bool publishes; /* what it says in its room is heard */
	bool told; /* that it is about to expire */
	uint32_t look; /* tick: when to see what the clock says of it next */
	uint8_t print[JWS_PRINT]; /* of the key that it was signed with */
	size_t len;
	char claims[]; /* those that rules have named, JSON */
};

/* A row of the kinds of access.c: rq->detail lives up to the next call, and so does who->user. */
enum reason jwt_check_shown(const struct config_access *a, struct access_request *rq,
			    struct identity *who);

/*
 * Whether who came by such a token (NULL: nobody knows who) would be let in to e, too; what he may do
 * there is noted.
 */
bool jwt_holds(const struct config_endpoint *e, const struct conn *c, const struct identity *who);

/* Seconds until it expires, by the clock of now; 0 or less: it has. And notes when to look at that next. */
double jwt_time_left(const struct jwt_kept *kept);
void jwt_note_look(struct jwt_kept *kept);

/* The same of a token that has come: rq has c and the name. */
enum reason jwt_check_token(struct access_request *rq, struct http_text token,
			    struct identity *who);

/*
 * Judges another token of c, who has one, as at the door, where nobody is listened to whose address has
 * failed too often; if it is good and of the same user, c has it from now on: NONE. Else *why is what the log is told, NULL: the reason says it all.
 */
enum reason jwt_renew(struct conn *c, struct http_text token, const char **why);

/*
 * The token of a message {"ignyx":asked,"token":TOKEN}, a view of *tree, which is for json_decref whatever
 * comes of it. NONE; NO_CREDENTIALS: it is no such message, or longer than one is; NO_MEMORY.
 */
enum { JWT_MESSAGE_MAX = JWS_TOKEN_MAX + 256 }; /* bytes */
enum reason jwt_said(const struct ws_message *m, const char *asked, json_t **tree,
		     struct http_text *token);

/* The close code for who has said one that is refused. */
int jwt_close_code(enum reason r);

/* Whether what c, a member of a room, says there is heard, as far as its token goes. */
bool jwt_publishes(const struct conn *c);

#endif
