/*
 * An encrypted transport at a socket that takes little: what it did not take leaves later, whole
 * and in order, ahead of all else; and answers to a peer that takes none have a bound. How a stream
 * ends, and breaks.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>

#include "base/poison.h"
#include "config/config.h"
#include "failing.h"
#include "net/tickets.h"
#include "net/tls.h"
#include "person.h"

enum { MESSAGE = 500 * 1000, UPDATES_MAX = 100000 };

static struct event_base *base;
static struct tickets *tickets;
static struct tls_server *server;
static struct transport t;
static SSL_CTX *client_ctx;
static SSL *client;
static int peer;

static void never_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void make_server(void)
{
	char *names[] = { NULL }, ciphers[] = "ECDHE+AESGCM";
	struct person p = person_make((struct wish){ .name = "test" });
	struct config_certificate certificate = { .leaf = p.x,
						  .private_key = p.key,
						  .names = names };
	const struct config_tls c = {
		.on = true, .ciphers = ciphers, .certificate_count = 1, .certificates = &certificate
	};
	const char *why;

	tickets = tickets_new();
	server = tls_server_new(&c, tickets, &why);
	assert_non_null(server);
	person_end(&p);
}

/* Both sides take a step as often as it needs. */
static void shake_hands(void)
{
	enum tls_result r = TLS_WAIT;
	const char *why;

	for (int i = 0; i < 20 && (r != TLS_DONE || !SSL_is_init_finished(client)); i++) {
		SSL_do_handshake(client);
		if (r != TLS_DONE)
			r = tls_handshake(&t, &why);
	}
	assert_int_equal(r, TLS_DONE);
	assert_true(SSL_is_init_finished(client));
}

static int begin(void **state)
{
	const int little = 4096;
	int fds[2];

	(void)state;
	base = event_base_new();
	make_server();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(transport_init(&t, base, fds[0], never_cb, NULL), 0);
	assert_int_equal(tls_start(&t, server), 0);
	peer = fds[1];
	client_ctx = SSL_CTX_new(TLS_client_method());
	client = SSL_new(client_ctx);
	SSL_set_fd(client, peer);
	SSL_set_connect_state(client);
	shake_hands();
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
	return 0;
}

static int end(void **state)
{
	(void)state;
	SSL_free(client);
	SSL_CTX_free(client_ctx);
	close(peer);
	transport_fini(&t);
	tls_server_unref(server);
	tickets_free(tickets);
	event_base_free(base);
	return 0;
}

/* Reads what has come, up to n bytes of it; returns how many. */
static size_t hear(uint8_t *to, size_t n)
{
	size_t got = 0;

	return SSL_read_ex(client, to, n, &got) == 1 ? got : 0;
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i * 7 + i / 251);
}

/*
 * Writes all of it, and reads it little by little. Whoever has more to send is told so: else
 * nobody would come back to it.
 */
static void test_socket_that_takes_little(void **state)
{
	uint8_t *sent = malloc(MESSAGE), *got = malloc(MESSAGE);
	size_t written = 0, heard = 0;

	(void)state;
	fill(sent, MESSAGE);
	for (int i = 0; i < 1000000 && heard < MESSAGE; i++) {
		struct iovec part = { sent + written, MESSAGE - written };
		ssize_t n = transport_ops(&t)->write(&t, &part, 1, false);

		assert_true(n >= 0 || errno == EAGAIN);
		written += n > 0 ? (size_t)n : 0;
		/* all is out or it waits for the socket, and then the socket is full */
		if (written < MESSAGE)
			assert_true(t.want_write);
		heard += hear(got + heard, MESSAGE - heard < 100 ? MESSAGE - heard : 100);
		assert_int_equal(transport_held, transport_ops(&t)->held(&t));
		if (t.want_write)
			assert_true(transport_ops(&t)->flush(&t, false) == 0 || t.want_write);
		assert_int_equal(transport_held, transport_ops(&t)->held(&t));
	}
	assert_int_equal(heard, MESSAGE);
	assert_memory_equal(sent, got, MESSAGE);
	assert_int_equal(transport_ops(&t)->flush(&t, false), 0);
	assert_false(t.want_write);
	free(sent);
	free(got);
}

