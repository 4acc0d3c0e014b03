/*
 * bearer.c - see bearer.h.
 */
#include "admin/bearer.h"

#include <string.h>

#include "config/tokens.h"
#include "proto/authorization.h"

const struct config_token *bearer_find(const struct config_admin *a, const char *authorization)
{
	struct http_text token;

	if (!authorization ||
	    !authorization_bearer((struct http_text){ authorization, strlen(authorization) },
				  &token))
		return NULL;
	return tokens_find(&a->tokens, token);
}
