/*
 * bearer.h - who asks over TCP: by the token that he has.
 */
#ifndef ADMIN_BEARER_H
#define ADMIN_BEARER_H

struct config_admin;
struct config_token;

/*
 * The token of a header `Authorization: Bearer TOKEN`; authorization: its value, or NULL. NULL: it
 * has none that is known.
 */
const struct config_token *bearer_find(const struct config_admin *a, const char *authorization);

#endif
