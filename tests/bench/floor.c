/*
 * floor.c - the cheapest programs that answer the same clients, as the limit of what
 * a server could reach on this machine.
 *
 * `floor echo|room PORT [CERTIFICATE KEY]`: raw epoll, one receive, unmasking in place,
 * one send; with a certificate, OpenSSL in between. In a room what one turn of the loop
 * received leaves as one send per member; which room it is, the digits at the end of
 * the path say. There are no limits, no timers, no checks: this is no server.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 256 * 1024, EVENTS = 512, ROOMS = 65536, TLS_BUFFER_SIZE = 64 * 1024 };

/* A message that did not come at once, or an answer that did not leave at once. */
struct rest {
	size_t at, len; /* a message: bytes that are there, that there will be */
	uint8_t bytes[];
};

struct conn {
	int fd;
	bool open;
	uint32_t room;
	SSL *ssl;
	struct rest *in, *out;
};

struct room {
	struct conn **members;
	size_t count, size;
	uint8_t *batch; /* what this turn received */
	size_t len, batch_size;
	struct room *next; /* that received something in this turn */
};

struct frame {
	size_t header, len; /* of the client's */
	uint8_t opcode;
};

static int epoll;
static bool as_room;
static SSL_CTX *tls;
static uint8_t buffer[BUFFER_SIZE];
static struct room rooms[ROOMS];
static struct room *touched;

_Noreturn static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void *must(void *p)
{
	if (!p)
		die("floor");
	return p;
}

static void leave(struct conn *c)
{
	struct room *r = &rooms[c->room];

	for (size_t i = 0; i < r->count; i++) {
		if (r->members[i] == c) {
			r->members[i] = r->members[--r->count];
			return;
		}
	}
}

static void end(struct conn *c)
{
	if (as_room)
		leave(c);
	SSL_free(c->ssl);
	close(c->fd);
	free(c->in);
	free(c->out);
	free(c);
}

static ssize_t read_some(struct conn *c, void *p, size_t n)
{
	int r;

	if (!c->ssl)
		return recv(c->fd, p, n, 0);
	r = SSL_read(c->ssl, p, (int)n);
	if (r > 0)
		return r;
	errno = SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
	return -1;
}

static ssize_t write_some(struct conn *c, const void *p, size_t n)
{
	int r;

	if (!c->ssl)
		return send(c->fd, p, n, MSG_NOSIGNAL);
	r = SSL_write(c->ssl, p, (int)n);
	if (r > 0)
		return r;
	errno = SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
	return -1;
}

static void watch(struct conn *c, bool writing)
{
	struct epoll_event e = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c };

	epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e);
}

static void keep(struct conn *c, const uint8_t *p, size_t n)
{
	size_t used = c->out ? c->out->len - c->out->at : 0;
	struct rest *r = must(malloc(sizeof(*r) + used + n));

	if (c->out)
		memcpy(r->bytes, c->out->bytes + c->out->at, used);
	else
		watch(c, true);
	memcpy(r->bytes + used, p, n);
	r->at = 0;
	r->len = used + n;
	free(c->out);
	c->out = r;
}

static void send_out(struct conn *c, const uint8_t *p, size_t n)
{
	ssize_t sent = 0;

	while (!c->out && n > 0) {
		sent = write_some(c, p, n);
		if (sent < 0)
			break;
		p += sent;
		n -= (size_t)sent;
		if (!c->ssl)
			break;
	}
	if (n > 0 && (sent >= 0 || errno == EAGAIN))
		keep(c, p, n);
}

static void writable(struct conn *c)
{
	struct rest *r = c->out;
	ssize_t n = write_some(c, r->bytes + r->at, r->len - r->at);

	if (n > 0)
		r->at += (size_t)n;
	if (r->at < r->len)
		return;
	free(r);
	c->out = NULL;
	watch(c, false);
}

static void unmask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t key[4])
{
	uint64_t k8, word;
	uint32_t k4;
	size_t i = 0;

	memcpy(&k4, key, 4);
	k8 = (uint64_t)k4 << 32 | k4;
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, from + i, 8);
		word ^= k8;
		memcpy(to + i, &word, 8);
	}
	for (; i < n; i++)
		to[i] = from[i] ^ key[i & 3];
}

