/*
 * client.c - see client.h.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

enum { RECEIVE_SIZE = 512 * 1024, ANSWER_SIZE = 4096, FIN = 0x80, RSV1 = 0x40, PONG = 0x0a };

static const uint8_t KEY[4] = { 0x37, 0xfa, 0x21, 0x3d };

static uint8_t received[RECEIVE_SIZE];

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "load: no memory\n");
		exit(1);
	}
	return p;
}

/* Without the four bytes that a flush ends with, RFC 7692 7.2.1. */
static size_t deflate_payload(const void *payload, size_t len, uint8_t **out)
{
	z_stream z = { 0 };
	size_t size = len + len / 8 + 64;

	*out = must(malloc(size));
	if (deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		exit(1);
	z.next_in = (uint8_t *)payload;
	z.avail_in = (uInt)len;
	z.next_out = *out;
	z.avail_out = (uInt)size;
	if (deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.total_out < 4)
		exit(1);
	deflateEnd(&z);
	return z.total_out - 4;
}

static size_t put_header(uint8_t *p, uint8_t first, size_t len)
{
	size_t n = 2;

	p[0] = first;
	if (len < 126) {
		p[1] = 0x80 | (uint8_t)len;
	} else if (len < 65536) {
		p[1] = 0x80 | 126;
		p[n++] = (uint8_t)(len >> 8);
		p[n++] = (uint8_t)len;
	} else {
		p[1] = 0x80 | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			p[n++] = (uint8_t)((uint64_t)len >> shift);
	}
	memcpy(p + n, KEY, sizeof(KEY));
	return n + sizeof(KEY);
}

void stream_init(struct stream *s, uint8_t opcode, const void *payload, size_t len, size_t copies,
		 bool compress)
{
	uint8_t *body = must(malloc(len + 1));
	uint8_t first = FIN | opcode;
	size_t header;

	memcpy(body, payload, len);
	s->payload = body;
	s->payload_len = len;
	if (compress) {
		first |= RSV1;
		len = deflate_payload(payload, len, &body);
	}
	s->bytes = must(malloc((len + 14) * copies));
	header = put_header(s->bytes, first, len);
	for (size_t i = 0; i < len; i++)
		s->bytes[header + i] = body[i] ^ KEY[i & 3];
	s->frame_len = header + len;
	s->copies = copies;
	s->answer = opcode == 9 ? PONG : opcode;
	for (size_t i = 1; i < copies; i++)
		memcpy(s->bytes + i * s->frame_len, s->bytes, s->frame_len);
}

static int bind_source(int fd, const struct target *t, unsigned i)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int on = 1;

	if (t->addresses == 0)
		return 0;
	a.sin_addr.s_addr = htonl(0x7f000001u + t->first + i % t->addresses);
	if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0)
		return -1;
	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

int client_socket(const struct target *t, unsigned i)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)t->port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

	if (fd < 0)
		return -1;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind_source(fd, t, i) < 0 ||
	    (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno != EINPROGRESS)) {
		close(fd);
		return -1;
	}
	return fd;
}

size_t client_request(const struct target *t, unsigned room, char *out, size_t size)
{
	const char *server = t->takeover ? "" : "server_no_context_takeover; ";
	const char *number = strstr(t->path, "%d");
	int before = number ? (int)(number - t->path) : (int)strlen(t->path), n;
	char digits[16] = "";

	if (number)
		snprintf(digits, sizeof(digits), "%u", room);
	n = snprintf(out, size,
		     "GET %.*s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
		     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		     "Sec-WebSocket-Version: 13\r\n",
		     before, t->path, digits, number ? number + 2 : "", t->port);
	if (t->compress)
		n += snprintf(out + n, size - (size_t)n,
			      "Sec-WebSocket-Extensions: permessage-deflate; "
			      "%sclient_no_context_takeover\r\n",
			      server);
	n += snprintf(out + n, size - (size_t)n, "\r\n");
	return (size_t)n;
}

