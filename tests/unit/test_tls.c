/*
 * What a listener offers over TLS: which certificate, to whom, and whose sessions are resumed. One
 * client and one server shake hands over a pair of sockets.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "config/config.h"
#include "failing.h"
#include "net/tickets.h"
#include "net/tls.h"
#include "person.h"

enum { TEXT_MAX = 200 };

static struct event_base *base;
static struct tickets *tickets;
static struct person own, authority, another, friend, stranger; /* the last two: clients */
static char ciphers[] = "ECDHE+AESGCM";

/* --- servers --- */

static struct config_certificate certificate_of(const struct person *p, const char *const *names)
{
	return (struct config_certificate){ .leaf = p->x,
					    .private_key = p->key,
					    .names = (char **)names };
}

static struct tls_server *serve(struct config_tls c)
{
	static const char *const none[] = { NULL };
	struct config_certificate only = certificate_of(&own, none);
	struct tls_server *s;
	const char *why;

	c.on = true;
	c.ciphers = c.ciphers ? c.ciphers : ciphers;
	if (!c.certificates) {
		c.certificates = &only;
		c.certificate_count = 1;
	}
	s = tls_server_new(&c, tickets, &why);
	assert_non_null(s);
	return s;
}

static STACK_OF(X509) * one(X509 *x)
{
	STACK_OF(X509) *all = sk_X509_new_null();

	assert_int_equal(sk_X509_push(all, x), 1);
	return all;
}

/* Asks clients for certificates of that authority, of which one is revoked (NULL: none). */
static struct tls_server *ask(int verify, const struct person *by, const struct person *revoked)
{
	X509_CRL *list = person_list(by, revoked ? revoked->x : NULL, 1);
	STACK_OF(X509_CRL) *lists = sk_X509_CRL_new_null();
	STACK_OF(X509) *all = one(by->x);
	struct tls_server *s;

	sk_X509_CRL_push(lists, list);
	s = serve((struct config_tls){ .verify = verify,
				       .authorities = all,
				       .revoked = revoked ? lists : NULL,
				       .session_tickets = true });
	sk_X509_CRL_pop_free(lists, X509_CRL_free);
	sk_X509_free(all);
	return s;
}

/* --- clients --- */

/* One connection, and what came of it. */
static struct {
	struct transport t;
	SSL_CTX *ctx;
	SSL *client;
	int peer;
	enum tls_result result;
	char why[TEXT_MAX];
} met;

static void never_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void connect_to(struct tls_server *s)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(transport_init(&met.t, base, fds[0], never_cb, NULL), 0);
	assert_int_equal(tls_start(&met.t, s), 0);
	met.peer = fds[1];
	met.ctx = SSL_CTX_new(TLS_client_method());
	met.client = SSL_new(met.ctx);
	SSL_set_fd(met.client, met.peer);
	SSL_set_connect_state(met.client);
}

static void step(void)
{
	const char *why = "";

	met.result = tls_handshake(&met.t, &why);
	if (met.result == TLS_FAILED)
		strncpy(met.why, why, sizeof(met.why) - 1);
}

/* Until the server knows. The client then reads what it has been sent: tickets, an alert. */
static enum tls_result shake_hands(void)
{
	char byte;

	met.result = TLS_WAIT;
	memset(met.why, 0, sizeof(met.why));
	for (int i = 0; i < 20 && met.result == TLS_WAIT; i++) {
		SSL_do_handshake(met.client);
		step();
	}
	SSL_do_handshake(met.client);
	SSL_read(met.client, &byte, 1);
	return met.result;
}

static void part(void)
{
	/* else its session would count as broken */
	SSL_shutdown(met.client);
	SSL_free(met.client);
	SSL_CTX_free(met.ctx);
	close(met.peer);
	transport_fini(&met.t);
}

/* Shows that certificate; NULL: none. */
static void show(const struct person *p)
{
	if (p)
		assert_int_equal(SSL_use_cert_and_key(met.client, p->x, p->key, NULL, 1), 1);
}

