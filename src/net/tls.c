/*
 * tls.c - what a listener offers over OpenSSL, see tls.h.
 *
 * There is one SSL_CTX for each set of certificates that some name needs: a certificate
 * with an RSA key and one with an ECDSA key for the same name are offered together. The
 * first one of the configuration is for clients that ask for no name, or for one that
 * nobody has.
 */
#include "net/tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/metrics.h"
#include "config/config.h"
#include "net/resume.h"
#include "net/tickets.h"
#include "net/tls_internal.h"

/* A name and the context of the certificates that have it. */
struct named {
	char *name;
	uint64_t set; /* of these: a bit for each */
	SSL_CTX *ctx;
};

struct tls_server {
	unsigned refs;
	SSL_CTX *first;
	struct named *names;
	size_t count;
};

static int index_of_tickets = -1; /* where a context keeps its ticket keys */

static bool set_hmac(EVP_MAC_CTX *mac, struct ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int seal_ticket(const struct tickets *t, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
	struct ticket_key k = tickets_current(t);
	bool ok;

	memcpy(name, k.name, sizeof(k.name));
	ok = RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
	     EVP_EncryptInit_ex(c, EVP_aes_256_cbc(), NULL, k.aes, iv) == 1 && set_hmac(mac, &k);
	OPENSSL_cleanse(&k, sizeof(k));
	return ok ? 1 : -1;
}

/* 0: a ticket that nobody knows, the handshake goes on in full; 2: renew it. */
static int open_ticket(const struct tickets *t, unsigned char *name, unsigned char *iv,
		       EVP_CIPHER_CTX *c, EVP_MAC_CTX *mac)
{
	struct ticket_key k;
	bool old;
	int r = 0;

	if (tickets_find(t, name, &k, &old)) {
		bool ok = EVP_DecryptInit_ex(c, EVP_aes_256_cbc(), NULL, k.aes, iv) == 1 &&
			  set_hmac(mac, &k);

		r = ok ? 1 + old : -1;
	}
	OPENSSL_cleanse(&k, sizeof(k));
	return r;
}

static int ticket_cb(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *c,
		     EVP_MAC_CTX *mac, int sealing)
{
	const struct tickets *t = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), index_of_tickets);

	return sealing ? seal_ticket(t, name, iv, c, mac) : open_ticket(t, name, iv, c, mac);
}