static int send_all(struct client *c, const char *p, size_t n)
{
	ssize_t sent = c->ssl ? SSL_write(c->ssl, p, (int)n) : send(c->fd, p, n, MSG_NOSIGNAL);

	return sent == (ssize_t)n ? 0 : -1;
}

static ssize_t receive(struct client *c, void *p, size_t n)
{
	return c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);
}

/* Up to the end of the head and not further. Most heads come whole, so they are looked at first. */
static int read_answer(struct client *c, char *out, size_t size)
{
	ssize_t there = c->ssl ? 0 : recv(c->fd, out, size - 1, MSG_PEEK);
	const char *end = there > 0 ? memmem(out, (size_t)there, "\r\n\r\n", 4) : NULL;
	size_t n = 0;

	if (end) {
		n = (size_t)(end - out) + 4;
		out[n] = '\0';
		return recv(c->fd, out, n, 0) == (ssize_t)n ? 0 : -1;
	}
	while (n + 1 < size && receive(c, out + n, 1) == 1) {
		out[++n] = '\0';
		if (n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0)
			return 0;
	}
	return -1;
}

static int ask(struct client *c, const struct target *t, unsigned room)
{
	char text[ANSWER_SIZE];
	size_t n = client_request(t, room, text, sizeof(text));

	if (send_all(c, text, n) == 0)
		return 0;
	fprintf(stderr, "load: cannot send a request\n");
	return -1;
}

static int hear(struct client *c, const struct target *t)
{
	char text[ANSWER_SIZE] = "";

	if (read_answer(c, text, sizeof(text)) < 0) {
		fprintf(stderr, "load: no answer to the request\n");
		return -1;
	}
	if (strncmp(text, "HTTP/1.1 101 ", 13) != 0 ||
	    (t->compress && !strcasestr(text, "permessage-deflate"))) {
		fprintf(stderr, "load: not upgraded as asked for: %s\n", text);
		return -1;
	}
	return 0;
}

static int start_tls(struct client *c, const struct target *t)
{
	c->ssl = SSL_new(t->tls);
	if (!c->ssl || SSL_set_fd(c->ssl, c->fd) != 1 || SSL_connect(c->ssl) != 1) {
		fprintf(stderr, "load: no TLS handshake\n");
		return -1;
	}
	return 0;
}

