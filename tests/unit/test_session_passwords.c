/*
 * Who is let in by a password, and what becomes of those who wait for it. A hash that takes hours is one of
 * them: what happens meanwhile does not go by time.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/base64.h"
#include "base/fair.h"
#include "config/users.h"
#include "session/awaiting.h"
#include "session/passwords.h"
#include "session/remembered.h"
#include "failing.h"
#include "session/known.h"
#include "session/worker.h"

/* Of "secret" */
#define ANNA "anna:$6$rounds=1000$salt$" ANNA_HASH "\n"
#define ANNA_HASH                                                                                  \
	"HNxBeBnDfSfUrTj6KiLnmd7tGCvHEmcExh8kl/S0cZ5WrCciNZgfhbpkeFQ4JfkHX.8vPq45lY0iINnCx1Lkm."
/* Any other line of hers */
#define OTHER "$2b$04$012345678901234567890e0123456789012345678901234567890"
#define ENDLESS "$2b$31$012345678901234567890e0123456789012345678901234567890"

static struct client one, two, crowd[FAIR_MOST_OF_ONE];

/* Of two endpoints, the first of which asks for a user of a file with this. */
static const char *guarded(const char *users, const char *more)
{
	static char text[1024];
	static int fd = -1;

	file_with(&fd, users);
	snprintf(text, sizeof(text),
		 "drain_time = \"0\"; handshake_timeout = \"3s\"; %s endpoints = (\n"
		 "{ path = \"/a\"; behaviour = \"echo\";\n"
		 "  access = { users = \"/proc/self/fd/%d\"; }; },\n"
		 "{ path = \"/free\"; behaviour = \"echo\"; } );",
		 more, fd);
	return text;
}

/* From here on a password of anna takes for ever, as no file may have it. */
static void make_endless(void)
{
	const struct config_users *all =
		config_route_name(session.config, "/a")->limits.access.users;

	assert_true(all->count > 0);
	for (size_t i = 0; i < all->count; i++)
		strcpy(all->list[i].hash, ENDLESS);
}

static void begin(void)
{
	worker_begin(guarded(ANNA, ""), NULL);
}

static void say_for(struct client *k, const char *name, const char *password, const char *behind)
{
	static char request[1024];
	char pair[256], encoded[512];

	snprintf(pair, sizeof(pair), "%s:%s", name, password);
	base64_write(encoded, pair, strlen(pair));
	snprintf(request, sizeof(request), "%sAuthorization: Basic %s\r\n\r\n%s", REQUEST("/a"),
		 encoded, behind);
	say(k, request);
}

static void ask_in(struct client *k, const char *name, const char *password, const char *behind)
{
	connect_client(k);
	say_for(k, name, password, behind);
}

/* The thread's answer is an event. */
static void wait_for_answer(struct client *k, const char *begins)
{
	for (hear(k); k->len == 0; hear(k)) {
		event_base_loop(worker.base, EVLOOP_ONCE);
		turn();
	}
	assert_begins(k, begins);
}

static void assert_waits(const struct client *k)
{
	assert_int_equal(k->conn->state_now, CONN_ADMIT);
	assert_true(awaiting_is(k->conn));
	assert_false(conn_reads(k->conn));
	assert_non_null(k->conn->opening->head);
}

/* The thread has taken what it can of them. */
static void wait_until_in_line(uint64_t count)
{
	session_tick();
	while (session.row->passwords_waiting != count) {
		usleep(1000);
		session_tick();
	}
}

static void test_in_and_out(void **state)
{
	(void)state;
	begin();
	ask_in(&one, "anna", "secret",
	       "\x81\x82"
	       "\x01\x01\x01\x01hi");
	wait_for_answer(&one, "HTTP/1.1 101 ");
	assert_string_equal(conn_user(one.conn), "anna");
	assert_memory_equal(one.got + one.len - 4, "\x81\x02ih", 4);
	assert_null(one.conn->opening);
	assert_int_equal(session.row->passwords, 1);
	/* who comes back need not wait */
	ask_in(&two, "anna", "secret", "");
	assert_begins(&two, "HTTP/1.1 101 ");
	disconnect(&two);
	ask_in(&two, "anna", "wrong", "");
	wait_for_answer(&two, "HTTP/1.1 401 ");
	assert_non_null(strstr((char *)two.got, "\nbad-password: "));
	disconnect(&two);
	ask_in(&two, "nobody", "secret", "");
	wait_for_answer(&two, "HTTP/1.1 401 ");
	disconnect(&two);
	assert_int_equal(session.row->passwords, 3);
	disconnect(&one);
	/* up to five minutes behind that */
	pass(REMEMBERED_FOR);
	ask_in(&two, "anna", "secret", "");
	wait_for_answer(&two, "HTTP/1.1 101 ");
	assert_int_equal(session.row->passwords, 4);
	disconnect(&two);
}