static int begin(void **state)
{
	(void)state;
	base = event_base_new();
	tickets = tickets_new();
	own = person_make((struct wish){ .name = "own" });
	authority = person_make((struct wish){ .name = "authority", .signs = true });
	another = person_make((struct wish){ .name = "another", .signs = true });
	friend = person_make((struct wish){ .name = "friend",
					    .hosts = "DNS:a.example,email:f@a.example",
					    .issuer = &authority });
	stranger = person_make((struct wish){ .name = "stranger", .issuer = &another });
	return base && tickets ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	person_end(&own);
	person_end(&authority);
	person_end(&another);
	person_end(&friend);
	person_end(&stranger);
	tickets_free(tickets);
	event_base_free(base);
	return 0;
}

/* --- which certificate --- */

/* The common name of what a client that asks for a host (NULL: for none) gets to see. */
static void check_shown(struct tls_server *s, const char *host, const char *expected)
{
	char name[TEXT_MAX];
	X509 *x;

	connect_to(s);
	if (host)
		SSL_set_tlsext_host_name(met.client, host);
	assert_int_equal(shake_hands(), TLS_DONE);
	x = SSL_get1_peer_certificate(met.client);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
	assert_string_equal(name, expected);
	X509_free(x);
	part();
}

static void test_names(void **state)
{
	static const char *const first[] = { "first.example", NULL };
	static const char *const wide[] = { "a.example", "*.b.example", "*.c.example", NULL };
	static const char *const exact[] = { "www.b.example", NULL };
	static const char *const late[] = { "*.b.example", "a.example", NULL };
	struct person last = person_make((struct wish){ .name = "last", .kind = "ED25519" });
	struct config_certificate all[] = {
		certificate_of(&own, first),
		certificate_of(&authority, wide),
		certificate_of(&another, exact),
		certificate_of(&last, late),
	};
	struct tls_server *s =
		serve((struct config_tls){ .certificates = all, .certificate_count = 4 });

	(void)state;
	check_shown(s, NULL, "own");
	check_shown(s, "first.example", "own");
	check_shown(s, "nobody.example", "own");
	check_shown(s, "a.example", "authority");
	check_shown(s, "A.Example.", "authority");
	check_shown(s, "x.c.example", "authority");
	check_shown(s, "x.y.c.example", "own");
	check_shown(s, "c.example", "own");
	check_shown(s, ".c.example", "own");
	check_shown(s, "www.b.example", "another");
	check_shown(s, "x.b.example", "authority");
	tls_server_unref(s);
	person_end(&last);
}

/* A name with two kinds of keys: each client gets one that it can check. */
static void test_two_kinds_of_keys(void **state)
{
	static const char *const names[] = { "a.example", NULL };
	struct person edwards = person_make((struct wish){ .name = "edwards", .kind = "ED25519" });
	struct config_certificate all[] = { certificate_of(&own, names),
					    certificate_of(&edwards, names) };
	static const char *const kinds[][2] = { { "ECDSA+SHA256", "own" },
						{ "ed25519", "edwards" } };
	struct tls_server *s =
		serve((struct config_tls){ .certificates = all, .certificate_count = 2 });

	(void)state;
	for (int i = 0; i < 2; i++) {
		char name[TEXT_MAX];
		X509 *x;

		connect_to(s);
		SSL_set1_sigalgs_list(met.client, kinds[i][0]);
		assert_int_equal(shake_hands(), TLS_DONE);
		x = SSL_get1_peer_certificate(met.client);
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name,
					  sizeof(name));
		assert_string_equal(name, kinds[i][1]);
		X509_free(x);
		part();
	}
	tls_server_unref(s);
	person_end(&edwards);
}

/* --- what is spoken --- */

static void check_protocol(struct tls_server *s, const char *offered, const char *expected)
{
	const unsigned char *chosen;
	unsigned len;

	connect_to(s);
	SSL_set_alpn_protos(met.client, (const unsigned char *)offered, (unsigned)strlen(offered));
	assert_int_equal(shake_hands(), TLS_DONE);
	SSL_get0_alpn_selected(met.client, &chosen, &len);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(chosen, expected, len);
	part();
}

static void test_protocols(void **state)
{
	struct tls_server *s = serve((struct config_tls){ 0 });

	(void)state;
	check_protocol(s, "\x02h2\x08http/1.1", "http/1.1");
	check_protocol(s, "\x02h2", "");
	tls_server_unref(s);
}