/* WebSocket is spoken over HTTP/1.1; a client that offers only others is not sent away here. */
static int alpn_cb(SSL *ssl, const unsigned char **out, unsigned char *out_len,
		   const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof(ours) - 1, in,
				  in_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

/* Exactly, or the pattern for one label below. */
static bool has_name(const char *pattern, const char *name)
{
	const char *dot;

	if (pattern[0] != '*' || pattern[1] != '.')
		return strcasecmp(pattern, name) == 0;
	dot = strchr(name, '.');
	return dot != NULL && dot != name && strcasecmp(pattern + 1, dot) == 0;
}

/* An exact name goes before a pattern. */
static SSL_CTX *find_context(const struct tls_server *s, const char *name)
{
	SSL_CTX *found = NULL;

	for (size_t i = 0; i < s->count; i++) {
		if (!has_name(s->names[i].name, name))
			continue;
		if (s->names[i].name[0] != '*')
			return s->names[i].ctx;
		if (!found)
			found = s->names[i].ctx;
	}
	return found;
}

/*
 * "www.example.org." is the same host, and some clients ask for it as their user wrote it,
 * which RFC 6066 (3) does not allow them.
 */
static SSL_CTX *find_context_of_host(const struct tls_server *s, const char *host)
{
	char name[TLSEXT_MAXLEN_host_name + 1];
	size_t len = strnlen(host, sizeof(name) - 1);

	memcpy(name, host, len);
	name[len > 0 && host[len - 1] == '.' ? len - 1 : len] = '\0';
	return find_context(s, name);
}

static int servername_cb(SSL *ssl, int *alert, void *arg)
{
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *ctx = host ? find_context_of_host(arg, host) : NULL;

	(void)alert;
	if (ctx && ctx != SSL_get_SSL_CTX(ssl))
		SSL_set_SSL_CTX(ssl, ctx);
	return SSL_TLSEXT_ERR_OK;
}

static bool set_clients(SSL_CTX *ctx, const struct config_tls *c)
{
	static const int modes[] = {
		[VERIFY_NONE] = SSL_VERIFY_NONE,
		[VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
		[VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);

	SSL_CTX_set_verify(ctx, modes[c->verify], NULL);
	for (int i = 0; i < sk_X509_num(c->authorities); i++) {
		X509 *x = sk_X509_value(c->authorities, i);

		if (X509_STORE_add_cert(store, x) != 1 || SSL_CTX_add_client_CA(ctx, x) != 1)
			return false;
	}
	for (int i = 0; i < sk_X509_CRL_num(c->revoked); i++)
		if (X509_STORE_add_crl(store, sk_X509_CRL_value(c->revoked, i)) != 1)
			return false;
	/* an authority in between may have been revoked, too, and then all that it has signed */
	if (c->revoked)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

static bool set_ciphers(SSL_CTX *ctx, const struct config_tls *c)
{
	return SSL_CTX_set_min_proto_version(ctx, c->min_version ? TLS1_3_VERSION
								 : TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, c->ciphers) == 1 &&
	       (!c->ciphersuites || SSL_CTX_set_ciphersuites(ctx, c->ciphersuites) == 1) &&
	       (!c->curves || SSL_CTX_set1_groups_list(ctx, c->curves) == 1);
}

static void set_options(SSL_CTX *ctx, const struct config_tls *c)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	if (!c->prefer_server_ciphers)
		SSL_CTX_clear_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
	if (!c->session_tickets)
		SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, c->session_tickets ? 1 : 0);
	SSL_CTX_set_timeout(ctx, 2 * TICKET_ROTATION);
	SSL_CTX_set_alpn_select_cb(ctx, alpn_cb, NULL);
}

static bool add_authorities(EVP_MD_CTX *md, const struct config_tls *c)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	for (int i = 0; i < sk_X509_num(c->authorities); i++)
		if (X509_digest(sk_X509_value(c->authorities, i), EVP_sha256(), digest, &n) != 1 ||
		    EVP_DigestUpdate(md, digest, n) != 1)
			return false;
	for (int i = 0; i < sk_X509_CRL_num(c->revoked); i++)
		if (X509_CRL_digest(sk_X509_CRL_value(c->revoked, i), EVP_sha256(), digest, &n) !=
			    1 ||
		    EVP_DigestUpdate(md, digest, n) != 1)
			return false;
	return true;
}

/*
 * A session is resumed without a look at the client's certificate. So it counts only where
 * clients are looked at in the way that it was begun with: the same authorities, the same
 * revocations. All listeners share their ticket keys, and those outlive a reload. That time
 * has not undone any of it is seen to by resume.c.
 */
static bool set_session_context(SSL_CTX *ctx, const struct config_tls *c)
{
	unsigned char id[EVP_MAX_MD_SIZE];
	unsigned n;
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 &&
		  EVP_DigestUpdate(md, &c->verify, sizeof(c->verify)) == 1 &&
		  add_authorities(md, c) && EVP_DigestFinal_ex(md, id, &n) == 1 &&
		  SSL_CTX_set_session_id_context(ctx, id, n) == 1;

	EVP_MD_CTX_free(md);
	return ok;
}

static SSL_CTX *new_context(const struct config_tls *c, const struct tickets *tickets)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (index_of_tickets < 0)
		index_of_tickets = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (!ctx || index_of_tickets < 0 || !set_ciphers(ctx, c) || !set_clients(ctx, c) ||
	    !set_session_context(ctx, c) ||
	    SSL_CTX_set_ex_data(ctx, index_of_tickets, (void *)tickets) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_cb) != 1 || resume_limit(ctx) < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	set_options(ctx, c);
	return ctx;
}

