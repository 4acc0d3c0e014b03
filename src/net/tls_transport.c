/*
 * tls_transport.c - encrypted transports over OpenSSL, see tls.h.
 *
 * OpenSSL sees no socket but a BIO of ours, so that one call makes one system call, however
 * many records there are. Reading takes in what the kernel has and gives it to OpenSSL until
 * it is used up. Writing lets OpenSSL put its records into memory and sends them together. What the
 * socket does not take of them counts as written for the caller, who could not take it
 * back any more, and leaves ahead of all that is written next. In between - the
 * handshake, alerts, new keys - the BIO is as good as the socket.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "net/tls_internal.h"

enum {
	RECORD = 16384, /* bytes of plaintext in one at the most */
	CHUNK = 4 * RECORD, /* that are encrypted and sent together */
	SEALED_MAX =
		CHUNK + CHUNK / 2, /* room for the records of a chunk, if they are short, too */
	RECEIVED_MAX = 128 * 1024,
	HELD_MAX = 2 * (RECORD + 1024), /* that OpenSSL may have kept of earlier reads */
};

/* What transport.tls is. */
struct tls {
	SSL *ssl;
	uint8_t *unsent; /* records that the socket did not take; NULL: none */
	size_t start, end; /* unsent[start..end) is to be sent */
};

/* What the read that is under way took in, for OpenSSL to take over. */
static struct {
	bool on;
	bool ended; /* and behind it is the end of the stream */
	int error; /* or this, as errno */
	size_t at, len;
	uint8_t bytes[RECEIVED_MAX];
} received;

/* What OpenSSL made of the write that is under way. */
static struct {
	bool on;
	size_t len;
	uint8_t bytes[SEALED_MAX];
} sealed;

static struct tls *tls_of(const struct transport *t)
{
	return t->tls;
}

static ssize_t send_bytes(const struct transport *t, const void *p, size_t n)
{
	return send(t->fd, p, n, transport_send_flags(t));
}

/* --- the BIO --- */

static ssize_t take_received(void *to, size_t n)
{
	size_t left = received.len - received.at;

	if (left == 0 && received.ended)
		return 0;
	if (left == 0) {
		errno = received.error;
		return -1;
	}
	n = n < left ? n : left;
	memcpy(to, received.bytes + received.at, n);
	received.at += n;
	return (ssize_t)n;
}

static int bio_read(BIO *b, char *to, int n)
{
	const struct transport *t = BIO_get_data(b);
	ssize_t r;

	BIO_clear_retry_flags(b);
	r = received.on ? take_received(to, (size_t)n) : recv(t->fd, to, (size_t)n, 0);
	if (r < 0 && transport_is_temporary(errno))
		BIO_set_retry_read(b);
	if (r == 0)
		BIO_set_flags(b, BIO_FLAGS_IN_EOF);
	return (int)r;
}

static int seal(const char *from, size_t n)
{
	if (n > sizeof(sealed.bytes) - sealed.len) {
		errno = ENOSPC;
		return -1;
	}
	memcpy(sealed.bytes + sealed.len, from, n);
	sealed.len += n;
	return (int)n;
}

static int bio_write(BIO *b, const char *from, int n)
{
	const struct transport *t = BIO_get_data(b);
	ssize_t r = -1;

	BIO_clear_retry_flags(b);
	if (sealed.on)
		return seal(from, (size_t)n);
	errno = EAGAIN;
	if (!tls_of(t)->unsent)
		r = send_bytes(t, from, (size_t)n);
	if (r < 0 && transport_is_temporary(errno))
		BIO_set_retry_write(b);
	return (int)r;
}

static long bio_ctrl(BIO *b, int command, long number, void *p)
{
	(void)number;
	(void)p;
	switch (command) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return BIO_test_flags(b, BIO_FLAGS_IN_EOF) != 0;
	default:
		return 0;
	}
}

static const BIO_METHOD *method(void)
{
	static BIO_METHOD *m;

	if (m)
		return m;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
	if (m) {
		BIO_meth_set_read(m, bio_read);
		BIO_meth_set_write(m, bio_write);
		BIO_meth_set_ctrl(m, bio_ctrl);
	}
	return m;
}