/* Vectors need not fear that both overlap. */
static void unmask_in_place(uint8_t *p, size_t n, const uint8_t key[4])
{
	typedef uint64_t word8 __attribute__((vector_size(32), aligned(1), may_alias));
	uint32_t k4;
	uint64_t k8;
	size_t i = 0;

	memcpy(&k4, key, 4);
	k8 = (uint64_t)k4 << 32 | k4;
	for (; i + 32 <= n; i += 32)
		*(word8 *)(p + i) ^= (word8){ k8, k8, k8, k8 };
	unmask(p + i, p + i, n - i, key);
}

/* False: the header is not whole. */
static bool read_header(const uint8_t *p, size_t n, struct frame *f)
{
	unsigned bytes;

	if (n < 2)
		return false;
	bytes = (p[1] & 0x7f) == 127 ? 8 : (p[1] & 0x7f) == 126 ? 2 : 0;
	if (n < 2 + bytes + 4)
		return false;
	f->opcode = p[0] & 0x0f;
	f->header = 2 + bytes + 4;
	f->len = bytes ? 0 : p[1] & 0x7f;
	for (unsigned i = 0; i < bytes; i++)
		f->len = f->len << 8 | p[2 + i];
	return true;
}

/* The server's header is that of the client without the key. */
static size_t write_header(uint8_t *to, const uint8_t *from, const struct frame *f)
{
	memmove(to, from, f->header - 4);
	if (f->opcode == 9)
		to[0] = 0x8a;
	to[1] &= 0x7f;
	return f->header - 4;
}

static void room_add(struct room *r, const uint8_t *frame, size_t n)
{
	if (r->len == 0) {
		r->next = touched;
		touched = r;
	}
	if (r->len + n > r->batch_size) {
		r->batch_size = r->batch_size ? r->batch_size * 2 + n : n * 2;
		r->batch = must(realloc(r->batch, r->batch_size));
	}
	memcpy(r->batch + r->len, frame, n);
	r->len += n;
}

static void deliver(void)
{
	struct room *r = touched;

	touched = NULL;
	for (; r; r = r->next) {
		for (size_t i = 0; i < r->count; i++)
			send_out(r->members[i], r->batch, r->len);
		r->len = 0;
	}
}

static void give(struct conn *c, const uint8_t *p, size_t n)
{
	if (n == 0)
		return;
	if (as_room)
		room_add(&rooms[c->room], p, n);
	else
		send_out(c, p, n);
}

/* Unmasks and answers whole frames, packed to the front. Returns where the rest begins; -1: closed. */
static ssize_t answer_frames(struct conn *c, uint8_t *p, size_t n)
{
	size_t at = 0, out = 0, first = 0;
	struct frame f;

	while (read_header(p + at, n - at, &f) && n - at - f.header >= f.len) {
		uint8_t key[4];

		memcpy(key, p + at + f.header - 4, 4);
		/* One frame, or the first of several, stays where it is. */
		if (at == 0)
			out = first = 4;
		out += write_header(p + out, p + at, &f);
		if (out == at + f.header)
			unmask_in_place(p + out, f.len, key);
		else
			unmask(p + out, p + at + f.header, f.len, key);
		out += f.len;
		at += f.header + f.len;
		if (f.opcode == 8) {
			send_out(c, p + first, out - first);
			return -1;
		}
	}
	give(c, p + first, out - first);
	return (ssize_t)at;
}

/* Begins a message that is not whole. */
static void begin_rest(struct conn *c, const uint8_t *p, size_t n)
{
	struct frame f = { .header = 14 };

	if (n == 0)
		return;
	if (!read_header(p, n, &f))
		f.len = 0;
	c->in = must(malloc(sizeof(*c->in) + f.header + f.len));
	c->in->len = f.header + f.len;
	c->in->at = n;
	memcpy(c->in->bytes, p, n);
}

/* Returns false when the connection ended. */
static bool take(struct conn *c, uint8_t *p, size_t n)
{
	ssize_t at = answer_frames(c, p, n);

	if (at >= 0)
		begin_rest(c, p + at, n - (size_t)at);
	return at >= 0;
}

static bool go_on(struct conn *c)
{
	struct rest *r = c->in;
	ssize_t n = read_some(c, r->bytes + r->at, r->len - r->at);
	struct frame f;
	bool more = true;

	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	r->at += (size_t)n;
	if (read_header(r->bytes, r->at, &f) && r->at < f.header + f.len &&
	    r->len == f.header + f.len)
		return true;
	c->in = NULL;
	more = take(c, r->bytes, r->at);
	free(r);
	return more;
}