static int set_blocking(int fd, bool blocking)
{
	struct timeval patience = { .tv_sec = 30 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fcntl(fd, F_SETFL, blocking ? 0 : O_NONBLOCK);
}

int client_begin(struct client *c, const struct target *t, unsigned i, unsigned room)
{
	memset(c, 0, sizeof(*c));
	c->greetings = t->greetings;
	c->fd = client_socket(t, i);
	if (c->fd < 0 || set_blocking(c->fd, true) < 0) {
		fprintf(stderr, "load: connection %u: %s\n", i, strerror(errno));
		return -1;
	}
	return t->tls ? 0 : ask(c, t, room);
}

int client_finish(struct client *c, const struct target *t, unsigned room)
{
	if (t->tls && (start_tls(c, t) < 0 || ask(c, t, room) < 0))
		return -1;
	return hear(c, t) < 0 ? -1 : set_blocking(c->fd, false);
}

void client_close(struct client *c)
{
	SSL_free(c->ssl);
	c->ssl = NULL;
	close(c->fd);
	free(c->times);
}

static ssize_t write_some(struct client *c, const uint8_t *p, size_t n)
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

int client_flush(struct client *c, const struct stream *s)
{
	c->blocked = false;
	while (c->sent < c->queued) {
		size_t at = (size_t)(c->sent % s->frame_len), n = s->frame_len * s->copies - at;
		ssize_t r;

		if (n > c->queued - c->sent)
			n = (size_t)(c->queued - c->sent);
		r = write_some(c, s->bytes + at, n);
		if (r < 0 && errno != EAGAIN)
			return -1;
		if (r < 0) {
			c->blocked = true;
			return 0;
		}
		c->sent += (size_t)r;
	}
	return 0;
}

/* Bytes of a header, as far as its first two tell. */
static size_t header_length(const uint8_t *p)
{
	return (p[1] & 0x7f) == 126 ? 4 : (p[1] & 0x7f) == 127 ? 10 : 2;
}

static void take_header(struct client *c, const uint8_t *p, size_t n, uint8_t answer)
{
	uint8_t opcode = p[0] & 0x0f;

	c->skip = p[1] & 0x7f;
	if (n > 2) {
		c->skip = 0;
		for (size_t i = 2; i < n; i++)
			c->skip = c->skip << 8 | p[i];
	}
	c->counts = (p[0] & FIN) && (answer < 8 ? opcode < 8 : opcode == answer);
	c->closed |= opcode == 8;
}

/* Returns how many bytes of a header there were, or 0: more have to come, and all were kept. */
static size_t read_header(struct client *c, const uint8_t *p, size_t n, uint8_t answer)
{
	size_t had = c->head_len, want;

	if (had == 0 && n >= 2 && n >= (want = header_length(p))) {
		take_header(c, p, want, answer);
		return want;
	}
	for (size_t i = 0; i < n; i++) {
		c->head[c->head_len++] = p[i];
		if (c->head_len >= 2 && c->head_len == header_length(c->head)) {
			take_header(c, c->head, c->head_len, answer);
			c->head_len = 0;
			return i + 1;
		}
	}
	return 0;
}

static int count_answers(struct client *c, uint8_t answer, const uint8_t *p, size_t n,
			 const uint8_t **payload)
{
	const uint8_t *end = p + n;
	int count = 0;

	while (p < end) {
		size_t take, header = 0;

		if (c->skip == 0 && (header = read_header(c, p, (size_t)(end - p), answer)) == 0)
			break;
		p += header;
		take = c->skip < (uint64_t)(end - p) ? (size_t)c->skip : (size_t)(end - p);
		c->skip -= take;
		if (c->skip == 0 && c->counts && c->greetings > 0) {
			c->greetings--;
		} else if (c->skip == 0 && c->counts) {
			count++;
			*payload = header > 0 ? p : NULL;
		}
		p += take;
	}
	return count;
}

static ssize_t read_tls(struct client *c)
{
	size_t n = 0;
	int r;

	/* All that was decrypted, for nothing tells about it later. */
	do {
		r = SSL_read(c->ssl, received + n, (int)(sizeof(received) - n));
		if (r > 0)
			n += (size_t)r;
	} while (r > 0 && n < sizeof(received));
	if (n > 0)
		return (ssize_t)n;
	errno = SSL_get_error(c->ssl, r) == SSL_ERROR_WANT_READ ? EAGAIN : EPIPE;
	return r == 0 && errno != EAGAIN ? 0 : -1;
}

int client_stamp(struct client *c)
{
	const int what = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;

	c->stamps = true;
	return setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPING, &what, sizeof(what));
}

static ssize_t read_stamped(struct client *c)
{
	struct iovec to = { received, sizeof(received) };
	_Alignas(struct cmsghdr) char control[256];
	struct msghdr m = { .msg_iov = &to,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->fd, &m, 0);
	struct scm_timestamping t;

	c->arrived = 0;
	for (struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; h; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_TIMESTAMPING)
			continue;
		memcpy(&t, CMSG_DATA(h), sizeof(t));
		c->arrived = (uint64_t)t.ts[0].tv_sec * 1000000000u + (uint64_t)t.ts[0].tv_nsec;
	}
	return n;
}

static ssize_t read_plain(struct client *c)
{
	return c->stamps ? read_stamped(c) : recv(c->fd, received, sizeof(received), 0);
}

int client_read(struct client *c, const struct stream *s, const uint8_t **payload)
{
	ssize_t n = c->ssl ? read_tls(c) : read_plain(c);
	const uint8_t *where = NULL;
	int count;

	if (n < 0)
		return errno == EAGAIN ? 0 : -1;
	if (n == 0)
		return -1;
	count = count_answers(c, s->answer, received, (size_t)n, &where);
	if (payload)
		*payload = where;
	return c->closed ? -1 : count;
}