/* It is noticed although nobody reads, and what it has sent before does not matter. */
static void test_who_goes_away(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "\x81\x80\0\0\0\0");
	ask_in(&two, "nobody", "secret", "");
	assert_waits(&one);
	assert_waits(&two);
	wait_until_in_line(1);
	close(one.fd);
	close(two.fd);
	pass(500);
	assert_int_equal(session.conns, 0);
	assert_int_equal(session.row->passwords_waiting, 0);
	assert_int_equal(session.row->abandoned, 2);
}

static void test_who_waits_too_long(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	pass(2800);
	assert_waits(&one);
	pass(400);
	assert_begins(&one, "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)one.got, "\nbusy: "));
	assert_non_null(strstr((char *)one.got, "\r\nRetry-After: 5\r\n"));
	disconnect(&one);
	assert_int_equal(session.conns, 0);
}

static void test_a_stop(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	session_stop(0, 0);
	turn();
	assert_begins(&one, "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)one.got, "\nshutdown: "));
	disconnect(&one);
	assert_int_equal(session.conns, 0);
}

static void test_the_end_of_all(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	ask_in(&two, "anna", "secret", "");
	assert_waits(&two);
	assert_int_equal(session_abort(), 2);
	close(one.fd);
	close(two.fd);
}

/* As if the thread had answered, which it never does. */
static void answer(struct client *k, bool right)
{
	if (right)
		remembered_add(k->conn->opening->claim.mark);
	else
		k->conn->opening->claim.denied = true;
	awaiting_answer(k->conn, REASON_NONE);
	turn();
}

/* By what is in force with the answer. */
static void test_reloads(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	answer(&one, true);
	assert_begins(&one, "HTTP/1.1 101 ");
	disconnect(&one);
	/* another line of hers is another question, whatever is answered about the old one */
	ask_in(&one, "anna", "other", "");
	reload_worker(guarded("anna:" OTHER "\n", ""), NULL);
	make_endless();
	turn();
	assert_waits(&one);
	answer(&one, true);
	assert_waits(&one);
	reload_worker(guarded(ANNA, ""), NULL);
	make_endless();
	remembered_fini();
	answer(&one, false);
	assert_waits(&one);
	answer(&one, false);
	assert_begins(&one, "HTTP/1.1 401 ");
	disconnect(&one);
	/* nobody is asked any more, and nobody is known */
	ask_in(&one, "anna", "other", "");
	assert_waits(&one);
	reload_worker("endpoints = ( { path = \"/a\"; behaviour = \"echo\"; } );", NULL);
	answer(&one, false);
	assert_begins(&one, "HTTP/1.1 101 ");
	assert_null(conn_user(one.conn));
	disconnect(&one);
	/* the endpoint is gone */
	reload_worker(guarded(ANNA, ""), NULL);
	make_endless();
	turn();
	ask_in(&one, "anna", "third", "");
	assert_waits(&one);
	reload_worker("endpoints = ( { path = \"/b\"; behaviour = \"echo\"; } );", NULL);
	answer(&one, true);
	assert_begins(&one, "HTTP/1.1 404 ");
	disconnect(&one);
}

/* An answer for who is gone, timed out or refused is nobody's. */
static void test_a_late_answer(void **state)
{
	enum reason why;

	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	assert_ptr_equal(awaiting_find(one.conn->opening->awaited.id), one.conn);
	awaiting_answer(one.conn, REASON_NONE);
	conn_kill(one.conn, REASON_RESET);
	assert_null(awaiting_next(&why));
	assert_false(awaiting_some_answered());
	close(one.fd);
	turn();
	ask_in(&one, "anna", "secret", "");
	awaiting_answer(one.conn, REASON_BUSY);
	turn();
	assert_begins(&one, "HTTP/1.1 503 ");
	assert_null(awaiting_find(1));
	disconnect(&one);
}

static void test_too_many(void **state)
{
	(void)state;
	begin();
	make_endless();
	ask_in(&one, "anna", "secret", "");
	wait_until_in_line(0);
	for (int i = 0; i < FAIR_MOST_OF_ONE; i++)
		ask_in(&crowd[i], "anna", "secret", "");
	wait_until_in_line(FAIR_MOST_OF_ONE);
	ask_in(&two, "anna", "secret", "");
	assert_begins(&two, "HTTP/1.1 503 ");
	assert_non_null(strstr((char *)two.got, "\nbusy: "));
	disconnect(&one);
	disconnect(&two);
	for (int i = 0; i < FAIR_MOST_OF_ONE; i++)
		disconnect(&crowd[i]);
	pass(500);
	assert_int_equal(session.conns, 0);
}

/* Returns whether the nth piece of memory that is asked for was missing. */
static bool ask_without(unsigned n)
{
	bool failed;

	connect_client(&one);
	failing_nth(n);
	say_for(&one, "anna", "secret", "");
	failed = failing_end();
	if (!failed)
		assert_waits(&one);
	else
		assert_true(!lives(&one) || one.conn->state_now != CONN_ADMIT);
	if (hear(&one) || one.len > 0)
		assert_true(failed && (one.len == 0 || memcmp(one.got, "HTTP/1.1 503 ", 13) == 0));
	disconnect(&one);
	pass(500);
	assert_int_equal(session.conns, 0);
	return failed;
}

/* Nobody waits for what does not come. */
static void test_without_memory(void **state)
{
	unsigned n;

	(void)state;
	begin();
	make_endless();
	/* at first there is no thread, and with it there are two */
	for (n = 1; ask_without(n); n++)
		;
	assert_true(n > 2);
	for (n = 1; ask_without(n); n++)
		;
	assert_int_equal(n, 3);
}

/* --- what is remembered --- */

static void make_mark(uint32_t n, uint8_t mark[REMEMBERED_MARK])
{
	char name[16];
	static const uint8_t line[CONFIG_TOKEN_HASH];

	snprintf(name, sizeof(name), "u%u", n);
	assert_true(remembered_mark(line, name, "secret", mark));
}

static void test_marks(void **state)
{
	static const uint8_t line[2][CONFIG_TOKEN_HASH] = { { 1 }, { 2 } };
	static const struct {
		int line;
		const char *user, *password;
	} rows[] = {
		{ 0, "a", "b" }, { 1, "a", "b" }, { 0, "ab", "" }, { 0, "", "ab" }, { 0, "a", "bb" }
	};
	uint8_t marks[5][REMEMBERED_MARK], again[REMEMBERED_MARK];

	(void)state;
	begin();
	for (int i = 0; i < 5; i++) {
		assert_true(remembered_mark(line[rows[i].line], rows[i].user, rows[i].password,
					    marks[i]));
		assert_true(
			remembered_mark(line[rows[i].line], rows[i].user, rows[i].password, again));
		assert_memory_equal(marks[i], again, sizeof(again));
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(marks[i], marks[k], sizeof(again));
	}
	assert_false(remembered_has(marks[0]));
	remembered_add(marks[0]);
	remembered_add(marks[0]);
	assert_true(remembered_has(marks[0]));
	assert_false(remembered_has(marks[1]));
}

/* However many come, it is bounded, and who came last is not who goes. */
static void test_many_marks(void **state)
{
	enum { MANY = 3 * REMEMBERED_MOST };
	uint8_t mark[REMEMBERED_MARK];
	unsigned known = 0;

	(void)state;
	begin();
	for (uint32_t i = 0; i < MANY; i++) {
		make_mark(i, mark);
		remembered_add(mark);
		assert_true(remembered_has(mark));
		session.now += i % 100 == 0;
	}
	for (uint32_t i = 0; i < MANY; i++) {
		make_mark(i, mark);
		known += remembered_has(mark);
		assert_true(i < MANY - 100 || remembered_has(mark));
	}
	assert_true(known <= REMEMBERED_MOST && known > REMEMBERED_MOST / 2);
	session.now += REMEMBERED_FOR / SESSION_TICK;
	assert_false(remembered_has(mark));
}

#define TEST(name) cmocka_unit_test_teardown(name, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in_and_out),    TEST(test_who_goes_away),  TEST(test_who_waits_too_long),
		TEST(test_a_stop),        TEST(test_the_end_of_all), TEST(test_reloads),
		TEST(test_a_late_answer), TEST(test_too_many),       TEST(test_marks),
		TEST(test_many_marks),    TEST(test_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
