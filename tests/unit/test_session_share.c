/*
 * What one client sends holds no turn longer than its share, and nothing of it is lost or changes
 * place for that. Nothing is measured here: a turn is over as soon as so much work is charged.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "base/counted.h"
#include "session/worker.h"
#include "session/verdict.h"

enum { MANY = 12, STREAM_MAX = 400 * 1024, HEAVY = 9000 };

#define ZIP "Sec-WebSocket-Extensions: permessage-deflate\r\n"

/* Comes back; but "c" closes, and of zeroes only the number is told. */
static bool puppet_message(struct conn *c, const void *opts, void *state,
			   const struct ws_message *m, struct verdict *v)
{
	(void)opts;
	(void)state;
	if (m->len == 1 && *m->data == 'c')
		return verdict_close(v, 4000, REASON_DONE, "bye", 3);
	if (m->len > 0 && *m->data == 0)
		conn_send(c, WS_BINARY, NULL, 0, &m->len, 4);
	else
		conn_send_back(c, m);
	return true;
}

static const struct behaviour puppet = { .name = "puppet", .message = puppet_message };
static const struct behaviour *const all[] = { &puppet, NULL };

static struct client a, many[MANY];

/* What the client says. */
static struct {
	size_t len;
	uint8_t bytes[STREAM_MAX];
} stream;

/* What it is told, each time. */
static uint8_t told[2][GOT_MAX];

static int begin_with(const char *timers)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "%s max_message = \"64K\"; max_pending = \"1M\"; close_timeout = \"60s\";\n"
		 "access_log = false; endpoints = ( { path = \"/\"; behaviour = \"puppet\"; },\n"
		 "  { path = \"/long\"; behaviour = \"puppet\"; max_message = \"1M\"; },\n"
		 "  { path = \"/zip\"; behaviour = \"puppet\";\n"
		 "    compression = { enabled = true; threshold = \"1M\"; client_context_takeover "
		 "= true; }; },\n"
		 "  { path = \"/zipped\"; behaviour = \"puppet\"; compression = { enabled = true; "
		 "}; } );\n",
		 timers);
	worker_begin(text, all);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with("ping_interval = \"0\"; idle_timeout = \"0\"; message_timeout = \"0\";");
}

static int begin_timers(void **state)
{
	(void)state;
	return begin_with("ping_interval = \"30s\"; ping_timeout = \"5s\"; idle_timeout = \"40s\";"
			  "message_timeout = \"20s\";");
}

static void put_frame(uint8_t first, const void *data, size_t len)
{
	assert_true(stream.len + len + 14 <= sizeof(stream.bytes));
	stream.len += client_frame(stream.bytes + stream.len, first, data, len);
}

/* n short messages, each of which tells its number. */
static void put_numbers(int n)
{
	stream.len = 0;
	for (int i = 0; i < n; i++) {
		char text[8];

		put_frame(0x81, text, (size_t)snprintf(text, sizeof(text), "%06d", i));
	}
}

/* As much as the socket takes. */
static size_t write_some(struct client *k, size_t at, size_t most)
{
	size_t left = stream.len - at;
	ssize_t n = write(k->fd, stream.bytes + at, left < most ? left : most);

	return n > 0 ? (size_t)n : 0;
}