static void check_version(struct tls_server *s, int most, const char *described)
{
	char text[TEXT_MAX];

	connect_to(s);
	tls_describe(&met.t, text, sizeof(text));
	assert_int_equal(strncmp(text, "TLSv1", 5), 0);
	SSL_set_max_proto_version(met.client, most);
	if (described) {
		assert_int_equal(shake_hands(), TLS_DONE);
		tls_describe(&met.t, text, sizeof(text));
		assert_string_equal(text, described);
	} else {
		assert_int_equal(shake_hands(), TLS_FAILED);
		/* in words that differ from one OpenSSL to the next */
		assert_true(met.why[0] != '\0');
	}
	part();
}

static void test_versions(void **state)
{
	static char suites[] = "TLS_AES_128_GCM_SHA256", curves[] = "X25519";
	struct tls_server *s = serve(
		(struct config_tls){ .ciphersuites = suites, .curves = curves, .min_version = 0 });

	(void)state;
	check_version(s, TLS1_3_VERSION, "TLSv1.3 TLS_AES_128_GCM_SHA256");
	check_version(s, TLS1_2_VERSION, "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384");
	check_version(s, TLS1_1_VERSION, NULL);
	tls_server_unref(s);
	s = serve((struct config_tls){ .min_version = 1, .ciphersuites = suites });
	check_version(s, TLS1_2_VERSION, NULL);
	tls_server_unref(s);
}

/* Says something else than TLS, or nothing at all. */
static enum tls_result after(struct tls_server *s, const char *said, bool leaves)
{
	connect_to(s);
	assert_int_equal(send(met.peer, said, strlen(said), 0), strlen(said));
	if (leaves)
		shutdown(met.peer, SHUT_WR);
	step();
	return met.result;
}

static void test_what_is_no_tls(void **state)
{
	struct tls_server *s = serve((struct config_tls){ 0 });

	(void)state;
	assert_int_equal(after(s, "", false), TLS_WAIT);
	assert_false(met.t.want_write);
	part();
	assert_int_equal(after(s, "", true), TLS_GONE);
	part();
	assert_int_equal(after(s, "\x16\x03\x01", true), TLS_GONE);
	part();
	assert_int_equal(after(s, "something else altogether", false), TLS_FAILED);
	assert_true(met.why[0] != '\0');
	part();
	tls_server_unref(s);
}

/* Who speaks HTTP can be answered in it. */
static void test_plain_http(void **state)
{
	struct tls_server *s = serve((struct config_tls){ 0 });
	char refusal[] = "400";
	struct iovec answer = { refusal, 3 };
	char got[8], text[TEXT_MAX];

	(void)state;
	assert_int_equal(after(s, "GET / HTTP/1.1\r\n\r\n", false), TLS_PLAIN);
	tls_abandon(&met.t);
	assert_false(met.t.want_write);
	tls_describe(&met.t, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(tls_peer_identity(&met.t, text, sizeof(text)), 0);
	assert_int_equal(transport_ops(&met.t)->write(&met.t, &answer, 1, false), 3);
	assert_int_equal(recv(met.peer, got, sizeof(got), 0), 3);
	assert_memory_equal(got, "400", 3);
	part();
	tls_server_unref(s);
}

/* --- who may connect --- */

/* With that certificate: who it is to the server, or why it is refused. */
static void check_client(struct tls_server *s, const struct person *p, const char *identity,
			 const char *why)
{
	char text[TEXT_MAX] = "";

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		connect_to(s);
		SSL_set_max_proto_version(met.client, version);
		show(p);
		assert_int_equal(shake_hands(), why ? TLS_FAILED : TLS_DONE);
		assert_string_equal(met.why, why ? why : "");
		assert_int_equal(tls_peer_identity(&met.t, text, sizeof(text)),
				 identity ? strlen(identity) : 0);
		if (identity)
			assert_string_equal(text, identity);
		part();
	}
}

