/*
 * anchor.c - see anchor.h.
 */
#include "base/anchor.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

bool anchor_of(const X509 *x, uint8_t out[ANCHOR])
{
	uint8_t both[2 * ANCHOR];

	return X509_NAME_digest(X509_get_subject_name(x), EVP_sha256(), both, NULL) == 1 &&
	       X509_pubkey_digest(x, EVP_sha256(), both + ANCHOR, NULL) == 1 &&
	       EVP_Digest(both, sizeof(both), out, NULL, EVP_sha256(), NULL) == 1;
}