static BIO *new_bio(struct transport *t)
{
	const BIO_METHOD *m = method();
	BIO *b = m ? BIO_new(m) : NULL;

	if (!b)
		return NULL;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	return b;
}

/* --- the transport --- */

/* An error of some other call would be taken for that of the next one. To look is the cheaper part. */
static void forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

static int fail_with(int error)
{
	errno = error;
	return -1;
}

/* What OpenSSL says of a call that moved nothing: 0 at the end of the stream, else -1 with errno. */
static int translate(struct transport *t, int r)
{
	switch (SSL_get_error(tls_of(t)->ssl, r)) {
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

/* Not more than what the caller has room for, with what OpenSSL may have kept. */
static void receive(const struct transport *t, size_t room)
{
	size_t most = room < HELD_MAX ? 0 : room - HELD_MAX;
	ssize_t r;

	received.on = most > 0;
	if (!received.on)
		return;
	most = most < sizeof(received.bytes) ? most : sizeof(received.bytes);
	r = recv(t->fd, received.bytes, most, 0);
	received.error = r < 0 ? errno : EAGAIN;
	received.ended = r == 0;
	received.at = 0;
	received.len = r > 0 ? (size_t)r : 0;
}

static ssize_t tls_read(struct transport *t, void *buf, size_t n)
{
	SSL *ssl = tls_of(t)->ssl;
	size_t have = 0, got;
	int r;

	forget_errors();
	receive(t, n);
	do {
		errno = 0;
		r = SSL_read_ex(ssl, (char *)buf + have, n - have, &got);
		if (r == 1)
			have += got;
	} while (r == 1 && have < n && (received.at < received.len || SSL_has_pending(ssl)));
	received.on = false;
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

/* What of the records did not leave waits for the next call. False: no memory. */
static bool keep_unsent(struct transport *t, size_t sent)
{
	struct tls *s = tls_of(t);
	size_t left = sealed.len - sent;

	s->unsent = malloc(left);
	if (!s->unsent)
		return false;
	memcpy(s->unsent, sealed.bytes + sent, left);
	s->start = 0;
	s->end = left;
	t->want_write = true;
	return true;
}

static int send_sealed(struct transport *t)
{
	ssize_t n = send_bytes(t, sealed.bytes, sealed.len);

	if (n < 0 && !transport_is_temporary(errno))
		return -1;
	if (n == (ssize_t)sealed.len || keep_unsent(t, n > 0 ? (size_t)n : 0))
		return 0;
	return fail_with(ENOMEM);
}

/* Returns 0 when nothing is unsent any more. */
static int flush(struct transport *t)
{
	struct tls *s = tls_of(t);
	ssize_t n;

	t->want_write = false;
	if (!s->unsent)
		return 0;
	n = send_bytes(t, s->unsent + s->start, s->end - s->start);
	if (n < 0 && !transport_is_temporary(errno))
		return -1;
	s->start += n > 0 ? (size_t)n : 0;
	if (s->start < s->end) {
		t->want_write = true;
		return fail_with(EAGAIN);
	}
	free(s->unsent);
	s->unsent = NULL;
	return 0;
}

/* The next bytes to encrypt: in place if they lie together, else gathered. */
static const void *next_chunk(const struct iovec *iov, int count, size_t skip, size_t *n)
{
	static char chunk[CHUNK];
	size_t len = 0;

	while (count > 0 && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	if (count > 0 && (count == 1 || iov->iov_len - skip >= CHUNK)) {
		*n = iov->iov_len - skip < CHUNK ? iov->iov_len - skip : CHUNK;
		return (const char *)iov->iov_base + skip;
	}
	for (; count > 0 && len < CHUNK; iov++, count--, skip = 0) {
		size_t part = iov->iov_len - skip;

		part = part < CHUNK - len ? part : CHUNK - len;
		bytes_copy(chunk + len, (const char *)iov->iov_base + skip, part);
		len += part;
	}
	*n = len;
	return chunk;
}

/* Makes records of a chunk and sends them, or keeps them. */
static int write_chunk(struct transport *t, const void *p, size_t n)
{
	size_t written;
	int r;

	sealed.len = 0;
	sealed.on = true;
	errno = 0;
	r = SSL_write_ex(tls_of(t)->ssl, p, n, &written);
	sealed.on = false;
	if (r != 1)
		return translate(t, 0) < 0 ? -1 : fail_with(EPIPE);
	return send_sealed(t);
}

static ssize_t tls_write(struct transport *t, const struct iovec *iov, int count)
{
	size_t sent = 0, n;
	const void *p;

	forget_errors();
	if (flush(t) < 0)
		return -1;
	while (!tls_of(t)->unsent && (p = next_chunk(iov, count, sent, &n), n > 0)) {
		if (write_chunk(t, p, n) < 0)
			return -1;
		sent += n;
	}
	return (ssize_t)sent;
}

/* OpenSSL, too, may have waited for this, to answer what it has read. */
static int tls_flush(struct transport *t)
{
	if (flush(t) < 0)
		return -1;
	if (SSL_want_write(tls_of(t)->ssl))
		event_active(&t->event, EV_READ, 0);
	return 0;
}

/* A close_notify that does not fit is none that the peer would read. */
static void tls_shutdown(struct transport *t)
{
	SSL *ssl = tls_of(t)->ssl;

	forget_errors();
	if (SSL_is_init_finished(ssl))
		SSL_shutdown(ssl);
	forget_errors();
	shutdown(t->fd, SHUT_WR);
}

static size_t tls_pending(struct transport *t)
{
	const SSL *ssl = tls_of(t)->ssl;
	bool ended = SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN;

	return SSL_has_pending(ssl) || ended ? 1 : 0;
}

static void free_tls(struct tls *s)
{
	SSL_free(s->ssl);
	free(s->unsent);
	free(s);
}

/* A peer that says goodbye is answered, if nothing else was said to it yet. */
static void tls_fini(struct transport *t)
{
	SSL *ssl = tls_of(t)->ssl;

	if (SSL_get_shutdown(ssl) == SSL_RECEIVED_SHUTDOWN) {
		SSL_shutdown(ssl);
		forget_errors();
	}
	free_tls(t->tls);
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

int tls_start(struct transport *t, struct tls_server *server)
{
	struct tls *s = calloc(1, sizeof(*s));
	BIO *b = NULL;

	if (!s)
		return -1;
	s->ssl = tls_server_session(server);
	if (s->ssl)
		b = new_bio(t);
	if (!b) {
		free_tls(s);
		forget_errors();
		return -1;
	}
	SSL_set_bio(s->ssl, b, b);
	SSL_set_accept_state(s->ssl);
	t->tls = s;
	return 0;
}

enum tls_result tls_handshake(struct transport *t, const char **why)
{
	unsigned long e;
	int r;

	forget_errors();
	t->want_write = false;
	errno = 0;
	r = SSL_do_handshake(tls_of(t)->ssl);
	if (r == 1)
		return TLS_DONE;
	if (translate(t, r) < 0 && errno == EAGAIN)
		return TLS_WAIT;
	e = ERR_peek_last_error();
	*why = ERR_reason_error_string(e);
	if (!*why)
		*why = errno != 0 && errno != EPROTO ? strerror(errno) : "the peer went away";
	forget_errors();
	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_HTTP_REQUEST
		       ? TLS_PLAIN
		       : TLS_FAILED;
}

void tls_abandon(struct transport *t)
{
	tls_fini(t);
	t->want_write = false;
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
	X509 *x = t->tls ? SSL_get0_peer_certificate(tls_of(t)->ssl) : NULL;
	BIO *bio;
	int n;

	if (!x || SSL_get_verify_result(tls_of(t)->ssl) != X509_V_OK)
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
	const SSL *ssl = tls_of(t)->ssl;

	snprintf(out, size, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}