static void test_clients(void **state)
{
	static const char *friends = "CN=friend DNS:a.example email:f@a.example",
			  *none = "peer did not return a certificate",
			  *unknown = "certificate verify failed: unable to get local issuer "
				     "certificate",
			  *revoked = "certificate verify failed: certificate revoked";
	struct tls_server *never = serve((struct config_tls){ .verify = VERIFY_NONE }),
			  *may = ask(VERIFY_OPTIONAL, &authority, NULL),
			  *must = ask(VERIFY_REQUIRED, &authority, NULL),
			  *gone = ask(VERIFY_REQUIRED, &authority, &friend);

	(void)state;
	check_client(never, &friend, NULL, NULL);
	check_client(may, NULL, NULL, NULL);
	check_client(may, &friend, friends, NULL);
	check_client(may, &stranger, NULL, unknown);
	check_client(must, &friend, friends, NULL);
	check_client(must, NULL, NULL, none);
	check_client(must, &stranger, NULL, unknown);
	check_client(gone, &friend, NULL, revoked);
	tls_server_unref(never);
	tls_server_unref(may);
	tls_server_unref(must);
	tls_server_unref(gone);
}

static void test_identity_is_cut(void **state)
{
	struct tls_server *s = ask(VERIFY_REQUIRED, &authority, NULL);
	char text[10];

	(void)state;
	connect_to(s);
	show(&friend);
	assert_int_equal(shake_hands(), TLS_DONE);
	assert_int_equal(tls_peer_identity(&met.t, text, sizeof(text)), 9);
	assert_string_equal(text, "CN=friend");
	assert_int_equal(tls_peer_identity(&met.t, text, 4), 3);
	assert_string_equal(text, "CN=");
	part();
	tls_server_unref(s);
}

/* --- whose session is resumed --- */

/* A session that a client with that certificate began there. */
static SSL_SESSION *session_of(struct tls_server *s, const struct person *p, int version)
{
	SSL_SESSION *session;

	connect_to(s);
	SSL_set_max_proto_version(met.client, version);
	show(p);
	assert_int_equal(shake_hands(), TLS_DONE);
	session = SSL_get1_session(met.client);
	part();
	return session;
}

/* Comes with it, and with no certificate: whether it is taken for the one who began it. */
static enum tls_result come_back(struct tls_server *s, SSL_SESSION *session, bool *resumed)
{
	enum tls_result r;

	connect_to(s);
	SSL_set_max_proto_version(met.client, SSL_SESSION_get_protocol_version(session));
	SSL_set_session(met.client, session);
	r = shake_hands();
	*resumed = SSL_session_reused(met.client);
	part();
	return r;
}

static void check_resumed(struct tls_server *from, const struct person *p, struct tls_server *to,
			  enum tls_result expected, bool expected_resumed)
{
	bool resumed;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_SESSION *session = session_of(from, p, version);

		assert_int_equal(come_back(to, session, &resumed), expected);
		if (expected == TLS_DONE)
			assert_int_equal(resumed, expected_resumed);
		SSL_SESSION_free(session);
	}
}

/* A session counts where clients are asked as they were when it began, and nowhere else. */
static void test_sessions(void **state)
{
	struct tls_server *may = ask(VERIFY_OPTIONAL, &authority, NULL),
			  *must = ask(VERIFY_REQUIRED, &authority, NULL),
			  *same = ask(VERIFY_REQUIRED, &authority, NULL),
			  *others = ask(VERIFY_REQUIRED, &another, NULL),
			  *gone = ask(VERIFY_REQUIRED, &authority, &friend),
			  *none = serve((struct config_tls){ .session_tickets = false });

	(void)state;
	check_resumed(may, NULL, may, TLS_DONE, true);
	check_resumed(must, &friend, must, TLS_DONE, true);
	check_resumed(must, &friend, same, TLS_DONE, true);
	check_resumed(may, NULL, must, TLS_FAILED, false);
	check_resumed(may, &friend, must, TLS_FAILED, false);
	check_resumed(must, &friend, may, TLS_DONE, false);
	check_resumed(must, &friend, others, TLS_FAILED, false);
	check_resumed(must, &friend, gone, TLS_FAILED, false);
	check_resumed(none, NULL, none, TLS_DONE, false);
	tls_server_unref(may);
	tls_server_unref(must);
	tls_server_unref(same);
	tls_server_unref(others);
	tls_server_unref(gone);
	tls_server_unref(none);
}