static void answer_upgrade(struct conn *c, const char *key)
{
	static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	uint8_t text[64], digest[SHA_DIGEST_LENGTH];
	char out[256], hash[32];
	int n;

	memcpy(text, key, 24);
	memcpy(text + 24, GUID, 36);
	SHA1(text, 60, digest);
	EVP_EncodeBlock((uint8_t *)hash, digest, sizeof(digest));
	n = snprintf(out, sizeof(out),
		     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		     hash);
	send_out(c, (uint8_t *)out, (size_t)n);
	c->open = true;
}

static void join(struct conn *c, const char *path)
{
	size_t n = strcspn(path, " ");
	struct room *r;

	while (n > 0 && isdigit((unsigned char)path[n - 1]))
		n--;
	c->room = (uint32_t)atoi(path + n) % ROOMS;
	r = &rooms[c->room];
	if (r->count == r->size) {
		r->size = r->size ? r->size * 2 : 4;
		r->members = must(realloc(r->members, r->size * sizeof(struct conn *)));
	}
	r->members[r->count++] = c;
}

/* The request comes at once, as those of the load generator do. */
static bool upgrade(struct conn *c, char *p, size_t n)
{
	static const char NAME[] = "Sec-WebSocket-Key: ";
	char *key;

	p[n] = '\0';
	key = strstr(p, NAME);
	if (!key || strlen(key) < sizeof(NAME) - 1 + 24)
		return false;
	answer_upgrade(c, key + sizeof(NAME) - 1);
	if (as_room)
		join(c, p + 4);
	return true;
}

/* False: the connection ended. errno is EAGAIN if there was nothing, or 0. */
static bool read_once(struct conn *c)
{
	ssize_t n;

	errno = 0;
	if (c->in)
		return go_on(c);
	n = read_some(c, buffer, sizeof(buffer) - 1);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	return c->open ? take(c, buffer, (size_t)n) : upgrade(c, (char *)buffer, (size_t)n);
}

/* OpenSSL reads ahead: epoll does not tell of what it has, which may be half a record. */
static bool readable(struct conn *c)
{
	bool more = read_once(c);

	while (more && c->ssl && SSL_has_pending(c->ssl) && errno != EAGAIN)
		more = read_once(c);
	return more;
}

/* The request may have come with the end of the handshake. */
static bool greet(struct conn *c)
{
	int r = SSL_accept(c->ssl);

	if (r != 1)
		return SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ;
	return !SSL_has_pending(c->ssl) || readable(c);
}

static void handle(struct conn *c, uint32_t events)
{
	bool more = true;

	if (c->ssl && !SSL_is_init_finished(c->ssl))
		more = greet(c);
	else if (events & ~(uint32_t)EPOLLOUT)
		more = readable(c);
	if (more && events & EPOLLOUT && c->out)
		writable(c);
	if (!more)
		end(c);
}

static void accept_all(int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct conn *c = must(calloc(1, sizeof(*c)));
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };

		c->fd = fd;
		if (tls) {
			c->ssl = must(SSL_new(tls));
			SSL_set_fd(c->ssl, fd);
			SSL_set_accept_state(c->ssl);
		}
		epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
	}
}

static int listen_on(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct epoll_event e = { .events = EPOLLIN };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Those that are accepted inherit it. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 4096) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("floor: listen");
	return fd;
}

/*
 * Buffers are released, though that is an allocation for each message: the one that all
 * connections share stays in the cache, and measures no worse than one for each.
 */
static void make_tls(const char *certificate, const char *key)
{
	tls = must(SSL_CTX_new(TLS_server_method()));
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(tls, 1);
	SSL_CTX_set_default_read_buffer_len(tls, TLS_BUFFER_SIZE);
	if (SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		die("floor: certificate");
}

static void raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS];
	int listener;

	if (argc != 3 && argc != 5) {
		fprintf(stderr, "usage: floor echo|room PORT [CERTIFICATE KEY]\n");
		return 2;
	}
	as_room = strcmp(argv[1], "room") == 0;
	if (argc == 5)
		make_tls(argv[3], argv[4]);
	raise_files();
	/* Memory of large messages stays here, and comes without being cleared by the kernel. */
	mallopt(M_TRIM_THRESHOLD, INT_MAX);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	signal(SIGPIPE, SIG_IGN);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	listener = listen_on(atoi(argv[2]));
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				handle(events[i].data.ptr, events[i].events);
			else
				accept_all(listener);
		}
		deliver();
	}
}
