/*
 * Text that is to be JSON: the behaviour gets it when it has been gone through, at once or by a
 * slice in each turn; whatever happens in between, nothing is lost, kept or in another place.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "config/key.h"
#include "session/verdict.h"
#include "session/worker.h"

/* SLICE: as of input.c. */
enum {
	SHORT = 32 * 1024,
	SLICE = 16 * 1024,
	SLICES = 10,
	LONG = SLICES * SLICE - 100,
	STREAM_MAX = 4 * LONG
};

#define ZIP "Sec-WebSocket-Extensions: permessage-deflate\r\n"

struct puppet_opts {
	char *member;
};

static const struct config_key puppet_keys[] = {
	{ .name = "member",
	  .type = CONFIG_STRING,
	  .offset = offsetof(struct puppet_opts, member),
	  .preset = "a" },
	{ 0 },
};

/* Told as it is; but "c" closes. */
static bool puppet_message(struct conn *c, const void *opts, void *state,
			   const struct ws_message *m, struct verdict *v)
{
	(void)opts;
	(void)state;
	if (m->len == 1 && *m->data == 'c')
		return verdict_close(v, 4000, REASON_DONE, "bye", 3);
	conn_send(c, m->opcode, "m:", 2, m->data, m->len < 10 ? m->len : 10);
	return true;
}

static const char *puppet_member(const void *opts)
{
	const struct puppet_opts *o = opts;

	return strcmp(o->member, "none") == 0 ? NULL : o->member;
}

/* The member, or where the text is wrong; and how long it is. "close" closes. */
static bool puppet_json(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			const struct json_scan *found, struct verdict *v)
{
	char shown[32], text[80];
	int n;

	(void)opts;
	(void)state;
	assert_int_equal(m->opcode, WS_TEXT);
	json_show(&found->value, shown, sizeof(shown));
	if (strcmp(shown, "close") == 0)
		return verdict_close(v, 4001, REASON_DONE, "bye", 3);
	if (found->error.text)
		n = snprintf(text, sizeof(text), "%u:%u", found->error.line, found->error.column);
	else
		n = snprintf(text, sizeof(text), "%s %zu", shown, m->len);
	conn_send(c, WS_TEXT, NULL, 0, text, (size_t)n);
	return true;
}

static const struct behaviour puppet = {
	.name = "puppet",
	.keys = puppet_keys,
	.opts_size = sizeof(struct puppet_opts),
	.message = puppet_message,
	.json_member = puppet_member,
	.json = puppet_json,
};
static const struct behaviour *const all[] = { &puppet, NULL };

static struct client a, b;
static char text[LONG + 1];
static uint8_t stream[STREAM_MAX];
static size_t stream_len;

#define SETTINGS(member, more)                                                                     \
	"max_message = \"1M\"; close_timeout = \"60s\"; access_log = false; " more                 \
	"endpoints = ( { path = \"/\"; behaviour = \"puppet\"; member = \"" member "\";\n"         \
	"  compression = { enabled = true; }; } );\n"

static int begin(void **state)
{
	(void)state;
	stream_len = 0;
	worker_begin(SETTINGS("a", "ping_interval = \"0\"; idle_timeout = \"0\";"), all);
	return 0;
}

static int begin_timers(void **state)
{
	(void)state;
	stream_len = 0;
	worker_begin(SETTINGS("a", "ping_interval = \"30s\"; ping_timeout = \"5s\"; "
				   "idle_timeout = \"40s\";"),
		     all);
	return 0;
}

static int end(void **state)
{
	worker_teardown(state);
	assert_int_equal(account_bytes, 0);
	return 0;
}

/* Of so many bytes, with "a" at its beginning, "b" at its end, and what follows behind that. */
static const char *make_text(size_t len, const char *first, const char *last, const char *end)
{
	int n = snprintf(text, sizeof(text), "{\"a\":%s,\n\"x\":[", first);

	memset(text + n, ' ', len - (size_t)n);
	snprintf(text + len - 40, 41, "%*s", 40, "");
	snprintf(text + len - 40, 41, "],\"b\":%s}%s", last, end);
	for (size_t i = strlen(text); i < len; i++)
		text[i] = ' ';
	text[len] = '\0';
	return text;
}