/* What counts as written, and is not out, goes with flush alone. */
static void test_flush(void **state)
{
	static uint8_t sent[40000], got[40000];
	struct iovec part = { sent, sizeof(sent) };
	size_t heard = 0;

	(void)state;
	fill(sent, sizeof(sent));
	assert_int_equal(transport_ops(&t)->write(&t, &part, 1, false), sizeof(sent));
	assert_true(t.want_write);
	for (int i = 0; i < 100000 && heard < sizeof(got); i++) {
		int r = transport_ops(&t)->flush(&t, false);

		assert_true(r == 0 ? !t.want_write : errno == EAGAIN && t.want_write);
		heard += hear(got + heard, sizeof(got) - heard < 50 ? sizeof(got) - heard : 50);
	}
	assert_int_equal(heard, sizeof(got));
	assert_memory_equal(sent, got, sizeof(got));
	assert_int_equal(transport_ops(&t)->flush(&t, false), 0);
	assert_false(t.want_write);
}

static size_t memory(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	size_t pages;

	assert_int_equal(fscanf(f, "%*u %zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* One that asks for new keys again and again, and takes no answer, is given up. */
static void test_answers_that_nobody_takes(void **state)
{
	size_t before;
	char byte;
	int i = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(SSL_version(client), TLS1_3_VERSION);
	before = memory();
	do {
		SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(client);
		errno = 0;
		n = transport_ops(&t)->read(&t, &byte, 1);
	} while (n < 0 && errno == EAGAIN && ++i < UPDATES_MAX);
	assert_int_equal(n, -1);
	assert_int_equal(errno, EPROTO);
	assert_true(i > 1000 && i < 20000);
	/* AddressSanitizer keeps for a while what was freed */
	if (!POISON_WORKS)
		assert_true(memory() - before < 4 * 1024 * 1024);
}

/* --- pieces, and the end --- */

/*
 * Pieces of any sizes leave as one stream: those that lie together, and those that are gathered,
 * several times in one call.
 */
static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 0, 70000, 3, 200, 65536, 2, 300000 };
	enum { COUNT = sizeof(sizes) / sizeof(*sizes) };
	uint8_t *sent = malloc(MESSAGE), *got = malloc(MESSAGE);
	struct iovec parts[COUNT];
	const int much = 1 << 20;
	size_t all = 0, heard = 0, written = 0;

	(void)state;
	setsockopt(t.fd, SOL_SOCKET, SO_SNDBUF, &much, sizeof(much));
	fill(sent, MESSAGE);
	for (int i = 0; i < COUNT; i++) {
		parts[i] = (struct iovec){ sent + all, sizes[i] };
		all += sizes[i];
	}
	while (heard < all) {
		struct iovec rest[COUNT];
		size_t skip = written;
		ssize_t n;

		memcpy(rest, parts, sizeof(rest));
		for (int i = 0; i < COUNT; i++) {
			size_t cut = skip < sizes[i] ? skip : sizes[i];

			rest[i].iov_base = (uint8_t *)rest[i].iov_base + cut;
			rest[i].iov_len -= cut;
			skip -= cut;
		}
		n = transport_ops(&t)->write(&t, rest, COUNT, false);
		assert_true(n >= 0 || errno == EAGAIN);
		written += n > 0 ? (size_t)n : 0;
		heard += hear(got + heard, all - heard);
	}
	assert_int_equal(written, all);
	assert_memory_equal(sent, got, all);
	free(sent);
	free(got);
}

static void say(const char *text)
{
	assert_int_equal(SSL_write(client, text, (int)strlen(text)), strlen(text));
}

static void check_read(const char *expected)
{
	char buf[64];
	ssize_t n = transport_ops(&t)->read(&t, buf, sizeof(buf));

	assert_int_equal(n, strlen(expected));
	assert_memory_equal(buf, expected, strlen(expected));
}

/* What was said ahead of the end comes first, and the end with the next call, that is asked for. */
static void test_goodbye_of_the_peer(void **state)
{
	(void)state;
	say("a");
	say("b");
	assert_int_equal(SSL_shutdown(client), 0);
	check_read("ab");
	assert_true(t.again);
	assert_true(transport_ops(&t)->pending(&t) > 0);
	check_read("");
	assert_false(t.again);
	/* it is answered, so that the peer knows that all has come */
	transport_ops(&t)->fini(&t);
	assert_int_equal(SSL_shutdown(client), 1);
}

/* An end without a goodbye is one, too. */
static void test_end_of_the_stream(void **state)
{
	(void)state;
	say("last");
	shutdown(peer, SHUT_WR);
	check_read("last");
	check_read("");
	check_read("");
}

static void test_our_goodbye(void **state)
{
	char text[] = "end", buf[8];
	struct iovec part = { text, 3 };

	(void)state;
	assert_int_equal(transport_ops(&t)->write(&t, &part, 1, true), 3);
	transport_ops(&t)->shutdown(&t);
	assert_int_equal(SSL_read(client, buf, sizeof(buf)), 3);
	assert_int_equal(SSL_read(client, buf, sizeof(buf)), 0);
	assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
}

static void check_error(ssize_t n, int error)
{
	assert_int_equal(n, -1);
	assert_int_equal(errno, error);
}

static ssize_t try_read(void)
{
	char byte;

	return transport_ops(&t)->read(&t, &byte, 1);
}

/* OpenSSL tells once what was wrong; here it stays so. */
static void test_what_is_no_record(void **state)
{
	(void)state;
	assert_int_equal(send(peer, "this is no record at all", 24, 0), 24);
	check_error(try_read(), EPROTO);
	check_error(try_read(), EPROTO);
}

static void test_nothing_to_read(void **state)
{
	(void)state;
	check_error(try_read(), EAGAIN);
	say("x");
	check_read("x");
	check_error(try_read(), EAGAIN);
	assert_int_equal(transport_ops(&t)->pending(&t), 0);
}

/* A buffer that is smaller than a record: the rest waits inside, and is told of. */
static void test_small_buffer(void **state)
{
	char buf[3];

	(void)state;
	say("abcdef");
	assert_int_equal(transport_ops(&t)->read(&t, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	assert_true(transport_ops(&t)->pending(&t) > 0);
	assert_int_equal(transport_ops(&t)->read(&t, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(transport_ops(&t)->pending(&t), 0);
}

static void test_peer_that_is_gone(void **state)
{
	static uint8_t bytes[100];
	struct iovec part = { bytes, sizeof(bytes) };

	(void)state;
	close(peer);
	check_error(transport_ops(&t)->write(&t, &part, 1, false), EPIPE);
	peer = dup(t.fd);
}

/* What was not taken has nowhere to wait: then that is the end. */
static void test_no_memory_for_what_waits(void **state)
{
	static uint8_t bytes[60000];
	struct iovec part = { bytes, sizeof(bytes) };
	ssize_t n = 0;

	(void)state;
	failing_from(1);
	for (int i = 0; i < 100 && n >= 0; i++)
		n = transport_ops(&t)->write(&t, &part, 1, false);
	assert_true(failing_end());
	check_error(n, ENOMEM);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_socket_that_takes_little),
		TEST(test_flush),
		TEST(test_answers_that_nobody_takes),
		TEST(test_pieces),
		TEST(test_goodbye_of_the_peer),
		TEST(test_end_of_the_stream),
		TEST(test_our_goodbye),
		TEST(test_what_is_no_record),
		TEST(test_nothing_to_read),
		TEST(test_small_buffer),
		TEST(test_peer_that_is_gone),
		TEST(test_no_memory_for_what_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
