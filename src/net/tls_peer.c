/*
 * tls_peer.c - who is at the other end by its certificate, see tls.h.
 *
 * What is not verified says nothing. OpenSSL keeps the certificate as long as the connection, also of a
 * session that was resumed, so it can be looked at again when other names count.
 */
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/printable.h"
#include "net/resume.h"
#include "net/tls_internal.h"
#include "net/trust.h"

static X509 *certificate_of(const struct transport *t)
{
	const SSL *ssl = tls_session(t);

	return ssl && SSL_get_verify_result(ssl) == X509_V_OK ? SSL_get0_peer_certificate(ssl)
							      : NULL;
}

static void print_names(BIO *bio, X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		BIO_puts(bio, " ");
		GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
	}
	GENERAL_NAMES_free(names);
}

size_t tls_peer_identity(const struct transport *t, char *out, size_t size)
{
	X509 *x = certificate_of(t);
	BIO *bio = x ? BIO_new(BIO_s_mem()) : NULL;
	int n;

	if (!bio)
		return 0;
	X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253);
	print_names(bio, x);
	n = BIO_read(bio, out, (int)size - 1);
	BIO_free(bio);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* --- its names --- */

/* How far the names have been looked at, and who looks. */
struct look {
	tls_name_fn *is;
	void *arg;
	int left;
};

/* A name may have any bytes, a NUL as well; one with such as nobody would write is nobody's. */
static bool look_at(struct look *l, const char *kind, const ASN1_STRING *s)
{
	unsigned char *text = NULL;
	int n;
	bool found;

	if (l->left == 0)
		return false;
	l->left--;
	n = ASN1_STRING_to_UTF8(&text, s);
	found = n > 0 && printable_whole((const char *)text, (size_t)n) &&
		l->is(kind, (const char *)text, l->arg);
	OPENSSL_free(text);
	return found;
}

static bool look_at_subject(struct look *l, X509 *x)
{
	const X509_NAME *subject = X509_get_subject_name(x);
	bool found = false;
	int at = -1;

	while (!found && l->left > 0 &&
	       (at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
		found = look_at(l, "CN",
				X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	return found;
}

static bool look_at_other(struct look *l, const GENERAL_NAME *name)
{
	static const char *const kinds[] = {
		[GEN_EMAIL] = "email",
		[GEN_DNS] = "DNS",
		[GEN_URI] = "URI",
	};
	const size_t count = sizeof(kinds) / sizeof(*kinds);

	if (name->type < 0 || (size_t)name->type >= count || !kinds[name->type])
		return false;
	return look_at(l, kinds[name->type], name->d.ia5);
}

static bool look_at_others(struct look *l, X509 *x)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; !found && l->left > 0 && i < sk_GENERAL_NAME_num(names); i++)
		found = look_at_other(l, sk_GENERAL_NAME_value(names, i));
	GENERAL_NAMES_free(names);
	return found;
}

bool tls_peer_has_name(const struct transport *t, tls_name_fn *is, void *arg)
{
	X509 *x = certificate_of(t);
	struct look l = { is, arg, TLS_NAMES_MAX };

	return x && (look_at_subject(&l, x) || look_at_others(&l, x));
}

/* --- revocation --- */

static bool is_in(X509_CRL *list, X509 *x)
{
	X509_REVOKED *entry;

	/* 2: it was taken out of the list again */
	return X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(x)) == 0 &&
	       X509_CRL_get0_by_cert(list, &entry, x) == 1;
}

/* False: nothing is known, for want of memory. */
static bool find_trust(const struct transport *t, struct trust *out)
{
	SSL *ssl = tls_session(t);

	return SSL_session_reused(ssl) ? resume_trust(SSL_get_session(ssl), out)
				       : trust_of(ssl, out);
}

bool tls_peer_is_revoked(const struct transport *t, const STACK_OF(X509_CRL) * lists)
{
	X509 *x = certificate_of(t);
	struct trust trust;

	if (!x || !lists)
		return false;
	for (int i = 0; i < sk_X509_CRL_num(lists); i++)
		if (is_in(sk_X509_CRL_value(lists, i), x))
			return true;
	return !find_trust(t, &trust) || trust_is_revoked(&trust, lists);
}

bool tls_peer_anchor(const struct transport *t, uint8_t out[ANCHOR])
{
	struct trust trust;

	if (!certificate_of(t) || !find_trust(t, &trust))
		return false;
	memcpy(out, trust.anchor, ANCHOR);
	return true;
}
