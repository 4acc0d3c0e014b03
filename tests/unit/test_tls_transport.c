/*
 * An encrypted transport at a socket that takes little: what it did not take leaves later, whole
 * and in order, ahead of all else; and answers to a peer that takes none have a bound.
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
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/poison.h"
#include "config/config.h"
#include "net/tickets.h"
#include "net/tls.h"

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

static X509 *sign_oneself(EVP_PKEY *key)
{
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -60);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1,
				   0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

static void make_server(void)
{
	char *names[] = { NULL }, ciphers[] = "ECDHE+AESGCM";
	EVP_PKEY *key = EVP_EC_gen("P-256");
	struct config_certificate certificate = { .leaf = sign_oneself(key),
						  .private_key = key,
						  .names = names };
	const struct config_tls c = {
		.on = true, .ciphers = ciphers, .certificate_count = 1, .certificates = &certificate
	};
	const char *why;

	tickets = tickets_new();
	server = tls_server_new(&c, tickets, &why);
	assert_non_null(server);
	X509_free(certificate.leaf);
	EVP_PKEY_free(key);
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
	tls_server_free(server);
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
		if (t.want_write)
			assert_true(transport_ops(&t)->flush(&t, false) == 0 || t.want_write);
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

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_socket_that_takes_little),
		TEST(test_flush),
		TEST(test_answers_that_nobody_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
