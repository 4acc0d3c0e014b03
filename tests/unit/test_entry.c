// links: base proto bus config net session behaviours
/*
 * entry.c: of each kind so many entries at once, then a number: how many more there were, in what
 * time, and from how many addresses.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"

enum { LOG_MAX = 4 * 1024 * 1024 };

static char path[] = "/ws";
static const struct config_endpoint endpoint = { .path = path };

/* --- what is written --- */

static int file;
static char log_text[LOG_MAX];

/* What the log was told since the last time. */
static unsigned addresses; /* that come */

/* Two of a few addresses share a bit in one of some hundred runs (base/distinct): then one less is told. */
static void expect_one_less(char *log)
{
	static const char words[] = ", from about ";
	char *at = strstr(log, words);

	if (at && at[sizeof(words) - 1] == (char)('0' + addresses - 1))
		at[sizeof(words) - 1]++;
}

static const char *written(void)
{
	ssize_t n = pread(file, log_text, sizeof(log_text) - 1, 0);

	assert_true(n >= 0 && n < LOG_MAX - 1);
	log_text[n] = '\0';
	assert_int_equal(ftruncate(file, 0), 0);
	expect_one_less(log_text);
	return log_text;
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word)) != NULL) {
		text += strlen(word);
		n++;
	}
	return n;
}

static int set_up(void **state)
{
	char name[] = "/tmp/test_entry.XXXXXX";

	(void)state;
	file = mkstemp(name);
	if (file < 0)
		return -1;
	unlink(name);
	fcntl(file, F_SETFL, O_APPEND);
	log_set_time(LOG_TIME_NEVER);
	log_set_level(LOG_DEBUG);
	return 0;
}

/* The log goes to standard error, the outcome of the test to where that was. */
static void during(void (*fn)(struct conn *c), struct conn *c)
{
	int before = dup(STDERR_FILENO);

	fflush(stderr);
	dup2(file, STDERR_FILENO);
	fn(c);
	dup2(before, STDERR_FILENO);
	close(before);
}

/* --- each kind --- */

static void opened(struct conn *c)
{
	entry_opened(c);
}

static void closed(struct conn *c)
{
	c->reason = REASON_PEER_CLOSED;
	entry_closed(c);
}

static void closed_by_fault(struct conn *c)
{
	c->reason = REASON_PROTOCOL_ERROR;
	entry_closed(c);
}

static void refused(struct conn *c)
{
	entry_refused(c, REASON_NOT_FOUND, 404, "/none", NULL);
}

static void failed_early(struct conn *c)
{
	entry_refused(c, REASON_TLS_HANDSHAKE, 0, NULL, "TLS handshake failed: x");
}

static void dropping(struct conn *c)
{
	entry_dropping(c);
}

static void moves(struct conn *c)
{
	entry_move(c, "TLS", "UPGRADE");
}

static void does_the_impossible(struct conn *c)
{
	entry_impossible(c, "DEAD", "OPEN");
}

/* Without memory of its own: of all connections, then. */
static void says(struct conn *c)
{
	c->state_now = CONN_DEAD;
	conn_log(c, "Received JSON: x");
	c->state_now = CONN_OPEN;
}

static const struct kind {
	void (*tell)(struct conn *c);
	const char *word, *level, *what;
	unsigned burst;
} kinds[] = {
	{ opened, "opened /ws", "info", "connections that opened or closed", 10000 },
	{ closed, "closed /ws", "info", "connections that opened or closed", 10000 },
	{ closed_by_fault, "closed /ws", "notice",
	  "connections that closed by a fault or miss messages", 10000 },
	{ dropping, "dropping messages", "notice",
	  "connections that closed by a fault or miss messages", 10000 },
	{ refused, "event=conn-refused", "info", "refusals and failed handshakes", 200 },
	{ failed_early, "event=conn-refused", "info", "refusals and failed handshakes", 200 },
	{ says, "Received JSON", "info", "lines of behaviours", 10000 },
	{ moves, "TLS -> UPGRADE", "debug", "changes of connections' states", 10000 },
	{ does_the_impossible, "please report", "error",
	  "impossible changes of connections' states", 20 },
};

static const struct kind *kind;
static unsigned wanted;