static void put(uint8_t first, const void *data, size_t len)
{
	uint8_t *p = stream + stream_len;

	assert_true(stream_len + len + 14 <= sizeof(stream));
	if (len < 65536) {
		stream_len += client_frame(p, first, data, len);
		return;
	}
	p[0] = first;
	p[1] = 0x80 | 127;
	for (int i = 0; i < 8; i++)
		p[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
	memset(p + 10, 0, 4);
	memcpy(p + 14, data, len);
	stream_len += 14 + len;
}

/* What was put is there to be read in one go. */
static void send_stream(struct client *k)
{
	int size = 1 << 20;

	assert_int_equal(setsockopt(k->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(write(k->fd, stream, stream_len), (ssize_t)stream_len);
	stream_len = 0;
}

static void upgrade_plain(struct client *k)
{
	upgrade(k, REQUEST("/") "\r\n");
}

static void short_turns(void)
{
	for (int i = 0; i < 8 * SLICES; i++)
		turn_short(1);
}

/* Short turns up to its answer; in each of them, behind the one that reads, b is answered. */
static int turns_until_answered(const char *answer)
{
	int turns = 1;

	a.len = 0;
	for (turn_short(1), hear(&a); a.len == 0; hear(&a), turns++) {
		assert_true(turns < 100);
		assert_true(account_bytes > 0);
		assert_int_equal(write(b.fd, "\x82\x82\0\0\0\0hi", 8), 8);
		turn_short(1);
		ASSERT_HEARD(&b, "\x82\x04m:hi");
	}
	assert_heard(&a, answer, strlen(answer));
	return turns;
}

/* a has said a long one, and what is behind it; so many slices of it are done. */
static void let_it_wait(const char *long_text, int slices)
{
	upgrade_plain(&a);
	put(0x81, long_text, strlen(long_text));
	put(0x82, "behind", 6);
	put(0x88, "\x0f\xa1", 2);
	send_stream(&a);
	for (int i = 0; i < slices; i++)
		assert_true(turn_short(1));
	assert_true(a.conn->parked);
	assert_true(account_bytes >= LONG);
	ASSERT_HEARD(&a, "");
}

/* A short one needs no memory, no queue, and not another turn. */
static void test_short_at_once(void **state)
{
	char answer[32];

	(void)state;
	upgrade_plain(&a);
	put(0x81, make_text(SHORT, "1", "2", ""), SHORT);
	put(0x81, "{\"a\":[3]}", 9);
	send_stream(&a);
	turn_short(100 * TURN_STEP);
	assert_false(a.conn->parked);
	assert_null(a.conn->extra);
	assert_int_equal(account_bytes, 0);
	snprintf(answer, sizeof(answer),
		 "\x81\x07"
		 "1 %d\x81\x05[3] 9",
		 SHORT);
	assert_heard(&a, answer, strlen(answer));
	disconnect(&a);
}

/* Wherever it lies when it has come: in the input, in the decoder, in what was inflated. */
static void put_whole(size_t len)
{
	put(0x81, text, len);
}

static void put_fragments(size_t len)
{
	put(0x01, text, 1000);
	put(0x80, text + 1000, len - 1000);
}

static void put_compressed(size_t len)
{
	struct deflater *d = deflater_new(6, 8, 15);
	struct deflate_part part = { text, len };
	struct buffer z = { 0 };

	assert_true(deflater_message(d, &part, 1, &z));
	put(0xc1, z.p, z.len);
	buffer_free(&z);
	deflater_free(d);
}

static void check_long(void (*put_text)(size_t len), const char *request, int most)
{
	char answer[48];

	upgrade(&a, request);
	upgrade_plain(&b);
	make_text(LONG, "1", "2", "");
	put_text(LONG);
	put(0x81, "[]", 2);
	send_stream(&a);
	snprintf(answer, sizeof(answer),
		 "\x81\x08"
		 "1 %d\x81\x06null 2",
		 LONG);
	assert_in_range(turns_until_answered(answer), SLICES, most);
	assert_false(a.conn->parked);
	assert_int_equal(account_bytes, 0);
	disconnect(&a);
	disconnect(&b);
}

static void test_long_in_slices(void **state)
{
	(void)state;
	check_long(put_whole, REQUEST("/") "\r\n", SLICES);
	check_long(put_fragments, REQUEST("/") "\r\n", SLICES);
	check_long(put_compressed, REQUEST("/") ZIP "\r\n", SLICES + 5);
}

/* Several in a row, and whatever is between. */
static void test_one_behind_the_other(void **state)
{
	(void)state;
	upgrade_plain(&a);
	put(0x81, make_text(SHORT + 1, "1", "2", ""), SHORT + 1);
	put(0x82, "between", 7);
	put(0x81, make_text(2 * SHORT + 1, "3", "2", ""), 2 * SHORT + 1);
	put(0x81, "{", 1);
	send_stream(&a);
	short_turns();
	ASSERT_HEARD(&a, "\x81\x07"
			 "1 32769\x82\x09m:between\x81\x07"
			 "3 65537\x81\x03"
			 "1:2");
	disconnect(&a);
}

static void test_what_is_wrong(void **state)
{
	(void)state;
	upgrade_plain(&a);
	put(0x81, make_text(LONG, "1", "x", ""), LONG);
	put(0x81, make_text(LONG, "1", "2", "!"), LONG);
	put(0x81, make_text(LONG, "'", "2", ""), LONG);
	send_stream(&a);
	short_turns();
	hear(&a);
	assert_int_equal(a.len, 2 * 10 + 5);
	assert_memory_equal(a.got,
			    "\x81\x08"
			    "2:163699\x81\x08"
			    "2:163701\x81\x03"
			    "1:6",
			    25);
	disconnect(&a);
}

static void test_it_closes(void **state)
{
	(void)state;
	upgrade_plain(&a);
	put(0x81, make_text(LONG, "\"close\"", "2", ""), LONG);
	put(0x81, make_text(LONG, "1", "2", ""), LONG);
	send_stream(&a);
	short_turns();
	ASSERT_HEARD(&a, "\x88\x05\x0f\xa1"
			 "bye");
	assert_int_equal(a.conn->state_now, CONN_CLOSING);
	assert_int_equal(account_bytes, 0);
	disconnect(&a);
}

/* --- between two slices --- */

/* Nothing more is read from it, and what was said comes in its order. */
static void test_it_is_not_read_from(void **state)
{
	uint64_t had;

	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 2);
	had = a.conn->bytes_in;
	assert_int_equal(write(a.fd, "more", 4), 4);
	turn_short(1);
	assert_int_equal(a.conn->bytes_in, had);
	turn();
	ASSERT_HEARD(&a, "\x81\x08"
			 "1 163740\x82\x08m:behind\x88\x02\x0f\xa1");
	assert_int_equal(a.conn->reason, REASON_PEER_CLOSED);
	disconnect(&a);
}

static void test_end(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 2);
	conn_kill(a.conn, REASON_RESET);
	assert_int_equal(account_bytes, 0);
	assert_false(turn_once());
	assert_int_equal(session.conns, 0);
	close(a.fd);
	let_it_wait(make_text(LONG, "1", "2", ""), 3);
	assert_int_equal(session_abort(), 1);
	assert_int_equal(account_bytes, 0);
	close(a.fd);
}

/* Ours goes out at once; the text is of no interest any more, the peer's close frame is. */
static void test_stop(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 2);
	session_stop(0, 0);
	end_turn(0);
	assert_int_equal(a.conn->state_now, CONN_CLOSING);
	assert_true(account_bytes < 100);
	turn();
	assert_int_equal(a.conn->state_now, CONN_ENDING);
	ASSERT_HEARD(&a, "\x88\x0a\x03\xe9shutdown");
	disconnect(&a);
}

