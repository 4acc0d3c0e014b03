/*
 * Memory that runs out in the life of a connection: whichever request fails, that one is refused
 * or ends, nobody else notices, and nothing is left of it.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "failing.h"
#include "session/registry.h"
#include "session/worker.h"

#define ZIP "Sec-WebSocket-Extensions: permessage-deflate\r\n"

enum { LONG = 20000 };

static struct client other, k;
static char message[LONG + 1];
static unsigned plain; /* lives in which the long answer was not compressed */

static int begin(void **state)
{
	(void)state;
	/* half of it is left when it is compressed */
	for (uint32_t i = 0, x = 1; i < LONG; i++, x = x * 1103515245 + 12345)
		message[i] = (char)('a' + (x >> 16) % 16);
	worker_begin("ping_interval = \"0\"; max_message = \"60K\";\n"
		     "compression = { enabled = true; threshold = \"64\";\n"
		     "  server_context_takeover = true; };\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"echo\"; },\n"
		     "  { path = \"/json\"; behaviour = \"notify\"; message = \"{}\"; },\n"
		     "  { path = \"/room\"; behaviour = \"room\"; } );\n",
		     NULL);
	worker.listener->proxy_protocol = true;
	worker.listener->trusted[0] = (struct cidr){ .family = AF_INET, .bits = 0 };
	return 0;
}

/* As connect_client, but it may be refused. */
static void knock(void)
{
	const uint8_t address[16] = { 192, 0, 2, 1 };
	const struct net_peer peer = net_peer_of(AF_INET, address, 4711);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	k.fd = fds[0];
	k.len = 0;
	session_accept(fds[1], &peer, worker.listener);
	turn();
}

/* May be gone already. */
static void try_say(const void *bytes, size_t n)
{
	send(k.fd, bytes, n, MSG_NOSIGNAL);
	turn();
}

static void try_frame(const char *text)
{
	static uint8_t frame[LONG + 100];

	try_say(frame, client_frame(frame, 0x81, text, strlen(text)));
}

static bool begins(const char *text)
{
	return k.len >= strlen(text) && memcmp(k.got, text, strlen(text)) == 0;
}

/*
 * A whole life, of which the nth request for memory fails, and all behind it if that is to be.
 * Returns whether one has; what came is in k.got, and *ended says whether that was all.
 */
static bool live(const char *path, unsigned n, bool on, bool *ended)
{
	char request[512];
	int len = snprintf(request, sizeof(request),
			   "PROXY TCP4 198.51.100.7 192.0.2.9 1234 80\r\n"
			   "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
			   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" ZIP
			   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			   path);

	(on ? failing_from : failing_nth)(n);
	knock();
	/* in pieces, so that what is incomplete has to be kept */
	try_say(request, 50);
	try_say(request + 50, 100);
	try_say(request + 150, (size_t)len - 150);
	try_frame("short");
	try_frame(message);
	*ended = hear(&k);
	n = failing_end();
	close(k.fd);
	turn();
	return n > 0;
}

/* Where a frame's payload begins, and how long it is. */
static const uint8_t *payload_of(const uint8_t *p, size_t *len)
{
	*len = p[1];
	if (*len < 126)
		return p + 2;
	assert_int_equal(*len, 126);
	*len = (size_t)p[2] << 8 | p[3];
	return p + 4;
}

static void check_long(uint8_t first, const uint8_t *data, size_t len)
{
	if (first == 0xc1) {
		assert_true(len < LONG);
		return;
	}
	assert_true(first == 0x81 && len == LONG && memcmp(data, message, len) == 0);
	plain++;
}

