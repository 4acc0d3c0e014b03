/*
 * bearer.c - see bearer.h.
 *
 * What is compared are hashes, all of them and each to its end, so that nobody learns from the time
 * how much of a guess was right, nor in which line of the file it came near.
 */
#include "admin/bearer.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "config/config.h"

static const char SCHEME[] = "Bearer ";

/* What follows the scheme (RFC 6750 2.1). NULL: it is another one. */
static const char *token_in(const char *authorization)
{
	if (!authorization || strncasecmp(authorization, SCHEME, sizeof(SCHEME) - 1) != 0)
		return NULL;
	authorization += sizeof(SCHEME) - 1;
	return authorization + strspn(authorization, " ");
}

const struct config_token *bearer_find(const struct config_admin *a, const char *authorization)
{
	const char *token = token_in(authorization);
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t found = a->token_count;

	if (!token || EVP_Digest(token, strlen(token), hash, NULL, EVP_sha256(), NULL) != 1)
		return NULL;
	for (size_t i = 0; i < a->token_count; i++) {
		bool same = CRYPTO_memcmp(a->tokens[i].hash, hash, CONFIG_TOKEN_HASH) == 0;

		found = same ? i : found;
	}
	OPENSSL_cleanse(hash, sizeof(hash));
	return found < a->token_count ? &a->tokens[found] : NULL;
}