/* It begins anew, for what is looked for is another. */
static void test_reload(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 2);
	reload_worker(SETTINGS("b", ""), all);
	end_turn(0);
	assert_reloaded(1, 0);
	ASSERT_HEARD(&a, "\x81\x08"
			 "2 163740\x82\x08m:behind\x88\x02\x0f\xa1");
	disconnect(&a);
	reload_worker(SETTINGS("a", ""), all);
	turn();
	let_it_wait(make_text(LONG, "1", "2", ""), 2);
	/* or is not to be looked for at all */
	reload_worker(SETTINGS("none", ""), all);
	end_turn(0);
	assert_reloaded(1, 0);
	ASSERT_HEARD(&a, "\x81\x0c"
			 "m:{\"a\":1,\n\"x\x82\x08m:behind\x88\x02\x0f\xa1");
	disconnect(&a);
}

/* A second reload has brought back what it began with: it begins anew all the same. */
static void test_two_reloads(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 1);
	reload_worker(SETTINGS("b", ""), all);
	while (!reloaded.times)
		end_turn(0);
	reload_worker(SETTINGS("a", ""), all);
	end_turn(0);
	assert_reloaded(1, 0);
	ASSERT_HEARD(&a, "\x81\x08"
			 "1 163740\x82\x08m:behind\x88\x02\x0f\xa1");
	disconnect(&a);
}

