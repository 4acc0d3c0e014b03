/*
 * person.h - certificates for tests, which are made as they are needed.
 */
#ifndef TESTS_PERSON_H
#define TESTS_PERSON_H

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

enum { DAY = 24 * 60 * 60 };

struct person {
	EVP_PKEY *key;
	X509 *x;
};

/* What a certificate says; 0 and NULL are what is usual. */
struct wish {
	const char *name; /* the common name */
	const char *hosts; /* "DNS:a,DNS:b"; NULL: none */
	const struct person *issuer; /* NULL: itself */
	const char *kind; /* of the key; NULL: "EC" */
	int begins, days; /* from now; 0: yesterday, a year */
	bool signs; /* is an authority, also to who looks for that */
};

static inline void person_add(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_nconf_nid(NULL, NULL, nid, value);

	assert_non_null(e);
	assert_int_equal(X509_add_ext(x, e, -1), 1);
	X509_EXTENSION_free(e);
}

static inline struct person person_make(struct wish w)
{
	static long serial;
	bool ec = w.kind == NULL;
	struct person p = { ec ? EVP_EC_gen("P-256") : EVP_PKEY_Q_keygen(NULL, NULL, w.kind),
			    X509_new() };
	const struct person *issuer = w.issuer != NULL ? w.issuer : &p;

	assert_non_null(p.key);
	X509_set_version(p.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(p.x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(p.x), (w.begins != 0 ? w.begins : -1) * (long)DAY);
	/* an hour more, for days are counted whole */
	X509_gmtime_adj(X509_getm_notAfter(p.x), (w.days != 0 ? w.days : 365) * (long)DAY + 3600);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(p.x), "CN", MBSTRING_UTF8,
				   (const unsigned char *)w.name, -1, -1, 0);
	X509_set_issuer_name(p.x, X509_get_subject_name(issuer->x));
	X509_set_pubkey(p.x, p.key);
	if (w.hosts != NULL)
		person_add(p.x, NID_subject_alt_name, w.hosts);
	if (w.signs)
		person_add(p.x, NID_basic_constraints, "CA:TRUE");
	assert_true(X509_sign(p.x, issuer->key, ec ? EVP_sha256() : NULL) > 0);
	return p;
}

static inline void person_end(struct person *p)
{
	EVP_PKEY_free(p->key);
	X509_free(p->x);
}

/* A list of what p has revoked: that one, NULL: nothing. next: days until the next; 0: it says none. */
static inline X509_CRL *person_list(const struct person *p, const X509 *revoked, int next)
{
	X509_CRL *list = X509_CRL_new();
	ASN1_TIME *t = X509_gmtime_adj(NULL, -(long)DAY);

	X509_CRL_set_version(list, 1);
	X509_CRL_set_issuer_name(list, X509_get_subject_name(p->x));
	X509_CRL_set1_lastUpdate(list, t);
	if (revoked != NULL) {
		X509_REVOKED *entry = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(entry,
					      (ASN1_INTEGER *)X509_get0_serialNumber(revoked));
		X509_REVOKED_set_revocationDate(entry, t);
		X509_CRL_add0_revoked(list, entry);
	}
	if (next != 0) {
		X509_gmtime_adj(t, next * (long)DAY + 3600);
		X509_CRL_set1_nextUpdate(list, t);
	}
	assert_true(X509_CRL_sign(list, p->key, EVP_sha256()) > 0);
	ASN1_TIME_free(t);
	return list;
}

#endif