static void write_all(struct client *k)
{
	int size = 1 << 20;

	assert_int_equal(setsockopt(k->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	assert_int_equal(write_some(k, 0, SIZE_MAX), stream.len);
}

static bool waits(const struct client *k)
{
	return k->conn->parked;
}

/* --- order --- */

static unsigned seed;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

static void put_fragments(const uint8_t *data)
{
	size_t n = pick(2000);

	put_frame(0x01, data, n);
	if (pick(2))
		put_frame(0x89, "between", 7);
	put_frame(0x00, data, pick(3000));
	put_frame(0x80, data, pick(300));
}

static struct deflater *deflater;

/* A compressed message, perhaps in two frames, that refers to those before. */
static void put_compressed(uint8_t opcode, const uint8_t *data, size_t len, bool split)
{
	struct deflate_part part = { data, len };
	struct buffer z = { 0 };
	size_t first = split ? 1 + pick(10) : 0;

	assert_true(deflater_message(deflater, &part, 1, &z));
	if (first > 0 && first < z.len) {
		put_frame(0x40 | opcode, z.p, first);
		put_frame(0x89, "between", 7);
		put_frame(0x80, z.p + first, z.len - first);
	} else {
		put_frame(0xc0 | opcode, z.p, z.len);
	}
	buffer_free(&z);
}

static void put_something(const uint8_t *data)
{
	switch (pick(deflater ? 11 : 8)) {
	case 8:
	case 9:
		put_compressed(1, data + pick(100), pick(60000), pick(2));
		break;
	case 10:
		put_compressed(2, told[0] + pick(30000), pick(30000), pick(2));
		break;
	case 0:
		put_frame(0x82, data, pick(30000));
		break;
	case 1:
		put_frame(0x89, data, pick(126));
		break;
	case 2:
		put_fragments(data);
		break;
	case 3:
		put_frame(0x8a, "", 0);
		break;
	default:
		put_frame(0x81, data, 2 + pick(120));
	}
}

/* A bit of everything, and at the end, perhaps, a close, with something behind it. */
static void make_stream(unsigned number)
{
	static uint8_t data[65536];

	seed = number;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)('d' + i % 20);
	stream.len = 0;
	for (unsigned n = pick(deflater ? 80 : 1500); n > 0 && stream.len < STREAM_MAX - 80000; n--)
		put_something(data);
	if (pick(3) == 0)
		put_frame(0x81, "c", 1);
	if (pick(2))
		put_frame(0x88, "\x0f\xa1", 2);
	put_something(data);
}

/* Says it in pieces, and hears what comes. cut: after how much the turns are over, at random. */
static size_t converse(uint8_t *to, bool cut, bool *waited)
{
	size_t at = 0;

	upgrade(&a, deflater ? REQUEST("/zip") ZIP "\r\n" : REQUEST("/") "\r\n");
	/* which takes all: of what waits for a socket only the last pong is kept */
	steer_client(&a, 1 << 30);
	for (int quiet = 0; quiet < 4;) {
		size_t n = write_some(&a, at, 1 + pick(100000)), had = wire.len;
		bool more = cut ? turn_short(pick(30000)) : turn_once();

		at += n;
		*waited |= waits(&a);
		quiet = n > 0 || more || wire.len > had ? 0 : quiet + 1;
	}
	assert_true(wire.len > 0 && wire.len <= GOT_MAX);
	memcpy(to, wire.bytes, wire.len);
	disconnect(&a);
	assert_int_equal(session.conns, 0);
	return wire.len;
}

static void check_streams(unsigned from, unsigned to)
{
	bool waited = false, whole_waited = false;

	for (unsigned i = from; i <= to; i++) {
		size_t whole, cut;

		make_stream(i);
		whole = converse(told[0], false, &whole_waited);
		cut = converse(told[1], true, &waited);
		assert_int_equal(whole, cut);
		assert_memory_equal(told[0], told[1], whole);
	}
	assert_true(waited);
}

static void test_the_same_comes_out(void **state)
{
	(void)state;
	check_streams(1, 60);
}

static void test_the_same_comes_out_inflated(void **state)
{
	(void)state;
	for (unsigned i = 101; i <= 130; i++) {
		deflater = deflater_new(6, 8, 15);
		assert_non_null(deflater);
		check_streams(i, i);
		deflater_free(deflater);
	}
	deflater = NULL;
}

/* --- shares --- */

/* Numbers that came back, which must be the next ones. */
static int numbers_heard(struct client *k, int from)
{
	size_t at = 0;

	for (hear(k); k->len - at >= 8 && k->got[at] == 0x81; at += 8, from++) {
		char text[9];

		snprintf(text, sizeof(text), "\x81\x06%06d", from);
		assert_memory_equal(k->got + at, text, 8);
	}
	memmove(k->got, k->got + at, k->len - at);
	k->len -= at;
	return from;
}

/* All that has come is read, in a turn that is never over: each has its share, and no more. */
static void read_without_end(void)
{
	this_turn = (struct turn){ .credit = TURN_STEP, .share = UINT32_MAX };
	event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

/* A share has an end, however long the turn is. */
static void test_a_share_has_an_end(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	put_numbers(HEAVY);
	write_all(&a);
	read_without_end();
	assert_true(waits(&a));
	assert_in_range(a.conn->messages_in, 1, 3 * TURN_STEP / TURN_MESSAGE);
	turn();
	assert_int_equal(numbers_heard(&a, 0), HEAVY);
	disconnect(&a);
}

/* Who says little is answered in the same turn, however much another one has said before. */
static void test_the_light_do_not_wait_for_the_heavy(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&many[0], REQUEST("/") "\r\n");
	put_numbers(HEAVY);
	write_all(&a);
	assert_true(turn_short(TURN_STEP));
	assert_true(waits(&a));
	assert_in_range(numbers_heard(&a, 0), 1, HEAVY / 2);
	assert_int_equal(write(many[0].fd, "\x81\x82\0\0\0\0hi", 8), 8);
	assert_true(turn_short(TURN_STEP));
	ASSERT_HEARD(&many[0], "\x81\x02hi");
	assert_false(waits(&many[0]));
	assert_true(waits(&a));
	disconnect(&a);
	disconnect(&many[0]);
}

/* Two that say much go on by turns, and alone either has all of the turn. */
static void test_the_heavy_take_turns(void **state)
{
	int had[2] = { 0 };

	(void)state;
	put_numbers(HEAVY);
	for (int i = 0; i < 2; i++)
		upgrade(&many[i], REQUEST("/") "\r\n");
	for (int i = 0; i < 2; i++)
		write_all(&many[i]);
	for (int t = 0; had[0] < HEAVY && had[1] < HEAVY; t++) {
		assert_true(t < 2 * HEAVY);
		turn_short(TURN_STEP);
		for (int i = 0; i < 2; i++)
			had[i] = numbers_heard(&many[i], had[i]);
		assert_in_range(had[0] - had[1] + HEAVY / 3, 0, 2 * HEAVY / 3);
	}
	turn();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(numbers_heard(&many[i], had[i]), HEAVY);
		assert_false(waits(&many[i]));
		disconnect(&many[i]);
	}
}