/* It counts among what is kept, and is what goes where that is too much. */
static void test_memory(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 1);
	assert_true(park_bytes(a.conn) >= LONG);
	session.config->max_memory = LONG / 2;
	this_turn.credit = TURN_STEP;
	conn_relieve();
	turn();
	assert_int_equal(a.conn->reason, REASON_MEMORY_PRESSURE);
	assert_int_equal(a.conn->code, WS_CLOSE_TRY_AGAIN);
	assert_int_equal(account_bytes, 0);
	disconnect(&a);
}

/* Also where it was little that came: it is long when it is inflated. */
static void test_memory_of_few_bytes(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") ZIP "\r\n");
	put(0x82, "ahead", 5);
	make_text(SHORT + 8000, "1", "2", "");
	put_compressed(SHORT + 8000);
	send_stream(&a);
	for (int i = 0; i < 2; i++)
		turn_short(1);
	assert_true(account_bytes >= SHORT);
	session.config->max_memory = SHORT / 2;
	this_turn.credit = TURN_STEP;
	conn_relieve();
	turn();
	assert_int_equal(a.conn->reason, REASON_MEMORY_PRESSURE);
	disconnect(&a);
}

/* Its silence is ours, be it by ping_timeout or idle_timeout. */
static void test_time(void **state)
{
	(void)state;
	let_it_wait(make_text(LONG, "1", "2", ""), 1);
	for (int i = 0; i < 1000; i++) {
		session.now++;
		conn_timer(a.conn);
	}
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	turn_short(1);
	conn_timer(a.conn);
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	turn();
	assert_int_equal(a.conn->reason, REASON_PEER_CLOSED);
	disconnect(&a);
}

/* Many of them go on by turns, a slice for each. */
static void test_by_turns(void **state)
{
	const struct conn_text *t[2];
	ptrdiff_t at;
	struct client *k[2] = { &a, &b };

	(void)state;
	for (int i = 0; i < 2; i++)
		upgrade_plain(k[i]);
	for (int i = 0; i < 2; i++) {
		put(0x81, make_text(LONG, "1", "2", ""), LONG);
		send_stream(k[i]);
	}
	for (int i = 0; i < 2 * SLICES - 2; i++) {
		assert_true(turn_short(1));
		if (!a.conn->parked || !b.conn->parked)
			continue;
		for (int j = 0; j < 2; j++)
			t[j] = park_text_of(k[j]->conn);
		at = (t[0]->scan.p - t[0]->bytes.p) - (t[1]->scan.p - t[1]->bytes.p);
		assert_in_range(at + 2 * SLICE + 8, 0, 4 * SLICE + 16);
	}
	turn();
	for (int i = 0; i < 2; i++) {
		ASSERT_HEARD(k[i], "\x81\x08"
				   "1 163740");
		disconnect(k[i]);
	}
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)
#define TEST_TIME(t) cmocka_unit_test_setup_teardown(t, begin_timers, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_short_at_once),
		TEST(test_long_in_slices),
		TEST(test_one_behind_the_other),
		TEST(test_what_is_wrong),
		TEST(test_it_closes),
		TEST(test_it_is_not_read_from),
		TEST(test_end),
		TEST(test_stop),
		TEST(test_reload),
		TEST(test_two_reloads),
		TEST(test_memory),
		TEST(test_memory_of_few_bytes),
		TEST_TIME(test_time),
		TEST(test_by_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