static void flood(struct conn *c)
{
	for (unsigned i = 0; i < wanted; i++) {
		c->peer.address[2] = (uint8_t)(i % addresses);
		kind->tell(c);
	}
}

static void tick(struct conn *c)
{
	(void)c;
	session.now += 20; /* two seconds */
	entry_tick();
}

/* Until all buckets are full again. */
static void rest(struct conn *c)
{
	session.now += 2000;
	tick(c);
}

static struct conn somebody(uint8_t family)
{
	return (struct conn){
		.endpoint = &endpoint,
		.state_now = CONN_OPEN,
		.peer = { .family = family, .port = 4711, .address = { 192, 0, 0, 1 } }
	};
}

static void check_kind(uint8_t family, unsigned from, const char *whence)
{
	struct conn c = somebody(family);
	char expected[200];
	const char *log;

	during(rest, &c);
	written();
	wanted = kind->burst + 300;
	addresses = from;
	during(flood, &c);
	log = written();
	assert_int_equal(count(log, kind->word), kind->burst);
	assert_int_equal(count(log, "suppressed"), 0);
	during(tick, &c);
	log = written();
	snprintf(expected, sizeof(expected),
		 "ignyxd[master]: %s: 300 more suppressed in 2.0 s%s: %s event=log-suppressed\n",
		 kind->level, whence, kind->what);
	assert_string_equal(log, expected);
	/* once, and those who come later are heard again */
	during(tick, &c);
	assert_string_equal(written(), "");
	wanted = 1;
	during(flood, &c);
	assert_int_equal(count(written(), kind->word), 1);
}

static void test_each_kind(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		kind = &kinds[i];
		/* a bucket that is slow to fill again tells later */
		if (kind->burst == 20)
			continue;
		check_kind(AF_INET, 3, ", from about 3 addresses");
	}
}

static void test_a_slow_one(void **state)
{
	struct conn c = somebody(AF_INET);

	(void)state;
	kind = &kinds[sizeof(kinds) / sizeof(*kinds) - 1];
	wanted = 50;
	addresses = 1;
	during(rest, &c);
	written();
	during(flood, &c);
	assert_int_equal(count(written(), kind->word), 20);
	session.now += 10;
	during(flood, &c);
	assert_string_equal(written(), "");
	during(tick, &c);
	assert_non_null(strstr(written(), "error: 80 more suppressed in 3.0 s, from one address: "
					  "impossible"));
}

static void test_who_the_others_were(void **state)
{
	(void)state;
	kind = &kinds[4];
	check_kind(AF_INET, 1, ", from one address");
	/* of one network of /64 */
	check_kind(AF_INET6, 1, ", from one address");
	check_kind(AF_UNIX, 1, "");
}

/* As many hosts of one IPv6 network as one has. */
static void flood_of_one_network(struct conn *c)
{
	for (unsigned i = 0; i < 500; i++) {
		c->peer.address[14] = (uint8_t)(i >> 8);
		c->peer.address[15] = (uint8_t)i;
		refused(c);
	}
}

static void test_a_network_is_one(void **state)
{
	struct conn c = somebody(AF_INET6);

	(void)state;
	during(rest, &c);
	written();
	during(flood_of_one_network, &c);
	written();
	during(tick, &c);
	assert_non_null(
		strstr(written(), "300 more suppressed in 2.0 s, from one address: refusals"));
}

/* What was told is not told again with the next number. */
static void test_each_number_has_its_own(void **state)
{
	struct conn c = somebody(AF_INET);

	(void)state;
	kind = &kinds[4];
	wanted = 600;
	during(rest, &c);
	during(flood, &c);
	addresses = 5;
	during(tick, &c);
	during(flood, &c);
	written();
	during(tick, &c);
	assert_non_null(strstr(written(), ", from about 5 addresses"));
	addresses = 1;
	during(flood, &c);
	during(tick, &c);
	assert_non_null(strstr(written(), ", from one address"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind),
		cmocka_unit_test(test_a_slow_one),
		cmocka_unit_test(test_who_the_others_were),
		cmocka_unit_test(test_a_network_is_one),
		cmocka_unit_test(test_each_number_has_its_own),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