/* However many sockets are readable, a turn serves some of them, and each has its turn. */
static void test_many_that_are_readable(void **state)
{
	unsigned answered = 0;

	(void)state;
	for (int i = 0; i < MANY; i++)
		upgrade(&many[i], REQUEST("/") "\r\n");
	for (int i = 0; i < MANY; i++)
		assert_int_equal(write(many[i].fd, "\x81\x81\0\0\0\0x", 7), 7);
	for (int t = 1; t <= MANY; t++) {
		assert_int_equal(turn_short(1), t < MANY);
		answered = 0;
		for (int i = 0; i < MANY; i++) {
			hear(&many[i]);
			answered += many[i].len / 3;
			assert_true(many[i].len <= 3);
		}
		assert_int_equal(answered, t);
	}
	for (int i = 0; i < MANY; i++)
		disconnect(&many[i]);
}

/* Who is not served in a turn is ahead of those who were, though these say more meanwhile. */
static void test_who_was_not_served_is_first(void **state)
{
	unsigned answers[MANY] = { 0 };

	(void)state;
	for (int i = 0; i < MANY; i++)
		upgrade(&many[i], REQUEST("/") "\r\n");
	for (int i = 0; i < MANY; i++)
		assert_int_equal(write(many[i].fd, "\x81\x81\0\0\0\0x", 7), 7);
	for (int t = 1; t <= 3 * MANY; t++) {
		assert_true(turn_short(1));
		for (int i = 0; i < MANY; i++) {
			hear(&many[i]);
			if (many[i].len == 0)
				continue;
			many[i].len = 0;
			answers[i]++;
			assert_int_equal(write(many[i].fd, "\x81\x81\0\0\0\0x", 7), 7);
		}
		for (int i = 0; i < MANY; i++)
			assert_in_range(answers[i], (t - 1) / MANY, (t + MANY - 1) / MANY);
	}
	for (int i = 0; i < MANY; i++)
		disconnect(&many[i]);
}

/* MANY say much at once, and have had a share; a has said nothing. */
static void let_many_wait(void)
{
	upgrade(&a, REQUEST("/") "\r\n");
	put_numbers(HEAVY);
	for (int i = 0; i < MANY; i++)
		upgrade(&many[i], REQUEST("/") "\r\n");
	for (int i = 0; i < MANY; i++)
		write_all(&many[i]);
	read_without_end();
	for (int i = 0; i < MANY; i++)
		assert_true(waits(&many[i]));
}

/* Some more, up to where the last of MANY was told its last. */
static void hear_many(void)
{
	for (int i = 0; i < MANY; i++) {
		turn();
		assert_false(waits(&many[i]));
		assert_int_equal(numbers_heard(&many[i], 0), HEAVY);
		disconnect(&many[i]);
	}
}

