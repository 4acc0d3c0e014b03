/*
 * resume.h - until when a TLS session may be resumed.
 */
#ifndef NET_RESUME_H
#define NET_RESUME_H

#include <stdbool.h>

struct ssl_ctx_st;
struct ssl_session_st;
struct trust;

/*
 * Makes the sessions of a context end with what its client was believed by: the certificates
 * it was verified with and the revocation lists. Who comes later has to go through a full
 * handshake, which looks at them again. -1: no memory.
 */
int resume_limit(struct ssl_ctx_st *ctx);

/* What a session that was resumed keeps of its full handshake. False: it has nothing of the kind. */
bool resume_trust(struct ssl_session_st *session, struct trust *out);

#endif
