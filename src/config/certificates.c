/*
 * certificates.c - what a listener with TLS needs: certificates, keys, authorities.
 *
 * Files are read and checked here, with the configuration and as its user, so that a
 * pair that does not match is an error of the file and not of the first client. What
 * came of them stays in the snapshot as OpenSSL's objects.
 */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/alloc.h"
#include "config/guard.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/tables.h"
#include "config/validity.h"

enum { NAMES_MAX = 256 };

/* The last thing that OpenSSL found wrong, in words. */
static const char *openssl_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return reason != NULL ? reason : "it is not in PEM format";
}

static BIO *open_file(struct config_report *r, const char *key, const char *name)
{
	const struct source_attachment *a = attach_file(r, key, name);

	return a != NULL ? BIO_new_mem_buf(a->bytes, (int)a->len) : NULL;
}

/* At the end of a PEM file there is "no start line", which is no error. */
static bool is_end(void)
{
	unsigned long e = ERR_peek_last_error();
	bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* All certificates of a file. NULL: reported. */
static STACK_OF(X509) *
	read_certificates(struct config_report *r, const char *key, const char *name)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *bio = open_file(r, key, name);
	X509 *x;

	if (bio == NULL)
		goto fail;
	while ((x = PEM_read_bio_X509(bio, NULL, guard_no_passphrase, NULL)) != NULL)
		sk_X509_push(all, x);
	if (!is_end()) {
		config_report_error(r, key, "\"%s\" has a certificate that cannot be read: %s",
				    name, openssl_reason());
		goto fail;
	}
	if (sk_X509_num(all) == 0) {
		config_report_error(r, key, "\"%s\" has no certificate in PEM format", name);
		goto fail;
	}
	BIO_free(bio);
	return all;
fail:
	BIO_free(bio);
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

static void read_revoked(struct config_report *r, struct config_tls *t)
{
	BIO *bio = open_file(r, "crl", t->crl);
	X509_CRL *x;

	if (bio == NULL)
		return;
	t->revoked = sk_X509_CRL_new_null();
	while ((x = PEM_read_bio_X509_CRL(bio, NULL, guard_no_passphrase, NULL)) != NULL)
		sk_X509_CRL_push(t->revoked, x);
	if (!is_end() || sk_X509_CRL_num(t->revoked) == 0)
		config_report_error(r, "crl", "\"%s\" has no revocation list in PEM format",
				    t->crl);
	t->revoked_count = (size_t)sk_X509_CRL_num(t->revoked);
	BIO_free(bio);
}

/* --- a certificate and its key --- */

static void parse_key(struct config_report *r, struct config_certificate *c,
		      const struct source_attachment *a)
{
	BIO *bio = BIO_new_mem_buf(a->bytes, (int)a->len);
	bool encrypted = false;

	c->private_key = PEM_read_bio_PrivateKey(bio, NULL, guard_no_passphrase, &encrypted);
	if (encrypted)
		config_report_error(r, "key",
				    "\"%s\" is encrypted; a daemon cannot ask for a passphrase: "
				    "store the key without one and guard it by the file's mode",
				    c->key);
	else if (c->private_key == NULL)
		config_report_error(r, "key", "\"%s\" has no private key in PEM format: %s", c->key,
				    openssl_reason());
	ERR_clear_error();
	BIO_free(bio);
}

static void read_key(struct config_report *r, struct config_certificate *c)
{
	const struct source_attachment *a;

	guard_memory();
	a = attach_file(r, "key", c->key);
	if (a == NULL)
		return;
	attach_warn_mode(r, "key", c->key, a, "the private key");
	parse_key(r, c, a);
}

static void add_name(char **names, const unsigned char *name, int len)
{
	size_t n = 0;

	if (len > 0 && name[len - 1] == '.')
		len--;
	/* A NUL within is a trick that no client plays by mistake. */
	if (len <= 0 || memchr(name, '\0', (size_t)len) != NULL)
		return;
	while (names[n] != NULL)
		n++;
	if (n == NAMES_MAX)
		return;
	names[n] = alloc_bytes(name, (size_t)len);
	for (char *p = names[n]; *p != '\0'; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
}

static void add_common_name(char **names, X509 *x)
{
	X509_NAME *subject = X509_get_subject_name(x);
	int i = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	const ASN1_STRING *s;

	if (i < 0)
		return;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i));
	add_name(names, ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
}

/* The DNS names of the certificate; the common name counts if there are none. */
static char **names_of(X509 *x)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	char **names = alloc_zero(NAMES_MAX + 1, sizeof(*names));

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type == GEN_DNS)
			add_name(names, ASN1_STRING_get0_data(g->d.dNSName),
				 ASN1_STRING_length(g->d.dNSName));
	}
	if (names[0] == NULL)
		add_common_name(names, x);
	GENERAL_NAMES_free(all);
	return names;
}