/* Who comes when the turn is over, and has had no share, is served ahead of all who had theirs. */
static void test_fresh_ones_come_first(void **state)
{
	(void)state;
	let_many_wait();
	for (int i = 0; i < 10; i++) {
		assert_int_equal(write(a.fd, "\x81\x81\0\0\0\0x\x81\x81\0\0\0\0y", 14), 14);
		turn_short(1);
		/* at the latest behind one of the others */
		if (waits(&a))
			turn_short(1);
		ASSERT_HEARD(&a, "\x81\x01x\x81\x01y");
		assert_false(waits(&a));
	}
	hear_many();
	disconnect(&a);
}

/* But who is so in each turn does not hold them up: every other share is theirs. */
static void test_fresh_ones_hold_up_nobody(void **state)
{
	int had[MANY] = { 0 }, turns = 0;

	(void)state;
	let_many_wait();
	for (int i = 0; i < MANY; i++)
		had[i] = numbers_heard(&many[i], 0);
	for (; turns < 4 * MANY; turns++) {
		assert_true(write(a.fd, "\x81\x81\0\0\0\0x\x81\x81\0\0\0\0y", 14) == 14);
		turn_short(1);
	}
	for (int i = 0; i < MANY; i++) {
		int now = numbers_heard(&many[i], had[i]);

		assert_true(now > had[i]);
		many[i].len = 0;
	}
	turn();
	for (int i = 0; i < MANY; i++)
		disconnect(&many[i]);
	disconnect(&a);
}

static size_t count_read(const struct client *k, size_t count, uint64_t bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += k[i].conn->bytes_in == bytes;
	return n;
}

static unsigned read_of_a_turn_since(struct client *crowd, int count, int64_t seen)
{
	turn();
	for (int i = 0; i < count; i++)
		assert_int_equal(write(crowd[i].fd, "\x82\x80\0\0\0\0", 6), 6);
	this_turn =
		(struct turn){ .credit = 0, .share = 0, .began = session_clock_us(), .seen = seen };
	for (int i = 0; i < count; i++)
		crowd[i].conn->bytes_in = 0;
	event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	return count_read(crowd, (size_t)count, 6);
}

/* Of all that are ready at the same time libevent is told once, and not with each turn. */
static void test_the_next_turn_begins_within_events(void **state)
{
	enum { CROWD = 40 };
	static struct client crowd[CROWD];

	(void)state;
	for (int i = 0; i < CROWD; i++)
		upgrade(&crowd[i], REQUEST("/") "\r\n");
	assert_int_equal(read_of_a_turn_since(crowd, CROWD, session_clock_us()), 1);
	session_turns_here(true);
	/* whatever time it takes here */
	assert_int_equal(read_of_a_turn_since(crowd, CROWD, session_clock_us() + 60000000), CROWD);
	/* but not for so long that nobody else is seen: the fewer are ready the less a look costs */
	assert_int_equal(read_of_a_turn_since(crowd, CROWD, session_clock_us() - 20000), 1);
	assert_int_equal(read_of_a_turn_since(crowd, CROWD, session_clock_us() - 5000), 1);
	session_turns_here(false);
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
}

/* And of many that say a lot each turn reads less from one, so that the round is as short. */
static void test_many_that_say_a_lot(void **state)
{
	enum { CROWD = 40 };
	static struct client crowd[CROWD];
	static const uint8_t zeros[50000];
	unsigned turns = 0;

	(void)state;
	stream.len = 0;
	for (int i = 0; i < 3; i++)
		put_frame(0x82, zeros, sizeof(zeros));
	for (int i = 0; i < CROWD; i++)
		upgrade(&crowd[i], REQUEST("/") "\r\n");
	for (int i = 0; i < CROWD; i++) {
		crowd[i].conn->bytes_in = 0;
		write_all(&crowd[i]);
	}
	turn_short(1);
	assert_int_equal(count_read(crowd, CROWD, stream.len), 1);
	for (; count_read(crowd, CROWD, 0) > CROWD / 2; turns++)
		turn_short(1);
	assert_in_range(turns, CROWD / 2 - 1, CROWD);
	assert_in_range(count_read(crowd, CROWD, stream.len), 1, CROWD / 4);
	/* one, if the machine does not take its time */
	for (int i = 0; i < 100 && count_read(crowd, CROWD, stream.len) < CROWD; i++)
		turn();
	assert_int_equal(count_read(crowd, CROWD, stream.len), CROWD);
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
}

