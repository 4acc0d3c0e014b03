/*
 * Encrypted transports, between a socket pair and an OpenSSL client.
 *
 * An input is a list of steps of both sides: what is written and how much is read, when bytes
 * travel and in which pieces, new keys, ends, broken bytes. Invariants: each side reads a
 * prefix of what the other has written; what nobody broke arrives, with no more calls than the
 * events ask for; a call fails only where the peer or the input gave it a reason.
 */
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/config.h"
#include "fuzz.h"
#include "net/tickets.h"
#include "net/tls.h"

enum {
	STEPS_MAX = 400,
	STREAM_MAX = 1 << 20, /* bytes that a side writes at the most */
	READ_MAX = 256 * 1024, /* as the daemon reads */
	PIECE_MAX = 300 * 1024,
	PARTS = 4,
	CALLS_MAX = 1000,
};

/* One direction: byte i of it is pattern(i). */
struct stream {
	size_t written, read;
};

static struct {
	struct transport server;
	SSL *client; /* over memory: what it writes waits there to travel */
	int fd; /* the client's end; -1: closed */
	struct stream in, out; /* as the server sees them */
	int calls; /* of the server by its event, in this turn */
	bool echo; /* the server answers what it reads with as many bytes */
	bool open; /* it is there */
	bool ready; /* its handshake is done */
	bool failed; /* one of its calls was the last one */
	bool ended; /* it has read the end of the stream */
	bool shut; /* and has ended its own */
	bool goodbye; /* the client has written its close_notify */
	bool cut; /* the client's direction of the socket has ended */
	bool whole; /* and everything had left before */
	bool broken; /* bytes were changed on their way */
	bool lost; /* the client cannot go on */
	bool heard_end; /* it has read the end of the socket */
} s;

static struct event_base *base;
static struct tls_server *offer;
static SSL_CTX *clients;
static uint8_t pattern[STREAM_MAX + READ_MAX], scratch[PIECE_MAX];

/* --- what is made once --- */