/* Which certificates have a name: a bit for each. */
static uint64_t certificates_of(const struct config_tls *c, const char *name)
{
	uint64_t set = 0;

	for (size_t i = 0; i < c->certificate_count; i++)
		for (char **n = c->certificates[i].names; *n; n++)
			if (strcmp(*n, name) == 0)
				set |= (uint64_t)1 << i;
	return set;
}

static SSL_CTX *context_for(const struct config_tls *c, const struct tickets *tickets, uint64_t set)
{
	SSL_CTX *ctx = new_context(c, tickets);

	for (size_t i = 0; ctx && i < c->certificate_count; i++) {
		const struct config_certificate *k = &c->certificates[i];

		metrics_beat();
		if (!(set >> i & 1) ||
		    SSL_CTX_use_cert_and_key(ctx, k->leaf, k->private_key, k->chain, 1) == 1)
			continue;
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* The context of a set, the same for all names that have that. */
static SSL_CTX *share_context(const struct tls_server *s, const struct config_tls *c,
			      const struct tickets *tickets, uint64_t set)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->names[i].set != set)
			continue;
		SSL_CTX_up_ref(s->names[i].ctx);
		return s->names[i].ctx;
	}
	return context_for(c, tickets, set);
}

static bool add_name(struct tls_server *s, const struct config_tls *c,
		     const struct tickets *tickets, const char *name)
{
	struct named n = { .set = certificates_of(c, name) }, *names;

	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->names[i].name, name) == 0)
			return true;
	names = realloc(s->names, (s->count + 1) * sizeof(*names));
	if (!names)
		return false;
	s->names = names;
	n.name = strdup(name);
	n.ctx = n.name ? share_context(s, c, tickets, n.set) : NULL;
	if (!n.ctx) {
		free(n.name);
		return false;
	}
	names[s->count++] = n;
	return true;
}

struct tls_server *tls_server_new(const struct config_tls *c, const struct tickets *tickets,
				  const char **why)
{
	struct tls_server *s = calloc(1, sizeof(*s));
	bool ok = s != NULL;
	const char *first;

	/* *why is of what follows, not of what somebody else came upon */
	ERR_clear_error();
	if (!ok)
		goto out;
	s->refs = 1;
	for (size_t i = 0; ok && i < c->certificate_count; i++)
		for (char **n = c->certificates[i].names; ok && *n; n++)
			ok = add_name(s, c, tickets, *n);
	first = c->certificates[0].names[0];
	if (ok && first) {
		s->first = s->names[0].ctx;
		SSL_CTX_up_ref(s->first);
	} else if (ok) {
		s->first = context_for(c, tickets, 1);
		ok = s->first != NULL;
	}
out:
	if (ok) {
		SSL_CTX_set_tlsext_servername_callback(s->first, servername_cb);
		SSL_CTX_set_tlsext_servername_arg(s->first, s);
		return s;
	}
	*why = ERR_reason_error_string(ERR_peek_last_error());
	if (!*why)
		*why = "no memory";
	ERR_clear_error();
	if (s)
		tls_server_unref(s);
	return NULL;
}

void tls_server_ref(struct tls_server *s)
{
	s->refs++;
}

void tls_server_unref(struct tls_server *s)
{
	if (--s->refs > 0)
		return;
	for (size_t i = 0; i < s->count; i++) {
		free(s->names[i].name);
		SSL_CTX_free(s->names[i].ctx);
	}
	free(s->names);
	SSL_CTX_free(s->first);
	free(s);
}

SSL *tls_server_session(const struct tls_server *s)
{
	return SSL_new(s->first);
}