/* They do not stand ahead of who says little, however many they are; and he does not hold them up. */
static void test_who_says_little_does_not_wait_for_them(void **state)
{
	enum { CROWD = 40 };
	static struct client crowd[CROWD];
	static const uint8_t zeros[50000];
	unsigned turns = 0;

	(void)state;
	stream.len = 0;
	for (int i = 0; i < 7; i++)
		put_frame(0x82, zeros, sizeof(zeros));
	upgrade(&a, REQUEST("/") "\r\n");
	say_bytes(&a, "\x81\x82\0\0\0\0hi", 8);
	ASSERT_HEARD(&a, "\x81\x02hi");
	for (int i = 0; i < CROWD; i++)
		upgrade(&crowd[i], REQUEST("/") "\r\n");
	for (int i = 0; i < CROWD; i++) {
		crowd[i].conn->bytes_in = 0;
		write_all(&crowd[i]);
	}
	do
		turn_short(1);
	while (count_read(crowd, CROWD, 0) > 0);
	/* enough for all to be seen to have more */
	do
		turn_short(CROWD * TURN_CALL);
	while (event_base_get_num_events(worker.base, EVENT_BASE_COUNT_ACTIVE) > 0);
	for (; count_read(crowd, CROWD, stream.len) < CROWD; turns++) {
		assert_int_equal(write(a.fd, "\x81\x82\0\0\0\0hi", 8), 8);
		turn_short(TURN_STEP);
		hear(&a);
		/* that it is crowded may have been seen in this one only */
		if (a.len == 0)
			turn_short(TURN_STEP);
		ASSERT_HEARD(&a, "\x81\x02hi");
	}
	assert_in_range(turns, CROWD / 4, 8 * CROWD);
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
	disconnect(&a);
}

/* Nor do those of whom little comes at a time, if it is of what is long: it may be slow to be kept. */
static void test_who_says_little_does_not_wait_for_what_is_long(void **state)
{
	enum { CROWD = 40, FIRST = WS_SPACE_MIN + 100, MORE = 20000 };
	static struct client crowd[CROWD];
	static const uint8_t zeros[100000];

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	say_bytes(&a, "\x81\x82\0\0\0\0hi", 8);
	ASSERT_HEARD(&a, "\x81\x02hi");
	stream.len = 0;
	put_frame(0x82, zeros, sizeof(zeros));
	for (int i = 0; i < CROWD; i++) {
		upgrade(&crowd[i], REQUEST("/long") "\r\n");
		say_bytes(&crowd[i], "\x81\x82\0\0\0\0hi", 8);
		crowd[i].conn->bytes_in = 0;
		assert_int_equal(write_some(&crowd[i], 0, FIRST), FIRST);
	}
	turn();
	assert_int_equal(count_read(crowd, CROWD, FIRST), CROWD);
	for (int i = 0; i < CROWD; i++)
		assert_int_equal(write_some(&crowd[i], FIRST, MORE), MORE);
	assert_int_equal(write(a.fd, "\x81\x82\0\0\0\0hi", 8), 8);
	/* enough for all of whom libevent tells at once to be seen to be of those */
	for (int i = 0; i < 4 && a.len == 0; i++) {
		turn_short(i == 0 ? 1 : CROWD * 3 * TURN_CALL);
		hear(&a);
	}
	ASSERT_HEARD(&a, "\x81\x02hi");
	assert_in_range(count_read(crowd, CROWD, FIRST), CROWD / 2, CROWD);
	turn();
	assert_int_equal(count_read(crowd, CROWD, FIRST + MORE), CROWD);
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
	disconnect(&a);
}

/* Short answers leave in runs of 64 KiB, none of them by itself. */
static void test_short_answers_leave_together(void **state)
{
	enum { COUNT = 1000, LEN = 100 };
	static const uint8_t text[LEN] = { 'x' };

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	steer_client(&a, 1 << 20);
	stream.len = 0;
	for (int i = 0; i < COUNT; i++)
		put_frame(0x82, text, sizeof(text));
	write_all(&a);
	turn();
	assert_int_equal(wire.len, COUNT * (2 + LEN));
	assert_int_equal(wire.writes, 2);
	disconnect(&a);
}