/* So that what the server says first is more than a small socket takes. */
static void make_long(X509 *x)
{
	static const uint8_t comment[8000];
	ASN1_OCTET_STRING *text = ASN1_OCTET_STRING_new();
	X509_EXTENSION *e;

	fuzz_require(text && ASN1_OCTET_STRING_set(text, comment, sizeof(comment)) == 1);
	e = X509_EXTENSION_create_by_NID(NULL, NID_netscape_comment, 0, text);
	fuzz_require(e && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(text);
}

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *x = X509_new();

	fuzz_require(x && X509_set_version(x, X509_VERSION_3) == 1);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 365 * 24 * 3600L);
	X509_set_pubkey(x, key);
	make_long(x);
	fuzz_require(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void make_offer(void)
{
	static char *no_names[] = { NULL };
	static char ciphers[] = "ECDHE+AESGCM", curves[] = "P-256";
	struct config_certificate c = { .names = no_names };
	struct config_tls t = { .on = true,
				.ciphers = ciphers,
				.curves = curves,
				.session_tickets = true,
				.certificate_count = 1,
				.certificates = &c };
	const char *why;

	c.private_key = EVP_EC_gen("P-256");
	fuzz_require(c.private_key);
	c.leaf = make_certificate(c.private_key);
	offer = tls_server_new(&t, tickets_new(), &why);
	fuzz_require(offer);
	X509_free(c.leaf);
	EVP_PKEY_free(c.private_key);
}

static void prepare(void)
{
	tls_init();
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 131 + (i >> 8) * 7 + (i >> 16));
	base = event_base_new();
	clients = SSL_CTX_new(TLS_client_method());
	fuzz_require(base && clients && SSL_CTX_set1_groups_list(clients, "P-256") == 1);
	SSL_CTX_set_mode(clients, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	make_offer();
}

/* --- the server --- */

/* The sizes at which something changes, and those beside them. */
static size_t size_of(uint8_t arg)
{
	static const size_t sizes[] = {
		1,     2,     5,     100,   1000,  4096,  16384,  16384,
		16640, 34816, 34816, 40000, 65536, 98304, 131072, READ_MAX
	};
	size_t n = sizes[arg & 15], more = arg >> 4;

	return more < 8 || n < 16 ? n + more : n - (more - 7);
}

static void check_bytes(struct stream *d, const uint8_t *p, size_t n)
{
	fuzz_require(n <= d->written - d->read);
	fuzz_require(memcmp(p, pattern + d->read, n) == 0);
	d->read += n;
}

/* Whether the client gave a reason for this error. */
static bool is_due(int error)
{
	if (s.broken)
		return true;
	return s.fd < 0 && (error == EPIPE || error == ECONNRESET);
}

/* Returns whether the call is to be made again. */
static bool waits(int error)
{
	if (transport_is_temporary(error))
		return true;
	fuzz_require(is_due(error));
	s.failed = true;
	return false;
}

static void check_end(void)
{
	/* what is broken is an error, also after the bytes ahead of it */
	fuzz_require(s.goodbye || s.cut);
	if (!s.broken && (!s.cut || s.whole))
		fuzz_require(s.in.read == s.in.written);
	s.ended = true;
}

static bool can_call(void)
{
	return s.open && s.ready && !s.failed;
}

static void server_read(size_t n)
{
	uint8_t *p;
	ssize_t r;

	if (!can_call() || s.ended)
		return;
	/* of just that size, so that a sanitizer sees what is written behind it */
	p = malloc(n);
	r = transport_ops(&s.server)->read(&s.server, p, n);
	fuzz_require(r >= -1 && r <= (ssize_t)n);
	if (r < 0)
		waits(errno);
	else if (r == 0)
		check_end();
	else
		check_bytes(&s.in, p, (size_t)r);
	free(p);
	/* as above a transport: a full buffer is not the end of it */
	if (r == (ssize_t)n && transport_ops(&s.server)->pending(&s.server) > 0)
		transport_read_again(&s.server);
}

static void want(void)
{
	bool read = !s.ended && (s.ready || !s.server.want_write);

	if (s.open && !s.failed)
		fuzz_require(transport_want(&s.server, read, s.server.want_write) == 0);
}

static void server_flush(void)
{
	if (!can_call())
		return;
	if (transport_ops(&s.server)->flush(&s.server, false) == 0)
		fuzz_require(!s.server.want_write);
	else if (waits(errno))
		fuzz_require(s.server.want_write);
}

/* In parts of which some are empty. */
static void server_write(size_t n, uint8_t arg)
{
	struct iovec iov[PARTS];
	int count = 1 + arg % PARTS;
	size_t at = s.out.written, left;
	ssize_t r;

	if (!can_call() || s.shut)
		return;
	n = left = n < STREAM_MAX - at ? n : STREAM_MAX - at;
	for (int i = 0; i < count; i++) {
		size_t part = i == count - 1 ? left : left * ((arg >> 2 * i & 3) + 0u) / 4;

		iov[i] = (struct iovec){ part ? pattern + at : NULL, part };
		at += part;
		left -= part;
	}
	r = transport_ops(&s.server)->write(&s.server, iov, count, arg & 64);
	fuzz_require(r >= -1 && r <= (ssize_t)n);
	if (r >= 0)
		s.out.written += (size_t)r;
	/* a part of it may be taken though there is space for more: the caller goes on by itself */
	if (r > 0 || n == 0 || (r < 0 && !waits(errno)))
		return;
	/* or nobody would ever try again */
	fuzz_require(s.server.want_write);
}

/* As the layer above: once all has left. */
static void server_shutdown(void)
{
	if (!can_call() || s.shut || s.server.want_write)
		return;
	s.shut = true;
	transport_ops(&s.server)->shutdown(&s.server);
}

static void server_end(void)
{
	if (!s.open)
		return;
	s.open = false;
	transport_fini(&s.server);
}

static void server_handshake(void)
{
	const char *why = NULL;

	switch (tls_handshake(&s.server, &why)) {
	case TLS_DONE:
		s.ready = true;
		break;
	case TLS_WAIT:
		fuzz_require(!s.server.want_write || !s.shut);
		break;
	case TLS_PLAIN:
		fuzz_require(s.broken);
		tls_abandon(&s.server);
		fuzz_require(transport_ops(&s.server) == &transport_plain);
		s.failed = true;
		break;
	case TLS_GONE:
	case TLS_FAILED:
		fuzz_require(why && *why);
		fuzz_require(s.broken || s.cut);
		s.failed = true;
		break;
	}
}

static void server_cb(evutil_socket_t fd, short what, void *arg)
{
	size_t before;

	(void)fd;
	(void)arg;
	/* each moves something, or the loop would spin */
	fuzz_require(++s.calls < CALLS_MAX);
	if (s.failed)
		return;
	if (!s.ready) {
		server_handshake();
		what |= EV_READ;
	}
	if (what & EV_WRITE)
		server_flush();
	before = s.in.read;
	if (what & EV_READ)
		server_read(READ_MAX);
	if (s.echo && s.in.read > before)
		server_write(s.in.read - before, 0);
	want();
	if (s.failed)
		transport_want(&s.server, false, false);
}

static void server_turn(void)
{
	if (!s.open || s.failed)
		return;
	want();
	s.calls = 0;
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* --- the client --- */

static void client_read(void)
{
	int n;

	ERR_clear_error();
	while ((n = SSL_read(s.client, scratch, sizeof(scratch))) > 0)
		check_bytes(&s.out, scratch, (size_t)n);
	n = SSL_get_error(s.client, n);
	if (n == SSL_ERROR_WANT_READ || n == SSL_ERROR_ZERO_RETURN)
		return;
	fuzz_require(s.broken || s.failed);
	s.lost = true;
}

static void client_write(size_t n)
{
	size_t at = s.in.written;
	int r;

	n = n < STREAM_MAX - at ? n : STREAM_MAX - at;
	if (n == 0 || s.goodbye || s.cut || s.lost || !SSL_is_init_finished(s.client))
		return;
	ERR_clear_error();
	r = SSL_write(s.client, pattern + at, (int)n);
	if (r > 0)
		s.in.written += (size_t)r;
}

static void client_new_keys(bool ask)
{
	if (s.goodbye || s.lost || SSL_version(s.client) != TLS1_3_VERSION ||
	    !SSL_is_init_finished(s.client))
		return;
	ERR_clear_error();
	if (SSL_key_update(s.client,
			   ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
		SSL_do_handshake(s.client);
}

static void client_goodbye(void)
{
	ERR_clear_error();
	if (!s.goodbye && !s.lost && SSL_is_init_finished(s.client) && SSL_shutdown(s.client) >= 0)
		s.goodbye = true;
}

/* --- what is between them --- */

static void to_server(size_t n)
{
	BIO *b = SSL_get_wbio(s.client);
	char *p;
	long have = BIO_get_mem_data(b, &p);
	ssize_t sent;

	if (have <= 0 || s.cut)
		return;
	n = n < (size_t)have ? n : (size_t)have;
	n = n < sizeof(scratch) ? n : sizeof(scratch);
	sent = send(s.fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent > 0)
		BIO_read(b, scratch, (int)sent);
}

/* flip: which bit of it; -1: none */
static void to_client(size_t n, int flip)
{
	ssize_t r;

	if (s.fd < 0)
		return;
	r = recv(s.fd, scratch, n < sizeof(scratch) ? n : sizeof(scratch), MSG_DONTWAIT);
	if (r == 0)
		s.heard_end = true;
	if (r <= 0)
		return;
	if (flip >= 0) {
		scratch[(size_t)flip * 37 % (size_t)r] ^= (uint8_t)(1 << flip % 8);
		s.broken = true;
	}
	BIO_write(SSL_get_rbio(s.client), scratch, (int)r);
}

static void break_bit(uint8_t arg)
{
	char *p;
	long have = BIO_get_mem_data(SSL_get_wbio(s.client), &p);

	if (have <= 0)
		return;
	p[arg * 37L % have] ^= (char)(1 << arg % 8);
	s.broken = true;
}

static void put_garbage(uint8_t arg)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\n\r\n",
					     "\x15\x03\x03\x00\x02\x02\x28", "\x16\x03\x01\x40\x00",
					     "\x17\x03\x03\xff\xff" };
	static const int sizes[] = { 18, 7, 5, 5 };

	BIO_write(SSL_get_wbio(s.client), texts[arg % 4], sizes[arg % 4]);
	s.broken = true;
}

static void cut(bool all)
{
	if (!s.cut)
		s.whole = BIO_ctrl_pending(SSL_get_wbio(s.client)) == 0;
	s.cut = true;
	if (s.fd < 0)
		return;
	shutdown(s.fd, SHUT_WR);
	if (!all)
		return;
	close(s.fd);
	s.fd = -1;
}

/* --- an input --- */

enum step {
	CLIENT_WRITE,
	TO_SERVER,
	SERVER_TURN,
	SERVER_READ,
	SERVER_WRITE,
	SERVER_WRITE_PARTS,
	SERVER_FLUSH,
	TO_CLIENT,
	CLIENT_READ,
	CLIENT_NEW_KEYS,
	ALL_TO_SERVER,
	ALL_TO_CLIENT,
	CLIENT_GOODBYE,
	SERVER_SHUTDOWN,
	CUT,
	BREAK,
	SERVER_END,
	STEPS
};

/* The rare ones, which end much: each by what its argument says. */
static void break_something(uint8_t arg)
{
	if (arg & 1)
		break_bit(arg >> 1);
	else if (arg & 2)
		to_client(PIECE_MAX, arg >> 2);
	else
		put_garbage(arg >> 2);
}

static void take_step(enum step step, uint8_t arg)
{
	switch (step) {
	case CLIENT_WRITE:
		client_write(size_of(arg));
		break;
	case TO_SERVER:
		to_server(size_of(arg));
		break;
	case SERVER_TURN:
		server_turn();
		break;
	case SERVER_READ:
		server_read(size_of(arg));
		break;
	case SERVER_WRITE:
		server_write(size_of(arg), 0);
		break;
	case SERVER_WRITE_PARTS:
		server_write(size_of((uint8_t)(arg * 7)), arg);
		break;
	case SERVER_FLUSH:
		server_flush();
		break;
	case TO_CLIENT:
		to_client(size_of(arg), -1);
		break;
	case CLIENT_READ:
		client_read();
		break;
	case CLIENT_NEW_KEYS:
		client_new_keys(arg & 1);
		break;
	case ALL_TO_SERVER:
		to_server(PIECE_MAX);
		break;
	case ALL_TO_CLIENT:
		to_client(PIECE_MAX, -1);
		break;
	case CLIENT_GOODBYE:
		client_goodbye();
		break;
	case SERVER_SHUTDOWN:
		server_shutdown();
		break;
	case CUT:
		cut(arg & 1);
		break;
	case BREAK:
		break_something(arg);
		break;
	case SERVER_END:
		server_end();
		break;
	case STEPS:
		break;
	}
}

/* All that waits anywhere goes on, until nothing moves. */
static void settle(void)
{
	size_t before, now = 0;
	int still = 0;

	while (still < 4) {
		before = now;
		to_server(PIECE_MAX);
		server_turn();
		to_client(PIECE_MAX, -1);
		if (!s.lost)
			client_read();
		now = s.in.read + s.out.read + s.ready + s.ended + s.failed + s.heard_end +
		      (size_t)BIO_number_written(SSL_get_rbio(s.client)) +
		      (size_t)BIO_number_read(SSL_get_wbio(s.client));
		still = now == before ? still + 1 : 0;
	}
}

static void check_all_arrived(void)
{
	if (s.broken || s.lost || !s.open)
		return;
	if (!s.cut || s.whole)
		fuzz_require(s.failed || s.in.read == s.in.written);
	if (!s.cut)
		fuzz_require(s.ready && !s.failed && s.ended == s.goodbye);
	if (s.fd < 0)
		return;
	fuzz_require(s.out.read == s.out.written);
	fuzz_require(!s.ready || !s.server.want_write);
	fuzz_require(s.heard_end == s.shut);
}

static void begin(uint8_t setup)
{
	static const int sizes[] = { 0, 1, 8192, 65536 };
	int fds[2], size = sizes[setup & 3];

	memset(&s, 0, sizeof(s));
	fuzz_require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	if (size > 0)
		setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s.fd = fds[1];
	s.client = SSL_new(clients);
	fuzz_require(s.client);
	SSL_set_bio(s.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(s.client), -1);
	SSL_set_connect_state(s.client);
	if (setup & 4)
		SSL_set_max_proto_version(s.client, TLS1_2_VERSION);
	fuzz_require(transport_init(&s.server, base, fds[0], server_cb, NULL) == 0);
	fuzz_require(tls_start(&s.server, offer) == 0);
	s.open = true;
	s.echo = setup & 16;
	client_read();
}

static void end(void)
{
	server_end();
	to_client(PIECE_MAX, -1);
	if (!s.lost)
		client_read();
	if (s.fd >= 0)
		close(s.fd);
	SSL_free(s.client);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!base)
		prepare();
	if (size < 1)
		return 0;
	begin(data[0]);
	if (!(data[0] & 8))
		settle();
	for (size_t i = 1; i + 1 < size && i < 2 * STEPS_MAX; i += 2)
		take_step(data[i] % STEPS, data[i + 1]);
	settle();
	check_all_arrived();
	end();
	return 0;
}