/* A ticket of the key before is good still, and is renewed; when its key is gone it is not. */
static void test_sessions_of_old_keys(void **state)
{
	struct tls_server *s = ask(VERIFY_REQUIRED, &authority, NULL);
	SSL_SESSION *session = session_of(s, &friend, TLS1_3_VERSION);
	bool resumed;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(tickets_rotate(tickets), 0);
		assert_int_equal(come_back(s, session, &resumed), TLS_DONE);
		assert_true(resumed);
	}
	assert_int_equal(tickets_rotate(tickets), 0);
	assert_int_equal(come_back(s, session, &resumed), TLS_FAILED);
	SSL_SESSION_free(session);
	tls_server_unref(s);
}

/* --- what cannot be --- */

static void check_refused(const struct config_tls *c, const char *expected)
{
	const char *why;

	assert_null(tls_server_new(c, tickets, &why));
	assert_string_equal(why, expected);
}

static void test_what_openssl_refuses(void **state)
{
	static const char *const names[] = { "a.example", NULL };
	static char nonsense[] = "NONSENSE";
	struct config_certificate crossed = certificate_of(&own, names);
	struct config_tls c = { .ciphers = nonsense,
				.certificates = &crossed,
				.certificate_count = 1 };

	(void)state;
	crossed.private_key = another.key;
	check_refused(&c, "no cipher match");
	c.ciphers = ciphers;
	check_refused(&c, "private key mismatch");
}

/* Whichever request fails, there is no server, and nothing is left of it. */
static void test_no_memory(void **state)
{
	static const char *const names[] = { "a.example", "b.example", NULL };
	struct config_certificate only = certificate_of(&own, names);
	struct config_tls c = { .ciphers = ciphers, .certificates = &only, .certificate_count = 1 };
	struct tls_server *s = NULL;
	unsigned n;

	(void)state;
	for (n = 0; !s; n++) {
		const char *why = "";

		/* which somebody else came upon */
		ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
		failing_nth(n + 1);
		s = tls_server_new(&c, tickets, &why);
		assert_true(failing_end() || s);
		assert_string_equal(why, s ? "" : "no memory");
	}
	assert_true(n > 5);
	check_shown(s, "b.example", "own");
	tls_server_unref(s);
}

/* It is then as it was: plain. */
static void test_no_memory_for_a_connection(void **state)
{
	struct tls_server *s = serve((struct config_tls){ 0 });
	struct transport t;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(transport_init(&t, base, fds[0], never_cb, NULL), 0);
	failing_nth(1);
	assert_int_equal(tls_start(&t, s), -1);
	assert_true(failing_end());
	assert_int_equal(t.kind, TRANSPORT_PLAIN);
	transport_fini(&t);
	close(fds[1]);
	tls_server_unref(s);
}

/* --- for a bufferevent --- */

static unsigned asked, sessions_ended;

static void *no_memory(size_t n)
{
	(void)n;
	asked++;
	return NULL;
}

static void session_ended_cb(void *session, void *p, CRYPTO_EX_DATA *data, int index, long l,
			     void *arg)
{
	(void)session;
	(void)p;
	(void)data;
	(void)index;
	(void)l;
	(void)arg;
	sessions_ended++;
}

/* Where libevent has no memory it ends the session, which it was given: once is enough. */
static void test_bufferevent_without_memory(void **state)
{
	struct tls_server *s = serve((struct config_tls){ 0 });

	(void)state;
	assert_true(SSL_get_ex_new_index(0, NULL, NULL, NULL, session_ended_cb) >= 0);
	event_set_mem_functions(no_memory, realloc, free);
	assert_null(tls_bufferevent(base, s));
	event_set_mem_functions(malloc, realloc, free);
	assert_int_equal(asked, 1);
	assert_int_equal(sessions_ended, 1);
	tls_server_unref(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_two_kinds_of_keys),
		TEST(test_protocols),
		TEST(test_versions),
		TEST(test_what_is_no_tls),
		TEST(test_plain_http),
		TEST(test_clients),
		TEST(test_identity_is_cut),
		TEST(test_sessions),
		TEST(test_sessions_of_old_keys),
		TEST(test_what_openssl_refuses),
		TEST(test_no_memory),
		TEST(test_no_memory_for_a_connection),
		TEST(test_bufferevent_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