/* A long answer that is compressed by and by is what has come, and not a copy. */
static void test_a_long_answer_is_not_copied(void **state)
{
	enum { LEN = 64 * 1024 };
	static uint8_t text[LEN];
	const struct uncompressed_message *m;

	(void)state;
	memset(text, 'x', sizeof(text));
	upgrade(&a, REQUEST("/zipped") ZIP "\r\n");
	stream.len = 0;
	put_frame(0x82, text, sizeof(text));
	assert_int_equal(write(a.fd, stream.bytes, LEN / 2), LEN / 2);
	turn();
	assert_int_equal(write(a.fd, stream.bytes + LEN / 2, stream.len - LEN / 2),
			 (ssize_t)stream.len - LEN / 2);
	for (int i = 0; i < 20 && a.conn->deflate->waiting.count == 0; i++)
		event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	m = STAILQ_FIRST(&a.conn->deflate->waiting.messages);
	assert_non_null(m);
	assert_int_equal(m->payload.iov_len, LEN);
	assert_true(m->holder->given >= LEN);
	turn();
	assert_int_equal(a.conn->messages_in, 1);
	assert_int_equal(a.conn->link.messages, 1);
	disconnect(&a);
	assert_int_equal(account_bytes, 0);
}

static unsigned count_open(const struct client *crowd, unsigned count)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count; i++)
		n += crowd[i].conn->state_now == CONN_OPEN;
	return n;
}

/* Requests that came before it are dealt with behind a message, as far as there is time for them. */
static void test_a_message_comes_before_requests(void **state)
{
	enum { CROWD = 10 };
	static struct client crowd[CROWD];

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < CROWD; i++)
		connect_client(&crowd[i]);
	for (int i = 0; i < CROWD; i++) {
		if (i == CROWD / 2)
			assert_int_equal(write(a.fd, "\x81\x82\0\0\0\0hi", 8), 8);
		assert_true(write(crowd[i].fd, REQUEST("/") "\r\n", sizeof(REQUEST("/")) + 1) > 0);
	}
	turn_short(3 * TURN_OPENING);
	ASSERT_HEARD(&a, "\x81\x02hi");
	assert_in_range(count_open(crowd, CROWD), 1, CROWD - 1);
	/* in the order in which they came */
	assert_int_equal(count_open(crowd, count_open(crowd, CROWD)), count_open(crowd, CROWD));
	for (int i = 0; i < 100 && count_open(crowd, CROWD) < CROWD; i++)
		turn();
	assert_int_equal(count_open(crowd, CROWD), CROWD);
	for (int i = 0; i < CROWD; i++)
		disconnect(&crowd[i]);
	disconnect(&a);
}

/* Nor do those who come, all at once: where a turn is not long enough for all, their requests wait. */
static void test_who_is_open_does_not_wait_for_those_who_come(void **state)
{
	enum { CROWD = 30 }; /* libevent finds so many at once */
	static struct client crowd[CROWD];
	unsigned turns = 0;

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	for (int i = 0; i < CROWD; i++)
		connect_client(&crowd[i]);
	for (int i = 0; i < CROWD; i++)
		assert_true(write(crowd[i].fd, REQUEST("/") "\r\n", sizeof(REQUEST("/")) + 1) > 0);
	turn_short(1);
	assert_int_equal(count_open(crowd, CROWD), 1);
	assert_int_equal(write(a.fd, "\x81\x82\0\0\0\0hi", 8), 8);
	turn_short(CROWD * TURN_LOOK + 2 * TURN_CALL);
	ASSERT_HEARD(&a, "\x81\x02hi");
	assert_in_range(count_open(crowd, CROWD), 1, 5);
	for (; count_open(crowd, CROWD) < CROWD; turns++)
		turn_short(1);
	assert_in_range(turns, CROWD / 4, CROWD);
	for (int i = 0; i < CROWD; i++) {
		hear(&crowd[i]);
		assert_begins(&crowd[i], "HTTP/1.1 101 ");
		crowd[i].len = 0;
		say_bytes(&crowd[i], "\x81\x82\0\0\0\0hi", 8);
		ASSERT_HEARD(&crowd[i], "\x81\x02hi");
		disconnect(&crowd[i]);
	}
	disconnect(&a);
}

