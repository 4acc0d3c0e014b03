/*
 * tls.c - encrypted transports over OpenSSL, see tls.h.
 *
 * There is one SSL_CTX for each set of certificates that some name needs: a certificate
 * with an RSA key and one with an ECDSA key for the same name are offered together. The
 * first one of the configuration is for clients that ask for no name, or for one that
 * nobody has.
 *
 * Writing: OpenSSL encrypts a record whole and may then find the socket full. The bytes
 * of that record count as written for the caller, who could not take them back any
 * more; what is left of it is flushed ahead of the next record. So one call must never
 * make two records: a client that asked for short ones (RFC 6066 4) gets them one by one.
 */
#include "net/tls.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "net/tickets.h"

enum { RECORD = 16384 };

/* A name and the context of the certificates that have it. */
struct named {
	char *name;
	uint64_t set; /* of these: a bit for each */
	SSL_CTX *ctx;
};

struct tls_server {
	SSL_CTX *first;
	struct named *names;
	size_t count;
};

static int index_of_tickets = -1; /* where a context keeps its ticket keys */

/* --- contexts --- */

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

static int servername_cb(SSL *ssl, int *alert, void *arg)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	SSL_CTX *ctx = name ? find_context(arg, name) : NULL;

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
	if (c->revoked)
		X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
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
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
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
 * revocations. All listeners share their ticket keys, and those outlive a reload.
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
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_cb) != 1) {
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

	if (!ok)
		goto out;
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
		tls_server_free(s);
	return NULL;
}

void tls_server_free(struct tls_server *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->names[i].name);
		SSL_CTX_free(s->names[i].ctx);
	}
	free(s->names);
	SSL_CTX_free(s->first);
	free(s);
}

/* --- transports --- */

static int fail_with(int error)
{
	errno = error;
	return -1;
}

/* What OpenSSL says of a call that moved nothing: 0 at the end of the stream, else -1 with errno. */
static int translate(struct transport *t, int r)
{
	switch (SSL_get_error(t->tls, r)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
		return fail_with(EAGAIN);
	case SSL_ERROR_WANT_WRITE:
		t->want_write = true;
		return fail_with(EAGAIN);
	case SSL_ERROR_SYSCALL:
		return errno == 0 ? 0 : -1;
	default:
		return fail_with(EPROTO);
	}
}

/*
 * Empties what OpenSSL has, as far as there is room: records are small. It asks the kernel for as
 * much as it can keep; once all of that is used up, what may be left there brings an event.
 */
static ssize_t tls_read(struct transport *t, void *buf, size_t n)
{
	size_t have = 0, got;
	int r;

	ERR_clear_error();
	do {
		errno = 0;
		r = SSL_read_ex(t->tls, (char *)buf + have, n - have, &got);
		if (r == 1)
			have += got;
	} while (r == 1 && have < n && SSL_has_pending(t->tls));
	if (r == 1)
		return (ssize_t)have;
	r = translate(t, r);
	if (have == 0)
		return r;
	/* The end, or an error, is told with the next call, which no event may bring. */
	if (r == 0 || errno != EAGAIN)
		event_active(&t->event, EV_READ, 0);
	return (ssize_t)have;
}

/* The rest of a record that counts as written already. Returns 0 when it is out. */
static int flush(struct transport *t)
{
	static const char bytes[RECORD]; /* not looked at: the record is encrypted already */
	size_t written;

	if (t->unflushed == 0)
		return 0;
	errno = 0;
	if (SSL_write_ex(t->tls, bytes, t->unflushed, &written) != 1)
		return translate(t, 0) < 0 ? -1 : fail_with(EPIPE);
	t->unflushed = 0;
	return 0;
}

/* One record. Returns the bytes that count as written, or -1. */
static ssize_t write_record(struct transport *t, const void *p, size_t n)
{
	size_t written;

	errno = 0;
	if (SSL_write_ex(t->tls, p, n, &written) == 1)
		return (ssize_t)written;
	if (translate(t, 0) == 0)
		return fail_with(EPIPE);
	if (errno != EAGAIN || !t->want_write)
		return -1;
	t->unflushed = (uint16_t)n;
	return (ssize_t)n;
}