/* The two answers, the long one perhaps as it is for want of memory; or a close in their place. */
static void check_frames(const uint8_t *p, const uint8_t *end, bool failed)
{
	for (int i = 0; p < end; i++) {
		size_t len;
		const uint8_t *data = payload_of(p, &len);

		assert_true(data + len <= end);
		if (*p == 0x88) {
			assert_true(failed && data + len == end);
			assert_int_equal(data[0] << 8 | data[1], WS_CLOSE_TRY_AGAIN);
			return;
		}
		if (i == 0)
			assert_true(*p == 0x81 && len == 5 && memcmp(data, "short", 5) == 0);
		else
			check_long(*p, data, len);
		assert_true(i < 2 && (failed || i == 0 || *p == 0xc1));
		p = data + len;
	}
}

/* A refusal, or all that it would be with memory, or a close. */
static void check_answer(bool failed, bool ended)
{
	const char *head_end;

	assert_true(ended || begins("HTTP/1.1 101 "));
	assert_true(failed || !ended);
	k.got[k.len] = '\0';
	head_end = strstr((char *)k.got, "\r\n\r\n");
	if (begins("HTTP/1.1 101 "))
		check_frames((const uint8_t *)head_end + 4, k.got + k.len, failed);
	else
		assert_true(k.len == 0 || begins("HTTP/1.1 503 "));
}

/* Who is there meanwhile, and who comes later, find all as ever. */
static void check_others(void)
{
	say_frame(&other, 0x81, "still");
	ASSERT_HEARD(&other, "\x81\x05still");
	assert_int_equal(session.conns, 1);
	assert_int_equal(session.row->open, 1);
	assert_int_equal(session.row->handshakes, 0);
	assert_true(registry_is_empty());
}

static void check_life(const char *path, bool on)
{
	bool failed = true, ended;
	unsigned n, refused = 0;

	plain = 0;
	worker.listener->proxy_protocol = false;
	upgrade(&other, REQUEST("/") "\r\n");
	worker.listener->proxy_protocol = true;
	for (n = 1; failed; n++) {
		failed = live(path, n, on, &ended);
		refused += ended;
		check_answer(failed, ended);
		check_others();
	}
	assert_true(n > 5 && refused > 3 && plain > 0);
	disconnect(&other);
}

static void test_echo(void **state)
{
	(void)state;
	check_life("/", false);
	check_life("/", true);
}

static void test_room(void **state)
{
	(void)state;
	check_life("/room", false);
	check_life("/room", true);
}

/* What has to wait is not to be kept for want of memory, or all is as ever. */
static void check_waiting(const char *request, const void *bytes, size_t len, size_t answers)
{
	bool failed = true;
	unsigned n, refused = 0;

	worker.listener->proxy_protocol = false;
	upgrade(&other, REQUEST("/") "\r\n");
	for (n = 1; failed; n++) {
		enum reason why;

		upgrade(&k, request);
		assert_int_equal(write(k.fd, bytes, len), (ssize_t)len);
		failing_nth(n);
		turn_short(1);
		failed = failing_end();
		turn();
		/* one that was refused is freed by now */
		why = session.conns == 2 ? k.conn->reason : REASON_NO_MEMORY;
		hear(&k);
		if (why == REASON_NONE)
			assert_int_equal(k.len, answers);
		else
			assert_true(failed && why == REASON_NO_MEMORY);
		refused += why != REASON_NONE;
		disconnect(&k);
		check_others();
	}
	assert_true(refused >= 3);
	assert_int_equal(account_bytes, 0);
	disconnect(&other);
}

static void test_input_that_waits(void **state)
{
	(void)state;
	check_waiting(REQUEST("/") "\r\n", "\x81\x81\0\0\0\0x\x81\x81\0\0\0\0y", 14, 6);
}

static void test_json_that_waits(void **state)
{
	static uint8_t frame[50000];
	static char text[40001];

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 2] = '1';
	check_waiting(REQUEST("/json") "\r\n", frame, client_frame(frame, 0x81, text, strlen(text)),
		      0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_echo),
		TEST(test_room),
		TEST(test_input_that_waits),
		TEST(test_json_that_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