/* What is inflated is cut in slices, and the others are served between two of them. */
static void test_bombs_do_not_hold_others_up(void **state)
{
	static uint8_t zeros[65536];
	unsigned turns = 0;

	(void)state;
	upgrade(&a, REQUEST("/zip") ZIP "\r\n");
	upgrade(&many[0], REQUEST("/") "\r\n");
	deflater = deflater_new(9, 8, 15);
	stream.len = 0;
	for (int i = 0; i < 20; i++)
		put_compressed(2, zeros, sizeof(zeros), false);
	deflater_free(deflater);
	deflater = NULL;
	write_all(&a);
	assert_true(turn_short(TURN_STEP));
	do {
		assert_int_equal(write(many[0].fd, "\x81\x82\0\0\0\0hi", 8), 8);
		turn_short(TURN_STEP);
		ASSERT_HEARD(&many[0], "\x81\x02hi");
		turns++;
	} while (waits(&a));
	assert_in_range(turns, 20, 60);
	hear(&a);
	assert_int_equal(a.len, 20 * 6);
	for (int i = 0; i < 20; i++)
		assert_memory_equal(a.got + 6 * i, "\x82\x04\0\0\x01\0", 6);
	disconnect(&a);
	disconnect(&many[0]);
}

/* A message that is inflated in slices is one that has not come whole. */
static void test_who_inflates_for_ever(void **state)
{
	static const uint8_t empty[] = { 0x00, 0x00, 0x00, 0xff, 0xff };
	static uint8_t blocks[60000];
	uint32_t start;

	(void)state;
	upgrade(&a, REQUEST("/zip") ZIP "\r\n");
	for (size_t i = 0; i < sizeof(blocks); i++)
		blocks[i] = empty[i % sizeof(empty)];
	stream.len = 0;
	put_frame(0x42, blocks, sizeof(blocks));
	for (int i = 0; i < 5; i++)
		put_frame(0x00, blocks, sizeof(blocks));
	start = session.now;
	for (size_t at = 0; a.conn->state_now == CONN_OPEN && session.now - start < 300;) {
		at += write_some(&a, at, SIZE_MAX);
		turn_short(1);
		session.now += 5;
		conn_timer(a.conn);
	}
	assert_int_equal(a.conn->reason, REASON_MESSAGE_TIMEOUT);
	disconnect(&a);
}

/* --- while it waits --- */

/* a has said much, and of that so many turns' worth is done. */
static void let_it_wait(unsigned turns)
{
	upgrade(&a, REQUEST("/") "\r\n");
	put_numbers(HEAVY);
	put_frame(0x88, "\x0f\xa1", 2);
	write_all(&a);
	while (turns-- > 0)
		assert_true(turn_short(1));
	assert_true(waits(&a));
}

/* Nothing more is read, so that what waits is what one read had at the most. */
static void test_it_is_not_read_from(void **state)
{
	uint64_t had;

	(void)state;
	let_it_wait(2);
	had = a.conn->bytes_in;
	assert_int_equal(write(a.fd, "more", 4), 4);
	assert_true(turn_short(1));
	assert_int_equal(a.conn->bytes_in, had);
	turn();
	assert_int_equal(numbers_heard(&a, 0), HEAVY);
	assert_int_equal(a.conn->reason, REASON_PEER_CLOSED);
	disconnect(&a);
}

/* The peer's close frame comes in its place, also where ours went out meanwhile. */
static void test_stop_while_it_waits(void **state)
{
	int n;

	(void)state;
	let_it_wait(3);
	session_stop(0, 0);
	end_turn(0);
	assert_int_equal(a.conn->state_now, CONN_CLOSING);
	assert_true(waits(&a));
	turn();
	assert_int_equal(a.conn->state_now, CONN_ENDING);
	assert_false(waits(&a));
	assert_int_equal(conn_close_code(a.conn), WS_CLOSE_GOING_AWAY);
	n = numbers_heard(&a, 0);
	assert_in_range(n, 1, HEAVY - 1);
	ASSERT_HEARD(&a, "\x88\x0a\x03\xe9shutdown");
	assert_int_equal(a.conn->messages_in, n);
	disconnect(&a);
}

/* It is found where all keep too much, though nothing is to be sent and no message is incomplete. */
static void test_what_waits_counts(void **state)
{
	(void)state;
	let_it_wait(1);
	session.config->max_memory = 4096;
	this_turn.credit = TURN_STEP;
	conn_relieve();
	turn();
	assert_int_equal(a.conn->reason, REASON_MEMORY_PRESSURE);
	disconnect(&a);
}

