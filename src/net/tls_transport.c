/*
 * tls_transport.c - encrypted transports over OpenSSL, see tls.h.
 *
 * OpenSSL sees no socket but a BIO of ours, so that one call makes one system call, however
 * many records there are. Reading takes in what the kernel has and gives it to OpenSSL until
 * it is used up. Writing lets OpenSSL put its records into memory and sends them together. What the
 * socket does not take of them counts as written for the caller, who could not take it
 * back any more, and leaves ahead of all that is written next. So do answers to what is
 * read, such as new keys: OpenSSL would not read on while it has to wait for the socket.
 * Ahead of all that, in the handshake, the BIO is as good as the socket.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/account.h"
#include "base/block.h"
#include "base/metrics.h"
#include "net/tls_internal.h"

enum {
	RECORD = 16384, /* bytes of plaintext in one at the most */
	CHUNK = 4 * RECORD, /* that are encrypted and sent together */
	WRITE_MAX = 8 * CHUNK, /* in one call */
	SEALED_MAX =
		CHUNK + CHUNK / 2, /* room for the records of a chunk, if they are short, too */
	RECEIVED_MAX = 128 * 1024,
	UNSENT_MAX = 2 * SEALED_MAX, /* with answers to a peer that takes none */
	HELD_MAX = 2 * (RECORD + 1024), /* that OpenSSL may have kept of earlier reads */
};

/* What transport.tls is. */
struct tls {
	SSL *ssl;
	uint8_t *unsent; /* records that the socket did not take; NULL: none */
	size_t start, end; /* unsent[start..end) is to be sent; end: its size */
	int error; /* that reading came upon, as errno; OpenSSL tells it once */
};

/* What the read that is under way took in, for OpenSSL to take over. */
static struct {
	bool on;
	bool ended; /* and behind it is the end of the stream */
	int error; /* or this, as errno */
	size_t at, len;
	uint8_t bytes[RECEIVED_MAX];
} received;

/* What OpenSSL made of the write, the end, or to answer the read, that is under way. */
static struct {
	bool on;
	size_t len;
	uint8_t bytes[SEALED_MAX];
} sealed;

static struct tls *tls_of(const struct transport *t)
{
	return t->tls;
}

static ssize_t send_bytes(const struct transport *t, const void *p, size_t n, bool last)
{
	return send(t->fd, p, n, transport_send_flags(last));
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
		errno = EPROTO;
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
		r = send_bytes(t, from, (size_t)n, false);
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

/* What of the records did not leave waits for the next call, behind what waits already. */
static int keep_unsent(struct transport *t, size_t sent)
{
	struct tls *s = tls_of(t);
	size_t had = s->end - s->start, left = sealed.len - sent;
	uint8_t *all;

	if (had + left > UNSENT_MAX)
		return fail_with(EPROTO);
	all = block_resize(NULL, 0, 0, had + left);
	if (!all)
		return fail_with(ENOMEM);
	if (s->unsent)
		memcpy(all, s->unsent + s->start, had);
	memcpy(all + had, sealed.bytes + sent, left);
	account_give(s->end);
	account_take(had + left);
	block_free(s->unsent, s->end);
	s->unsent = all;
	s->start = 0;
	s->end = had + left;
	transport_held += left;
	t->want_write = true;
	return 0;
}

static int send_sealed(struct transport *t, bool last)
{
	ssize_t n = tls_of(t)->unsent ? 0 : send_bytes(t, sealed.bytes, sealed.len, last);

	if (n < 0 && !transport_is_temporary(errno))
		return -1;
	return n == (ssize_t)sealed.len ? 0 : keep_unsent(t, n > 0 ? (size_t)n : 0);
}

/* Bytes that were read; if there are none, *r is what OpenSSL says instead. */
static size_t unseal(struct transport *t, char *buf, size_t n, int *r)
{
	SSL *ssl = tls_of(t)->ssl;
	size_t have = 0, got;

	receive(t, n);
	sealed.len = 0;
	sealed.on = true;
	do {
		errno = 0;
		*r = SSL_read_ex(ssl, buf + have, n - have, &got);
		if (*r == 1)
			have += got;
	} while (*r == 1 && have < n && (received.at < received.len || SSL_has_pending(ssl)));
	received.on = sealed.on = false;
	return have;
}

static ssize_t tls_read(struct transport *t, void *buf, size_t n)
{
	size_t have;
	int r, error;

	t->again = false;
	if (tls_of(t)->error)
		return fail_with(tls_of(t)->error);
	forget_errors();
	have = unseal(t, buf, n, &r);
	r = r == 1 ? 1 : translate(t, r);
	error = errno;
	/* A peer that is gone may still have said something; the next call tells. */
	if (sealed.len > 0 && send_sealed(t, false) < 0 && (errno == ENOMEM || errno == EPROTO))
		return -1;
	if (r < 0 && error != EAGAIN)
		tls_of(t)->error = error;
	errno = error;
	if (have == 0)
		return r;
	/* The end, or an error, is told with the next call, which no event may bring. */
	if (r == 0 || tls_of(t)->error)
		transport_read_again(t);
	return (ssize_t)have;
}

/* Returns 0 when nothing is unsent any more. */
static int tls_flush(struct transport *t, bool last)
{
	struct tls *s = tls_of(t);
	ssize_t n;

	t->want_write = false;
	if (!s->unsent)
		return 0;
	n = send_bytes(t, s->unsent + s->start, s->end - s->start, last);
	if (n < 0 && !transport_is_temporary(errno))
		return -1;
	if (n > 0) {
		s->start += (size_t)n;
		transport_held -= (size_t)n;
	}
	if (s->start < s->end) {
		t->want_write = true;
		return fail_with(EAGAIN);
	}
	account_give(s->end);
	block_free(s->unsent, s->end);
	s->unsent = NULL;
	s->start = s->end = 0;
	return 0;
}

static size_t tls_held(const struct transport *t)
{
	return tls_of(t)->end - tls_of(t)->start;
}

/* The next bytes to encrypt: in place if many lie together, else gathered. */
static const void *next_chunk(const struct iovec *iov, int count, size_t skip, size_t *n)
{
	static char chunk[CHUNK];
	size_t len = 0;

	while (count > 0 && skip >= iov->iov_len) {
		skip -= iov->iov_len;
		iov++;
		count--;
	}
	if (count > 0 && (count == 1 || iov->iov_len - skip >= CHUNK / 2)) {
		*n = iov->iov_len - skip < CHUNK ? iov->iov_len - skip : CHUNK;
		return (const char *)iov->iov_base + skip;
	}
	for (; count > 0 && len < CHUNK; iov++, count--, skip = 0) {
		size_t part = iov->iov_len - skip;

		part = part < CHUNK - len ? part : CHUNK - len;
		if (part > 0)
			memcpy(chunk + len, (const char *)iov->iov_base + skip, part);
		len += part;
	}
	*n = len;
	return chunk;
}

/* Makes records of a chunk and sends them, or keeps them. */
static int write_chunk(struct transport *t, const void *p, size_t n, bool last)
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
	return send_sealed(t, last);
}