static void read_certificate(struct config_report *r, struct config_tls *t,
			     struct config_certificate *c)
{
	STACK_OF(X509) *all = read_certificates(r, "certificate", c->certificate);

	read_key(r, c);
	if (all == NULL)
		return;
	c->leaf = sk_X509_shift(all);
	c->chain = all;
	c->names = names_of(c->leaf);
	if (c->private_key != NULL && X509_check_private_key(c->leaf, c->private_key) != 1)
		config_report_error(r, "key", "\"%s\" is not the key of \"%s\"", c->key,
				    c->certificate);
	ERR_clear_error();
	validity_of_certificate(r, t, c, r->parse->source->unpacked);
}

/* A name that both have. NULL: none, or they are told apart by the kind of key. */
static const char *common_name(const struct config_certificate *a,
			       const struct config_certificate *b)
{
	if (EVP_PKEY_get_base_id(a->private_key) != EVP_PKEY_get_base_id(b->private_key))
		return NULL;
	for (char **x = a->names; *x != NULL; x++)
		for (char **y = b->names; *y != NULL; y++)
			if (strcmp(*x, *y) == 0)
				return *x;
	return NULL;
}

static void check_names(struct config_report *r, const struct config_tls *t)
{
	const struct config_certificate *last = &t->certificates[t->certificate_count - 1];

	if (last->leaf == NULL || last->private_key == NULL)
		return;
	for (const struct config_certificate *c = t->certificates; c < last; c++) {
		const char *name = NULL;

		if (c->leaf != NULL && c->private_key != NULL)
			name = common_name(c, last);
		if (name == NULL)
			continue;
		config_report_error(r, "certificate",
				    "is for \"%s\", for which there is one with a key of the same "
				    "kind at %s:%d",
				    name, c->file, c->line);
		return;
	}
}

void certificate_check(struct config_report *r, void *tls, void *certificate)
{
	struct config_certificate *c = certificate;

	if (c->certificate == NULL || c->key == NULL)
		return;
	read_certificate(r, tls, c);
	check_names(r, tls);
}

void certificate_end(void *certificate)
{
	struct config_certificate *c = certificate;

	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->private_key);
	for (size_t i = 0; c->names != NULL && c->names[i] != NULL; i++)
		free(c->names[i]);
	free(c->names);
}

/* --- the rest of the group --- */

static void note_anchors(struct config_tls *t)
{
	const int count = sk_X509_num(t->authorities);

	t->anchors = alloc_zero((size_t)(count > 0 ? count : 1), sizeof(*t->anchors));
	for (int i = 0; i < count; i++)
		if (anchor_of(sk_X509_value(t->authorities, i), t->anchors[t->anchor_count]))
			t->anchor_count++;
}

static void check_clients(struct config_report *r, struct config_tls *t)
{
	if (t->verify != VERIFY_NONE && t->client_ca == NULL && !report_is_wrong(r, "client_ca"))
		config_report_error(r, "verify",
				    "needs \"client_ca\": who may sign certificates "
				    "of clients");
	if (t->verify == VERIFY_NONE && t->client_ca != NULL && !report_is_wrong(r, "verify"))
		config_report_error(
			r, "client_ca",
			"is not used unless \"verify\" is \"optional\" or \"required\"");
	if (t->crl != NULL && t->client_ca == NULL)
		config_report_error(r, "crl", "needs \"client_ca\"");
	if (t->client_ca != NULL)
		t->authorities = read_certificates(r, "client_ca", t->client_ca);
	note_anchors(t);
	if (t->crl != NULL)
		read_revoked(r, t);
	validity_of_clients(r, t, r->parse->source->unpacked);
}

/* Ahead of the certificates, for who signs clients may have signed us. */
void tls_check(struct config_report *r, void *listener, void *tls)
{
	struct config_tls *t = tls;

	(void)listener;
	t->on = true;
	parse_place(r->parse, r->group, &t->file, &t->line);
	check_clients(r, t);
	ciphers_check(r, t);
}

void tls_end(void *tls)
{
	struct config_tls *t = tls;

	sk_X509_pop_free(t->authorities, X509_free);
	free(t->anchors);
	sk_X509_CRL_pop_free(t->revoked, X509_CRL_free);
	validity_free(t);
}