/* The next record's bytes: in place if they lie together, else gathered. */
static const void *next_record(const struct iovec *iov, int count, size_t skip, size_t limit,
			       size_t *n)
{
	static char record[RECORD];
	size_t len = 0;

	while (count > 0 && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	if (count > 0 && (count == 1 || iov->iov_len - skip >= limit)) {
		*n = iov->iov_len - skip < limit ? iov->iov_len - skip : limit;
		return (const char *)iov->iov_base + skip;
	}
	for (; count > 0 && len < limit; iov++, count--, skip = 0) {
		size_t part = iov->iov_len - skip;

		part = part < limit - len ? part : limit - len;
		memcpy(record + len, (const char *)iov->iov_base + skip, part);
		len += part;
	}
	*n = len;
	return record;
}

static ssize_t tls_write(struct transport *t, const struct iovec *iov, int count)
{
	size_t limit = t->record_limit ? (size_t)256 << t->record_limit : RECORD, sent = 0, n;

	ERR_clear_error();
	t->want_write = false;
	if (flush(t) < 0)
		return -1;
	for (;;) {
		const void *p = next_record(iov, count, sent, limit, &n);
		ssize_t r;

		if (n == 0)
			break;
		r = write_record(t, p, n);
		if (r < 0)
			return sent > 0 && errno == EAGAIN ? (ssize_t)sent : -1;
		sent += (size_t)r;
		if (t->unflushed > 0)
			break;
	}
	return (ssize_t)sent;
}

static int tls_flush(struct transport *t)
{
	ERR_clear_error();
	t->want_write = false;
	return flush(t);
}

/* A close_notify that does not fit is none that the peer would read. */
static void tls_shutdown(struct transport *t)
{
	ERR_clear_error();
	if (SSL_is_init_finished(t->tls))
		SSL_shutdown(t->tls);
	ERR_clear_error();
	shutdown(t->fd, SHUT_WR);
}

static size_t tls_pending(struct transport *t)
{
	bool ended = SSL_get_shutdown(t->tls) & SSL_RECEIVED_SHUTDOWN;

	return SSL_has_pending(t->tls) || ended ? 1 : 0;
}

/* A peer that says goodbye is answered, if nothing else was said to it yet. */
static void tls_fini(struct transport *t)
{
	if (SSL_get_shutdown(t->tls) == SSL_RECEIVED_SHUTDOWN) {
		SSL_shutdown(t->tls);
		ERR_clear_error();
	}
	SSL_free(t->tls);
	t->tls = NULL;
}

const struct transport_ops transport_tls = {
	.read = tls_read,
	.write = tls_write,
	.flush = tls_flush,
	.shutdown = tls_shutdown,
	.pending = tls_pending,
	.fini = tls_fini,
};

int tls_start(struct transport *t, struct tls_server *s)
{
	SSL *ssl = SSL_new(s->first);

	if (!ssl || SSL_set_fd(ssl, t->fd) != 1) {
		SSL_free(ssl);
		ERR_clear_error();
		return -1;
	}
	SSL_set_accept_state(ssl);
	t->tls = ssl;
	return 0;
}

static void note_record_limit(struct transport *t)
{
	uint8_t code = SSL_SESSION_get_max_fragment_length(SSL_get0_session(t->tls));

	if (code >= TLSEXT_max_fragment_length_512 && code <= TLSEXT_max_fragment_length_4096)
		t->record_limit = code;
}

enum tls_result tls_handshake(struct transport *t, const char **why)
{
	unsigned long e;
	int r;

	ERR_clear_error();
	t->want_write = false;
	errno = 0;
	r = SSL_do_handshake(t->tls);
	if (r == 1) {
		note_record_limit(t);
		return TLS_DONE;
	}
	if (translate(t, r) < 0 && errno == EAGAIN)
		return TLS_WAIT;
	e = ERR_peek_last_error();
	*why = ERR_reason_error_string(e);
	if (!*why)
		*why = errno != 0 && errno != EPROTO ? strerror(errno) : "the peer went away";
	ERR_clear_error();
	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST
		       ? TLS_PLAIN
		       : TLS_FAILED;
}

void tls_abandon(struct transport *t)
{
	tls_fini(t);
	t->want_write = false;
	t->unflushed = 0;
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
	X509 *x = t->tls ? SSL_get0_peer_certificate(t->tls) : NULL;
	BIO *bio;
	int n;

	if (!x || SSL_get_verify_result(t->tls) != X509_V_OK)
		return 0;
	bio = BIO_new(BIO_s_mem());
	if (!bio)
		return 0;
	X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253);
	print_names(bio, x);
	n = BIO_read(bio, out, (int)size - 1);
	BIO_free(bio);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

void tls_describe(const struct transport *t, char *out, size_t size)
{
	snprintf(out, size, "%s %s", SSL_get_version(t->tls), SSL_get_cipher_name(t->tls));
}