/*
 * All that a room's members are sent at once: who takes that is not slow. More than that, of a long
 * message, would keep the others waiting.
 */
static ssize_t tls_write(struct transport *t, const struct iovec *iov, int count, bool last)
{
	size_t sent = 0, n;
	const void *p;

	forget_errors();
	if (tls_flush(t, last) < 0)
		return -1;
	while (!tls_of(t)->unsent && sent < WRITE_MAX &&
	       (p = next_chunk(iov, count, sent, &n), n > 0)) {
		metrics_beat();
		if (write_chunk(t, p, n, last) < 0)
			return -1;
		sent += n;
	}
	return (ssize_t)sent;
}

/* The end of the stream follows it. One that does not fit is none that the peer would read. */
static void say_goodbye(struct transport *t)
{
	forget_errors();
	sealed.len = 0;
	sealed.on = true;
	SSL_shutdown(tls_of(t)->ssl);
	sealed.on = false;
	forget_errors();
	if (sealed.len > 0 && !tls_of(t)->unsent)
		send_bytes(t, sealed.bytes, sealed.len, true);
}

static void tls_shutdown(struct transport *t)
{
	if (SSL_is_init_finished(tls_of(t)->ssl))
		say_goodbye(t);
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
	transport_held -= s->end - s->start;
	account_give(s->end);
	block_free(s->unsent, s->end);
	free(s);
}

/* A peer that says goodbye is answered, if nothing else was said to it yet. */
static void tls_fini(struct transport *t)
{
	if (SSL_get_shutdown(tls_of(t)->ssl) == SSL_RECEIVED_SHUTDOWN)
		say_goodbye(t);
	free_tls(t->tls);
	t->tls = NULL;
	t->kind = TRANSPORT_PLAIN;
}

const struct transport_ops transport_tls = {
	.read = tls_read,
	.write = tls_write,
	.flush = tls_flush,
	.held = tls_held,
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
	t->kind = TRANSPORT_TLS;
	return 0;
}

static bool is_ssl_error(unsigned long e, int reason)
{
	return ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == reason;
}

/* In OpenSSL's words. Of a certificate that was refused they are in the session. */
static const char *failure(const struct transport *t, unsigned long e)
{
	static char text[160];
	const char *words = ERR_reason_error_string(e);

	if (!words)
		return errno != 0 && errno != EPROTO ? strerror(errno) : "the peer went away";
	if (!is_ssl_error(e, SSL_R_CERTIFICATE_VERIFY_FAILED))
		return words;
	snprintf(text, sizeof(text), "%s: %s", words,
		 X509_verify_cert_error_string(SSL_get_verify_result(tls_of(t)->ssl)));
	return text;
}

/* Whether the stream has ended, with the last error e, before there was anything to answer. */
static bool is_probe(const SSL *ssl, unsigned long e)
{
	return BIO_number_written(SSL_get_wbio(ssl)) == 0 &&
	       (e == 0 || is_ssl_error(e, SSL_R_UNEXPECTED_EOF_WHILE_READING));
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
	*why = failure(t, e);
	forget_errors();
	if (is_probe(tls_of(t)->ssl, e))
		return TLS_GONE;
	return is_ssl_error(e, SSL_R_HTTP_REQUEST) ? TLS_PLAIN : TLS_FAILED;
}

void tls_abandon(struct transport *t)
{
	tls_fini(t);
	t->want_write = false;
}

SSL *tls_session(const struct transport *t)
{
	return t->tls ? tls_of(t)->ssl : NULL;
}

void tls_describe(const struct transport *t, char *out, size_t size)
{
	const SSL *ssl;

	*out = '\0';
	if (!t->tls)
		return;
	ssl = tls_of(t)->ssl;
	snprintf(out, size, "%s %s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}