static void test_reload_while_it_waits(void **state)
{
	(void)state;
	let_it_wait(3);
	reload_worker("max_message = \"8\"; endpoints = ( { path = \"/\";"
		      " behaviour = \"puppet\"; } );\n",
		      all);
	end_turn(0);
	assert_true(waits(&a));
	assert_reloaded(1, 0);
	assert_int_equal(numbers_heard(&a, 0), HEAVY);
	assert_int_equal(a.conn->reason, REASON_PEER_CLOSED);
	disconnect(&a);
}

/* What one that is gone has said is of no interest any more. */
static void test_end_while_it_waits(void **state)
{
	(void)state;
	let_it_wait(3);
	conn_kill(a.conn, REASON_RESET);
	assert_false(turn_once());
	assert_int_equal(session.conns, 0);
	close(a.fd);
	let_it_wait(3);
	assert_int_equal(session_abort(), 1);
	close(a.fd);
}

/* What waits behind a long message does not hold back its answer: a share is one at the least. */
static void test_long_ones_are_answered_meanwhile(void **state)
{
	static uint8_t data[60000];

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	memset(data, 'x', sizeof(data));
	stream.len = 0;
	for (int i = 0; i < 4; i++)
		put_frame(0x82, data, sizeof(data));
	write_all(&a);
	/* the first turn has it read, and then it goes on with what it has read */
	for (int i = 2; i <= 4; i++) {
		assert_int_equal(turn_short(1), i < 4);
		hear(&a);
		assert_int_equal(a.len, (size_t)i * (4 + sizeof(data)));
	}
	disconnect(&a);
}

/* --- time --- */

/* Its silence is ours as long as we do not go on with it. */
static void test_who_waits_is_not_silent(void **state)
{
	(void)state;
	let_it_wait(1);
	for (int i = 0; i < 1000; i++) {
		session.now++;
		conn_timer(a.conn);
	}
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	turn();
	assert_int_equal(a.conn->reason, REASON_PEER_CLOSED);
	disconnect(&a);
}

/* But who keeps us busy without end does not get around its timeouts by that. */
static void test_who_floods_is_timed_out(void **state)
{
	uint32_t start;

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	stream.len = 0;
	put_frame(0x01, "begun", 5);
	for (int i = 0; i < HEAVY; i++)
		put_frame(0x89, "", 0);
	write_all(&a);
	start = session.now;
	while (a.conn->state_now == CONN_OPEN && session.now - start < 300) {
		turn_short(1);
		session.now++;
		conn_timer(a.conn);
		hear(&a);
		a.len = 0;
	}
	assert_int_equal(a.conn->reason, REASON_MESSAGE_TIMEOUT);
	assert_true(waits(&a));
	disconnect(&a);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)
#define TEST_TIME(t) cmocka_unit_test_setup_teardown(t, begin_timers, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_same_comes_out),
		TEST(test_the_same_comes_out_inflated),
		TEST(test_a_share_has_an_end),
		TEST(test_the_light_do_not_wait_for_the_heavy),
		TEST(test_the_heavy_take_turns),
		TEST(test_many_that_are_readable),
		TEST(test_who_was_not_served_is_first),
		TEST(test_fresh_ones_come_first),
		TEST(test_fresh_ones_hold_up_nobody),
		TEST(test_the_next_turn_begins_within_events),
		TEST(test_many_that_say_a_lot),
		TEST(test_who_says_little_does_not_wait_for_them),
		TEST(test_who_says_little_does_not_wait_for_what_is_long),
		TEST(test_a_message_comes_before_requests),
		TEST(test_who_is_open_does_not_wait_for_those_who_come),
		TEST(test_short_answers_leave_together),
		TEST(test_a_long_answer_is_not_copied),
		TEST(test_bombs_do_not_hold_others_up),
		TEST_TIME(test_who_inflates_for_ever),
		TEST(test_it_is_not_read_from),
		TEST(test_stop_while_it_waits),
		TEST(test_what_waits_counts),
		TEST(test_reload_while_it_waits),
		TEST(test_end_while_it_waits),
		TEST(test_long_ones_are_answered_meanwhile),
		TEST_TIME(test_who_waits_is_not_silent),
		TEST_TIME(test_who_floods_is_timed_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
