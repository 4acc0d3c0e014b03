/*
 * trust.c - see trust.h.
 */
#include "net/trust.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <time.h>

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static bool set_link(const X509 *x, struct trust_link *l)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	const int len = ASN1_STRING_length(serial);

	if (len > TRUST_SERIAL_MAX ||
	    X509_NAME_digest(X509_get_issuer_name(x), EVP_sha256(), l->issuer, NULL) != 1)
		return false;
	l->serial_len = (uint8_t)len;
	memcpy(l->serial, ASN1_STRING_get0_data(serial), (size_t)len);
	return true;
}

bool trust_of(const SSL *ssl, struct trust *out)
{
	const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	const int count = sk_X509_num(chain);

	*out = (struct trust){ .end = count > 0 ? INT64_MAX : 0 };
	for (int i = 0; i < count; i++) {
		const X509 *x = sk_X509_value(chain, i);
		const int64_t end = seconds(X509_get0_notAfter(x));

		out->end = end < out->end ? end : out->end;
		if (i == 0 || i == count - 1)
			continue;
		if (out->count == TRUST_LINKS_MAX || !set_link(x, &out->links[out->count++]))
			out->end = 0;
	}
	return count <= 0 || anchor_of(sk_X509_value(chain, count - 1), out->anchor);
}

static bool is_in(X509_CRL *list, const struct trust_link *l)
{
	uint8_t issuer[TRUST_ISSUER];
	ASN1_INTEGER *serial;
	X509_REVOKED *entry;
	bool found;

	if (X509_NAME_digest(X509_CRL_get_issuer(list), EVP_sha256(), issuer, NULL) != 1 ||
	    memcmp(issuer, l->issuer, sizeof(issuer)) != 0)
		return false;
	serial = ASN1_INTEGER_new();
	/* without memory it is taken for one: a full handshake finds out */
	found = !serial || ASN1_STRING_set(serial, l->serial, l->serial_len) != 1 ||
		X509_CRL_get0_by_serial(list, &entry, serial) == 1;
	ASN1_INTEGER_free(serial);
	return found;
}

bool trust_is_revoked(const struct trust *t, const STACK_OF(X509_CRL) * lists)
{
	for (int i = 0; i < sk_X509_CRL_num(lists); i++)
		for (uint32_t k = 0; k < t->count; k++)
			if (is_in(sk_X509_CRL_value(lists, i), &t->links[k]))
				return true;
	return false;
}
