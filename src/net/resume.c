/*
 * resume.c - until when a TLS session may be resumed.
 *
 * A ticket holds the certificate of the client, but not those between it and the authority,
 * and OpenSSL looks at none of them when a session is resumed. So what counted in the full handshake
 * (trust.h), and the first moment at which any of it is no longer valid, goes into the ticket, and
 * from one ticket to the next, for each resumption gives a new one.
 */
#include "net/resume.h"

#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "net/trust.h"

static int64_t seconds(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* A list that is not the client's authority's counts, too: it costs a full handshake at most. */
static int64_t end_of_lists(X509_STORE *store)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	int64_t end = INT64_MAX;

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		const X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));

		if (list && X509_CRL_get0_nextUpdate(list))
			end = earlier(end, seconds(X509_CRL_get0_nextUpdate(list)));
	}
	return end;
}

/* A ticket is about to be sealed. In that of a resumed session it stands already. */
static int seal_cb(SSL *ssl, void *arg)
{
	struct trust t;

	(void)arg;
	if (SSL_session_reused(ssl) || !SSL_get0_peer_certificate(ssl))
		return 1;
	if (!trust_of(ssl, &t))
		return 0;
	t.end = earlier(t.end, end_of_lists(SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl))));
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &t, sizeof(t));
}

bool resume_trust(SSL_SESSION *session, struct trust *out)
{
	void *data = NULL;
	size_t len = 0;

	if (SSL_SESSION_get0_ticket_appdata(session, &data, &len) != 1 || len != sizeof(*out))
		return false;
	memcpy(out, data, sizeof(*out));
	return out->count <= TRUST_LINKS_MAX;
}

static bool is_over(SSL_SESSION *session)
{
	struct trust t;

	if (!SSL_SESSION_get0_peer(session))
		return false;
	return !resume_trust(session, &t) || (int64_t)time(NULL) >= t.end;
}

/* A ticket was opened, or could not be. */
static SSL_TICKET_RETURN open_cb(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
				 size_t len, SSL_TICKET_STATUS status, void *arg)
{
	(void)ssl;
	(void)name;
	(void)len;
	(void)arg;
	if ((status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) ||
	    is_over(session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

int resume_limit(struct ssl_ctx_st *ctx)
{
	return SSL_CTX_set_session_ticket_cb(ctx, seal_cb, open_cb, NULL) == 1 ? 0 : -1;
}
