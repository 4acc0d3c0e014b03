/*
 * What is sent over a link, by a transport that takes as many bytes as the test lets it: whole
 * frames, in order, once; what is too much is dropped whole; and all of it is counted right.
 */
// links: base proto net session
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/account.h"
#include "base/block.h"
#include "base/buffer.h"

#include "config/config.h"
#include "session/chunk.h"
#include "session/link.h"
#include "session/turn.h"
#include "session/session.h"
#include "session/steered.h"
#include "session/unsent.h"
#include "resident.h"

enum { PLENTY = 1 << 30, FRAMES_MAX = 4000 };

static struct event_base *base;
static struct config config; /* by which no socket may be wide */
static struct link l;
static int peer;
static struct link_count counted; /* what was told to have left */

static void never_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static int begin(void **state)
{
	int fds[2];

	(void)state;
	base = event_base_new();
	session.config = &config;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	l = (struct link){ .pending = NULL };
	assert_int_equal(link_init(&l, base, fds[0], never_cb, NULL), 0);
	peer = fds[1];
	steer(&l.transport, PLENTY);
	counted = (struct link_count){ 0 };
	return 0;
}

static int end(void **state)
{
	(void)state;
	link_fini(&l);
	assert_int_equal(unsent_bytes, 0);
	close(peer);
	event_base_free(base);
	return 0;
}

static void note_run(const struct link_run *r)
{
	counted.messages += r->messages;
	counted.bytes += r->len - r->http;
	counted.others += r->others;
}

/* A frame of one part: `len` bytes that tell which one it is. */
static enum link_verdict put(uint32_t number, size_t len, enum link_kind kind, size_t max,
			     enum link_policy policy)
{
	static uint8_t bytes[4096];
	struct iovec part = { bytes, len };
	uint64_t mark = link_mark(len, kind);
	struct link_run r = {
		.parts = &part,
		.count = 1,
		.len = len,
		.marks = &mark,
		.frames = 1,
		.messages = kind == LINK_MESSAGE,
		.http = kind == LINK_HTTP ? (uint32_t)len : 0,
		.others = kind == LINK_MESSAGE   ? link_header_more(len)
			  : kind == LINK_CONTROL ? (uint32_t)len
						 : 0,
	};
	size_t sent;
	enum link_verdict v;

	memset(bytes, (int)(number % 251), len);
	v = link_send(&l, &r, false, &sent);
	if (v == LINK_TAKEN)
		note_run(&r);
	return v == LINK_KEPT ? link_keep(&l, &r, sent, max, policy, NULL, &counted) : v;
}

static enum link_verdict put_message(size_t len, size_t max, enum link_policy policy)
{
	return put(1, len, LINK_MESSAGE, max, policy);
}

static enum link_verdict go_on(size_t takes)
{
	enum link_moved moved;
	enum link_verdict v;

	wire.takes = takes;
	do {
		v = link_go_on(&l, false, &moved, &counted);
		assert_true(!moved || takes > 0);
	} while (v == LINK_KEPT && moved && wire.takes > 0);
	return v;
}

static void assert_sent(uint64_t messages, uint64_t bytes)
{
	assert_int_equal(l.messages, messages);
	assert_int_equal(l.bytes, bytes);
	assert_int_equal(counted.messages, messages);
	assert_int_equal(counted.bytes, bytes);
}

static void test_whole(void **state)
{
	(void)state;
	assert_int_equal(put_message(10, 0, LINK_STOP), LINK_TAKEN);
	assert_int_equal(put(2, 4, LINK_CONTROL, 0, LINK_STOP), LINK_TAKEN);
	assert_int_equal(put(3, 30, LINK_HTTP, 0, LINK_STOP), LINK_TAKEN);
	assert_int_equal(wire.len, 44);
	assert_null(l.pending);
	assert_sent(1, 14);
	assert_int_equal(link_settle(&l), LINK_TAKEN);
}

/* The rest of what has begun to leave follows, whatever the limit; it counts when it is out. */
static void test_cut_frame(void **state)
{
	(void)state;
	wire.takes = 7;
	assert_int_equal(put_message(10, 0, LINK_STOP), LINK_KEPT);
	assert_sent(0, 7);
	assert_true(link_has_unsent(&l));
	assert_int_equal(go_on(2), LINK_KEPT);
	assert_sent(0, 9);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_sent(1, 10);
	assert_false(link_has_unsent(&l));
}

static void test_limit(void **state)
{
	(void)state;
	wire.takes = 0;
	assert_int_equal(put_message(60, 100, LINK_DROP_ONE), LINK_KEPT);
	assert_int_equal(put_message(41, 100, LINK_DROP_ONE), LINK_DROPPED);
	assert_int_equal(put_message(40, 100, LINK_DROP_ONE), LINK_KEPT);
	assert_int_equal(put(1, 20, LINK_CONTROL, 100, LINK_DROP_ONE), LINK_KEPT);
	assert_int_equal(l.dropped, 1);
	assert_int_equal(link_settle(&l), LINK_DROPPED);
	assert_int_equal(link_settle(&l), LINK_TAKEN);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 120);
	assert_sent(2, 120);
}

/* What is kept is copied, and that is of a turn: what is taken or dropped is not. */
static void test_keeping_is_charged(void **state)
{
	const int64_t kept = turn_cost_of(4000, TURN_KEEP);

	(void)state;
	this_turn.credit = TURN_STEP;
	wire.takes = PLENTY;
	assert_int_equal(put_message(4000, 10000, LINK_DROP_ONE), LINK_TAKEN);
	assert_int_equal(this_turn.credit, TURN_STEP);
	wire.takes = 0;
	assert_int_equal(put_message(4000, 10000, LINK_DROP_ONE), LINK_KEPT);
	assert_int_equal(this_turn.credit, TURN_STEP - kept);
	assert_int_equal(put_message(4000, 7999, LINK_DROP_ONE), LINK_DROPPED);
	assert_int_equal(this_turn.credit, TURN_STEP - kept);
}

/* Of a run what is behind a dropped message goes with it, or does not. */
static void test_rest_of_run(void **state)
{
	static uint8_t bytes[100];
	struct iovec part = { bytes, sizeof(bytes) };
	const uint64_t marks[] = { link_mark(30, LINK_MESSAGE), link_mark(50, LINK_MESSAGE),
				   link_mark(6, LINK_CONTROL), link_mark(14, LINK_MESSAGE) };
	const struct link_run r = { &part, 1, sizeof(bytes), marks, 4, 3, 0, NULL, 0, NULL };

	(void)state;
	wire.takes = 0;
	assert_int_equal(link_keep(&l, &r, 0, 60, LINK_DROP_ONE, NULL, &counted), LINK_DROPPED);
	assert_int_equal(l.dropped, 1);
	link_cut(&l);
	assert_int_equal(link_keep(&l, &r, 0, 60, LINK_DROP_REST, NULL, &counted), LINK_DROPPED);
	assert_int_equal(l.dropped, 1 + 2);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 36);
	assert_sent(1, 36);
	assert_int_equal(link_keep(&l, &r, 80, 0, LINK_DROP_REST, NULL, &counted), LINK_DROPPED);
	assert_sent(3, 36 + 80);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 36 + 6);
}

/* Over: nothing is taken any more, but what was cut goes out, and what is said then. */
static void test_stop(void **state)
{
	(void)state;
	wire.takes = 5;
	assert_int_equal(put(1, 10, LINK_MESSAGE, 50, LINK_STOP), LINK_KEPT);
	assert_int_equal(put(2, 20, LINK_MESSAGE, 50, LINK_STOP), LINK_KEPT);
	assert_int_equal(put(3, 40, LINK_MESSAGE, 50, LINK_STOP), LINK_OVER);
	assert_int_equal(put(4, 1, LINK_MESSAGE, 50, LINK_STOP), LINK_OVER);
	assert_int_equal(put(4, 1, LINK_CONTROL, 50, LINK_STOP), LINK_OVER);
	assert_int_equal(l.dropped, 0);
	link_cut(&l);
	assert_int_equal(link_settle(&l), LINK_OVER);
	assert_int_equal(put(5, 4, LINK_CONTROL, 0, LINK_STOP), LINK_KEPT);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 14);
	assert_int_equal(wire.bytes[9], 1);
	assert_int_equal(wire.bytes[10], 5);
	assert_sent(1, 14);
}

static void test_broken(void **state)
{
	(void)state;
	wire.takes = 1;
	assert_int_equal(put_message(10, 50, LINK_STOP), LINK_KEPT);
	wire.write_error = EPIPE;
	assert_int_equal(go_on(PLENTY), LINK_BROKEN);
	assert_int_equal(l.error, EPIPE);
	assert_int_equal(put_message(10, 50, LINK_STOP), LINK_BROKEN);
	assert_int_equal(link_settle(&l), LINK_BROKEN);
	assert_int_equal(link_settle(&l), LINK_BROKEN);
}

static void test_broken_at_once(void **state)
{
	(void)state;
	wire.write_error = ECONNRESET;
	assert_int_equal(put_message(10, 50, LINK_STOP), LINK_BROKEN);
	assert_int_equal(l.error, ECONNRESET);
}

static void test_temporary_errors(void **state)
{
	static const int errors[] = { EAGAIN, EINTR, ENOBUFS };

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		wire.write_error = errors[i];
		assert_int_equal(put_message(10, 50, LINK_STOP), LINK_KEPT);
		assert_int_equal(go_on(PLENTY), LINK_KEPT);
	}
	wire.write_error = 0;
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 30);
}

/* What the transport took and holds back is unsent, though it counts. */
static void test_held_back(void **state)
{
	(void)state;
	wire.holds = true;
	assert_int_equal(put_message(10, 50, LINK_STOP), LINK_TAKEN);
	assert_sent(1, 10);
	assert_true(link_has_unsent(&l));
	assert_int_equal(link_settle(&l), LINK_KEPT);
	assert_int_equal(go_on(PLENTY), LINK_KEPT);
	wire.flush_error = EPIPE;
	assert_int_equal(go_on(PLENTY), LINK_BROKEN);
}

static void test_newest_pong(void **state)
{
	(void)state;
	wire.takes = 0;
	put_message(10, 50, LINK_STOP);
	link_keep_pong(&l,
		       "\x8a\x01"
		       "a",
		       3);
	link_keep_pong(&l,
		       "\x8a\x01"
		       "b",
		       3);
	/* behind all that waits, and all that comes meanwhile */
	put_message(10, 50, LINK_STOP);
	assert_int_equal(go_on(20), LINK_KEPT);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 23);
	assert_memory_equal(wire.bytes + 20,
			    "\x8a\x01"
			    "b",
			    3);
	assert_sent(2, 23);
	/* but for a frame that has to be behind it */
	wire.takes = 0;
	put_message(10, 50, LINK_STOP);
	link_keep_pong(&l,
		       "\x8a\x01"
		       "c",
		       3);
	link_place_pong(&l);
	link_place_pong(&l);
	put(9, 4, LINK_CONTROL, 50, LINK_STOP);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_memory_equal(wire.bytes + 33,
			    "\x8a\x01"
			    "c",
			    3);
	assert_int_equal(wire.len, 40);
	link_place_pong(&l);
	assert_null(l.pending);
}

/* What is kept takes at most three times the limit, also where it is all in tiny messages. */
static void test_memory_of_tiny_messages(void **state)
{
	const size_t max = 7000, before = mallinfo2().uordblks;

	(void)state;
	wire.takes = 0;
	for (size_t i = 0; i < max / 2; i++)
		assert_int_equal(put(1, 2, LINK_MESSAGE, max, LINK_STOP), LINK_KEPT);
	assert_int_equal(put(1, 2, LINK_MESSAGE, max, LINK_STOP), LINK_OVER);
	assert_true(mallinfo2().uordblks - before <= 3 * max + 1024);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_sent(max / 2, max);
}

/* A mark takes from one byte to five, and is the same when it comes back. */
static void test_frames_of_all_lengths(void **state)
{
	static const size_t lengths[] = { 2, 31, 32, 4095, 4096, 524287, 524288, (1 << 21) - 1 };
	static uint8_t bytes[1 << 21];
	uint64_t sum = 0;

	(void)state;
	wire.takes = 0;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct iovec part = { bytes, lengths[i] };
		uint64_t mark = link_mark(lengths[i], LINK_MESSAGE);
		const struct link_run r = { &part, 1, lengths[i], &mark, 1, 1, 0, NULL, 0, NULL };

		assert_int_equal(link_keep(&l, &r, 0, SIZE_MAX, LINK_STOP, NULL, &counted),
				 LINK_KEPT);
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		go_on(lengths[i] - 1);
		assert_sent(i, sum + lengths[i] - 1);
		go_on(1);
		sum += lengths[i];
		assert_sent(i + 1, sum);
	}
	assert_null(l.pending);
}

/* How old the first byte is that is unsent, and how much there is. */
static void test_what_waits(void **state)
{
	uint32_t since;

	(void)state;
	session.now = 1234;
	assert_false(link_waits(&l, &since));
	assert_int_equal(link_unsent(&l), 0);
	wire.takes = 4;
	put_message(10, 100, LINK_STOP);
	session.now = 1300;
	put_message(20, 100, LINK_STOP);
	assert_int_equal(link_unsent(&l), 26);
	assert_true(link_waits(&l, &since));
	assert_int_equal(since, 1240);
	go_on(5);
	assert_true(link_waits(&l, &since));
	assert_int_equal(since, 1240);
	go_on(1);
	assert_true(link_waits(&l, &since));
	assert_int_equal(since, 1300);
	/* and if the transport has it */
	session.now = 2000000;
	go_on(20);
	assert_false(link_waits(&l, &since));
	wire.holds = true;
	wire.takes = PLENTY;
	link_settle(&l);
	put_message(10, 100, LINK_STOP);
	session.now += 5000;
	assert_int_equal(link_unsent(&l), 100);
	assert_true(link_waits(&l, &since));
	assert_int_equal(since, 2000000);
	session.now = 0;
}

/* Much is not written in one turn, whatever the socket would take. */
static void test_much_is_written_in_portions(void **state)
{
	static uint8_t bytes[1 << 20];
	struct iovec part = { bytes, sizeof(bytes) };
	uint64_t mark = link_mark(sizeof(bytes), LINK_MESSAGE);
	const struct link_run r = { &part, 1, sizeof(bytes), &mark, 1, 1, 0, NULL, 0, NULL };
	enum link_moved moved;

	(void)state;
	assert_int_equal(link_keep(&l, &r, 0, SIZE_MAX, LINK_STOP, NULL, &counted), LINK_KEPT);
	assert_int_equal(link_unsent(&l), sizeof(bytes));
	wire.takes = PLENTY;
	while (link_go_on(&l, true, &moved, &counted) == LINK_KEPT) {
		assert_true(moved == LINK_DATA && !wire.last);
		assert_true(wire.len <= wire.writes * 256 * 1024);
	}
	assert_true(wire.last);
	assert_true(wire.writes >= 4 && wire.writes <= 6);
	assert_sent(1, sizeof(bytes));
}

static struct iovec part_of(const char *text)
{
	return (struct iovec){ (void *)text, strlen(text) };
}

static bool gather(const char *text, enum link_kind kind)
{
	struct iovec part = part_of(text);

	return link_gather(&l, &part, 1, link_mark(part.iov_len, kind));
}

static void send_gathered(void)
{
	const struct link_run *r = link_gathered(&l);
	size_t sent;

	assert_non_null(r);
	assert_int_equal(link_send(&l, r, false, &sent), LINK_TAKEN);
	note_run(r);
	link_cork(&l);
}

static void test_gathering(void **state)
{
	struct link other = { .pending = NULL };
	char lent[] = "lent";
	struct iovec parts[] = { part_of("two "), { NULL, 0 }, part_of("parts") };

	(void)state;
	assert_false(gather("x", LINK_MESSAGE));
	assert_null(link_gathered(&l));
	link_cork(&l);
	assert_true(link_is_corked(&l) && !link_is_corked(&other));
	assert_null(link_gathered(&l));
	assert_true(gather("HTTP", LINK_HTTP));
	assert_true(gather("one", LINK_MESSAGE));
	assert_true(gather("c", LINK_CONTROL));
	assert_true(link_gather(&l, parts, 3, link_mark(9, LINK_MESSAGE)));
	assert_false(link_gather_lent(&l, lent, 4));
	assert_null(link_gathered(&other));
	send_gathered();
	assert_int_equal(wire.writes, 1);
	assert_memory_equal(wire.bytes, "HTTPonectwo parts", 17);
	assert_sent(2, 13);
	/* what is lent may go out as it lies, or be the first of more */
	assert_true(link_gather_lent(&l, lent, 4));
	assert_ptr_equal(link_gathered(&l)->parts->iov_base, lent);
	assert_true(gather("more", LINK_MESSAGE));
	lent[0] = 'X';
	send_gathered();
	assert_memory_equal(wire.bytes + 17, "lentmore", 8);
	assert_sent(4, 21);
	assert_true(gather("forgotten", LINK_MESSAGE));
	link_cut(&l);
	assert_null(link_gathered(&l));
	link_uncork(&other);
	assert_true(link_is_corked(&l));
	link_uncork(&l);
	assert_false(gather("x", LINK_MESSAGE));
	assert_int_equal(wire.writes, 2);
}

static void test_gathering_has_an_end(void **state)
{
	char text[1001];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[1000] = '\0';
	link_cork(&l);
	for (int i = 0; i < 65; i++)
		assert_true(gather(text, LINK_MESSAGE));
	assert_false(gather(text, LINK_MESSAGE));
	assert_int_equal(link_gathered(&l)->len, 65000);
	assert_int_equal(link_gathered(&l)->messages, 65);
}

static void test_reading(void **state)
{
	char bytes[8];

	(void)state;
	assert_int_equal(link_read(&l, bytes, sizeof(bytes)), -1);
	assert_int_equal(write(peer, "abc", 3), 3);
	assert_int_equal(link_read(&l, bytes, sizeof(bytes)), 3);
	assert_false(l.ended);
	shutdown(peer, SHUT_WR);
	assert_int_equal(link_read(&l, bytes, sizeof(bytes)), 0);
	assert_true(l.ended);
	/* an end is not to be called for again and again */
	assert_int_equal(link_want(&l, true), 0);
	assert_int_equal(event_pending(&l.transport.event, EV_READ | EV_WRITE, NULL), 0);
}

static void test_interest(void **state)
{
	(void)state;
	assert_int_equal(link_want(&l, true), 0);
	assert_int_equal(event_pending(&l.transport.event, EV_READ | EV_WRITE, NULL), EV_READ);
	wire.takes = 0;
	put_message(10, 50, LINK_STOP);
	assert_int_equal(link_want(&l, false), 0);
	assert_int_equal(event_pending(&l.transport.event, EV_READ | EV_WRITE, NULL), EV_WRITE);
	assert_int_equal(link_want(&l, true), 0);
	assert_int_equal(event_pending(&l.transport.event, EV_READ | EV_WRITE, NULL),
			 EV_READ | EV_WRITE);
}

static void test_said_from_outside(void **state)
{
	(void)state;
	link_drop(&l, 3);
	assert_int_equal(l.dropped, 3);
	assert_int_equal(link_settle(&l), LINK_DROPPED);
	link_fail(&l, ENOMEM);
	assert_int_equal(link_settle(&l), LINK_BROKEN);
	assert_int_equal(l.error, ENOMEM);
}

/* --- what gives way --- */

/* All that is on the wire: frames of 10 bytes by their numbers. */
static void assert_wire(const char *numbers)
{
	assert_int_equal(wire.len, 10 * strlen(numbers));
	for (size_t i = 0; i < wire.len; i++)
		assert_int_equal(wire.bytes[i], numbers[i / 10] - '0');
}

static void put_numbers(const char *numbers, size_t max, enum link_policy policy)
{
	for (; *numbers; numbers++)
		put((uint32_t)(*numbers - '0'), 10, LINK_MESSAGE, max, policy);
}

/* The one that has begun stays, and so does a control frame. */
static void test_oldest_gives_way(void **state)
{
	(void)state;
	wire.takes = 3;
	put_numbers("123", 30, LINK_DROP_OLDEST);
	assert_int_equal(l.dropped, 0);
	put_numbers("45", 30, LINK_DROP_OLDEST);
	assert_int_equal(l.dropped, 2);
	assert_int_equal(link_unsent(&l), 27);
	assert_int_equal(put(6, 10, LINK_CONTROL, 30, LINK_DROP_OLDEST), LINK_KEPT);
	/* both of the others go for it, and then that behind the control frame */
	put_numbers("7", 30, LINK_DROP_OLDEST);
	assert_int_equal(l.dropped, 4);
	put_numbers("8", 30, LINK_DROP_OLDEST);
	assert_int_equal(l.dropped, 5);
	/* one that is too much by itself takes nobody's place */
	put(9, 31, LINK_MESSAGE, 30, LINK_DROP_OLDEST);
	assert_int_equal(l.dropped, 6);
	assert_int_equal(link_settle(&l), LINK_DROPPED);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_wire("168");
	assert_sent(2, 30);
}

static void test_latest_alone(void **state)
{
	(void)state;
	wire.takes = 0;
	put_numbers("12", 1000, LINK_DROP_OTHERS);
	put_numbers("3", 1000, LINK_DROP_OTHERS);
	assert_int_equal(l.dropped, 2);
	assert_int_equal(link_unsent(&l), 10);
	go_on(5);
	put_numbers("456", 1000, LINK_DROP_OTHERS);
	assert_int_equal(l.dropped, 4);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_wire("36");
	assert_sent(2, 20);
}

/* By the second, from when each began to wait; what has begun is sent, however old. */
static void test_old_ones_go(void **state)
{
	const uint32_t began = session.now;

	(void)state;
	session.now = 1000;
	wire.takes = 0;
	put_numbers("123", 1000, LINK_DROP_OLDEST);
	session.now = 1100;
	put_numbers("45", 1000, LINK_DROP_OLDEST);
	link_drop_old(&l, 1000, NULL);
	assert_int_equal(l.dropped, 0);
	go_on(5);
	link_drop_old(&l, 1001, NULL);
	assert_int_equal(l.dropped, 2);
	assert_int_equal(link_unsent(&l), 25);
	go_on(5);
	link_drop_old(&l, 1101, NULL);
	assert_int_equal(l.dropped, 4);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_wire("1");
	assert_null(l.pending);
	link_drop_old(&l, 2000, NULL);
	assert_sent(1, 10);
	session.now = began;
}

static int64_t spent(void)
{
	const int64_t spent = TURN_STEP - this_turn.credit;

	this_turn.credit = TURN_STEP;
	return spent;
}

/* Nobody sends as many in one turn, but they may wait for one who does not read. */
static void test_dropping_is_charged(void **state)
{
	enum { MANY = 5000 };

	(void)state;
	wire.takes = 0;
	for (int i = 0; i < MANY; i++)
		put(1, 10, LINK_MESSAGE, PLENTY, LINK_DROP_OLDEST);
	spent();
	put(2, 10, LINK_MESSAGE, PLENTY, LINK_DROP_OTHERS);
	assert_int_equal(l.dropped, MANY);
	assert_in_range(spent(), MANY * TURN_PASS, 2 * MANY * TURN_PASS);
	assert_int_equal(link_settle(&l), LINK_DROPPED);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_wire("2");
}

/* However many are old: the rest goes with the next look, ahead of what is not. */
static void test_of_very_many_old_ones_some_go(void **state)
{
	enum { MANY = 300000, AT_ONCE = 250000 };
	const uint32_t began = session.now;

	(void)state;
	session.now = 1000;
	wire.takes = 0;
	for (int i = 0; i < MANY; i++)
		put(1, 10, LINK_MESSAGE, PLENTY, LINK_DROP_OLDEST);
	session.now = 1100;
	put_numbers("4", PLENTY, LINK_DROP_OLDEST);
	spent();
	link_drop_old(&l, 1100, NULL);
	assert_int_equal(l.dropped, AT_ONCE);
	assert_int_equal(link_unsent(&l), (MANY + 1 - AT_ONCE) * 10);
	assert_int_equal(spent(), TURN_STEP);
	link_drop_old(&l, 1100, NULL);
	assert_int_equal(l.dropped, MANY);
	assert_int_equal(link_settle(&l), LINK_DROPPED);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_wire("4");
	session.now = began;
}

/* --- against a model --- */

/*
 * Every frame that was put is kept in order here; those that were dropped are taken out again.
 * What is on the wire in the end is the others, whole.
 */
static struct {
	size_t count;
	struct {
		uint32_t number;
		size_t len;
		enum link_kind kind;
	} frames[FRAMES_MAX];
} model;

static void model_add(uint32_t number, size_t len, enum link_kind kind)
{
	model.frames[model.count].number = number;
	model.frames[model.count].len = len;
	model.frames[model.count++].kind = kind;
}

static void check_model(void)
{
	uint64_t messages = 0, bytes = 0;
	size_t at = 0;

	for (size_t i = 0; i < model.count; i++) {
		size_t len = model.frames[i].len;

		for (size_t k = 0; k < len; k++)
			assert_int_equal(wire.bytes[at + k], model.frames[i].number % 251);
		at += len;
		messages += model.frames[i].kind == LINK_MESSAGE;
		bytes += model.frames[i].kind == LINK_HTTP ? 0 : len;
	}
	assert_int_equal(wire.len, at);
	assert_sent(messages, bytes);
}

static void random_step(uint32_t number, size_t max)
{
	static const enum link_kind kinds[] = { LINK_MESSAGE, LINK_MESSAGE, LINK_MESSAGE,
						LINK_CONTROL, LINK_HTTP };
	enum link_kind kind = kinds[rand() % 5];
	size_t len = 2 + (size_t)rand() % (rand() % 4 ? 60 : 2000);
	uint32_t dropped = l.dropped;
	enum link_verdict v;

	wire.takes = rand() % 3 ? (size_t)rand() % 300 : 0;
	if (rand() % 3 == 0)
		go_on(wire.takes);
	v = put(number, len, kind, max, rand() % 2 ? LINK_DROP_ONE : LINK_DROP_REST);
	assert_true(v <= LINK_DROPPED);
	assert_int_equal(unsent_bytes, link_unsent(&l));
	if (l.dropped == dropped)
		model_add(number, len, kind);
	else
		assert_true(kind == LINK_MESSAGE && v == LINK_DROPPED);
	link_settle(&l);
}

static void test_against_model(void **state)
{
	for (unsigned seed = 1; seed <= 20; seed++) {
		srand(seed);
		model.count = 0;
		for (uint32_t i = 0; i < FRAMES_MAX; i++)
			random_step(i, 3000);
		while (go_on(100) != LINK_TAKEN)
			;
		check_model();
		assert_true(model.count < FRAMES_MAX);
		assert_int_equal(model.count + l.dropped, FRAMES_MAX);
		end(state);
		begin(state);
	}
}

/* --- the same runs for many --- */

enum { CROWD = 5, RUN_MAX = 8, RUNS = 3000 };

/* Each frame's bytes are its number; what a member is to get yet is frames[front..count). */
static struct member {
	struct link link;
	struct {
		uint32_t number;
		size_t len;
	} frames[RUNS * RUN_MAX];
	size_t count, front, gone; /* bytes of the first that have come */
	size_t unsent;
	uint64_t dropped;
} crowd[CROWD];

static void crowd_begin(void)
{
	for (size_t i = 0; i < CROWD; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
		close(fds[1]);
		memset(&crowd[i], 0, sizeof(crowd[i]));
		assert_int_equal(link_init(&crowd[i].link, base, fds[0], never_cb, NULL), 0);
		steer(&crowd[i].link.transport, 0);
	}
}

/* What has come is what was to come next. */
static void check_came(struct member *m)
{
	for (size_t i = 0; i < wire.len; i++) {
		assert_true(m->front < m->count);
		assert_int_equal(wire.bytes[i], m->frames[m->front].number % 251);
		if (++m->gone < m->frames[m->front].len)
			continue;
		m->front++;
		m->gone = 0;
	}
	wire.len = 0;
}

static void crowd_go_on(struct member *m, size_t takes)
{
	enum link_moved moved;

	wire.takes = takes;
	link_go_on(&m->link, false, &moved, &counted);
	m->unsent -= wire.len;
	assert_int_equal(link_unsent(&m->link), m->unsent);
	check_came(m);
}

/* Those from `first` on give way to one more. */
static void expect_space(struct member *m, size_t first, size_t len, size_t max,
			 enum link_policy policy)
{
	size_t most = policy == LINK_DROP_OTHERS ? 0 : max - len;

	if (policy < LINK_DROP_OLDEST || len > max)
		return;
	for (; m->unsent > most && first < m->count; m->dropped++) {
		m->unsent -= m->frames[first].len;
		m->count--;
		memmove(&m->frames[first], &m->frames[first + 1],
			(m->count - first) * sizeof(m->frames[0]));
	}
}

/* What the link is to do with a run, frame by frame. */
static void expect(struct member *m, const struct link_run *r, uint32_t number, size_t sent,
		   size_t max, enum link_policy policy)
{
	size_t first = m->front + (m->gone > 0);
	bool dropped = false;

	for (size_t i = 0, at = 0; i < r->frames; i++) {
		size_t len = link_mark_length(r->marks[i]);

		if (sent <= at)
			expect_space(m, first, len, max, policy);
		if (sent <= at &&
		    (m->unsent + len > max || (dropped && policy == LINK_DROP_REST))) {
			dropped = true;
			m->dropped++;
		} else {
			m->frames[m->count].number = number + (uint32_t)i;
			m->frames[m->count++].len = len;
			m->unsent += sent < at ? len : sent < at + len ? at + len - sent : 0;
			if (sent > at)
				first = m->count;
		}
		at += len;
	}
}

static void give(struct member *m, const struct link_run *r, uint32_t number, size_t takes)
{
	static const enum link_policy policies[] = { LINK_DROP_ONE, LINK_DROP_REST,
						     LINK_DROP_OLDEST, LINK_DROP_OTHERS };
	/* the last one seldom: little waits with it */
	enum link_policy policy = policies[rand() % (rand() % 8 ? 3 : 4)];
	size_t max = (r->given ? 800000 : 0) + (rand() % 2 ? 200000 : 30000), sent;

	wire.takes = takes;
	if (link_send(&m->link, r, false, &sent) == LINK_KEPT)
		assert_true(link_keep(&m->link, r, sent, max, policy, NULL, &counted) <=
			    LINK_DROPPED);
	expect(m, r, number, sent, max, policy);
	link_settle(&m->link);
	assert_int_equal(link_unsent(&m->link), m->unsent);
	assert_int_equal(m->link.dropped, m->dropped);
	check_came(m);
}

/* A run of one or more frames; now and then one that is longer than a chunk. */
static void give_all(struct chunk_shelf *shelf, uint32_t number)
{
	static uint8_t bytes[RUN_MAX * 100000];
	uint64_t marks[RUN_MAX];
	struct iovec part = { bytes, 0 };
	struct chunk_copy copy = { .shelf = shelf };
	struct link_run r = {
		&part, 1, 0, marks, 1 + (size_t)rand() % RUN_MAX, 0, 0, &copy, 0, NULL
	};

	for (size_t i = 0; i < r.frames; i++) {
		size_t len = 2 + (size_t)rand() % (rand() % 300 ? 2000 : 100000);

		marks[i] = link_mark(len, LINK_MESSAGE);
		memset(bytes + r.len, (int)((number + i) % 251), len);
		r.len += len;
	}
	part.iov_len = r.len;
	r.messages = (uint32_t)r.frames;
	for (size_t i = 0; i < CROWD; i++)
		if (rand() % 10 > 0)
			give(&crowd[i], &r, number, rand() % 3 ? 0 : (size_t)rand() % 5000);
	chunk_copy_forget(&copy);
}

/* A long one in memory of its own, which the link may take. */
static void give_long(struct member *m, uint32_t number)
{
	static uint8_t bytes[500000];
	struct buffer own = { 0 };
	const size_t len = 10 + (size_t)rand() % (sizeof(bytes) - 10);
	struct iovec parts[] = { { bytes, 10 }, { NULL, len - 10 } };
	const uint64_t mark = link_mark(len, LINK_MESSAGE);
	struct link_run r = { parts, 2, len, &mark, 1, 1, 0, NULL, 0, &own };

	memset(bytes, (int)(number % 251), len);
	assert_true(buffer_append(&own, bytes, len - 10));
	parts[1].iov_base = own.p;
	account_take(own.len);
	give(m, &r, number, rand() % 3 ? (size_t)rand() % 100 : (size_t)rand() % 600000);
	account_give(own.len);
	buffer_free(&own);
}

static void crowd_end(struct member *m)
{
	while (m->link.pending)
		crowd_go_on(m, rand() % 20000);
	assert_int_equal(m->front, m->count);
	assert_int_equal(m->unsent, 0);
	assert_int_equal(m->link.messages, m->count);
	link_fini(&m->link);
}

static void test_the_same_runs_for_many(void **state)
{
	struct chunk_shelf shelf = { 0 };

	(void)state;
	for (unsigned seed = 1; seed <= 5; seed++) {
		srand(seed);
		crowd_begin();
		for (uint32_t i = 0; i < RUNS; i++) {
			struct member *m = &crowd[rand() % CROWD];

			if (rand() % 20 > 0)
				give_all(&shelf, i * RUN_MAX);
			else
				give_long(&crowd[rand() % CROWD], i * RUN_MAX);
			crowd_go_on(m, (size_t)rand() % (rand() % 20 ? 20000 : 400000));
			session.now += rand() % 4;
		}
		for (size_t i = 0; i < CROWD; i++)
			crowd_end(&crowd[i]);
		assert_true(LIST_EMPTY(&shelf.chunks));
		assert_int_equal(account_bytes, 0);
	}
}

/* A long message with memory of its own, of zeros behind a header of ten bytes. */
static struct long_message {
	struct buffer own;
	uint8_t header[10];
	struct iovec parts[2];
	uint64_t mark;
	struct link_run run;
} big;

static void make_big(size_t len)
{
	big = (struct long_message){ 0 };
	assert_true(buffer_reserve(&big.own, len));
	big.own.len = len;
	memset(big.own.p, 0, len);
	account_take(len);
	big.parts[0] = (struct iovec){ big.header, sizeof(big.header) };
	big.parts[1] = (struct iovec){ big.own.p, len };
	big.mark = link_mark(sizeof(big.header) + len, LINK_MESSAGE);
	big.run = (struct link_run){ .parts = big.parts,
				     .count = 2,
				     .len = sizeof(big.header) + len,
				     .marks = &big.mark,
				     .frames = 1,
				     .messages = 1,
				     .given = &big.own };
}

static void free_big(void)
{
	account_give(big.own.len);
	buffer_free(&big.own);
	assert_int_equal(account_bytes, 0);
}

enum { BIG = 1000000 };

/* While there is time in the turn it is written, without a copy. */
static void test_a_long_one_is_sent(void **state)
{
	const uint32_t share = this_turn.share;
	size_t sent;

	(void)state;
	make_big(BIG);
	this_turn.share = 1000000000;
	assert_int_equal(link_send(&l, &big.run, false, &sent), LINK_TAKEN);
	this_turn.share = share;
	link_portion.bytes = PORTION_MOST;
	assert_int_equal(wire.len, BIG + 10);
	assert_null(l.pending);
	free_big();
}

/*
 * Where the turn is over its rest waits, and nothing of it is copied: its memory is the link's.
 */
static void test_a_long_one_is_given(void **state)
{
	uint8_t *p;
	size_t sent;

	(void)state;
	make_big(BIG);
	p = big.own.p;
	link_portion.bytes = PORTION_LEAST; /* the last ones were not quick */
	assert_int_equal(link_send(&l, &big.run, false, &sent), LINK_KEPT);
	assert_int_equal(sent, PORTION_LEAST);
	spent();
	assert_int_equal(link_keep(&l, &big.run, sent, 0, LINK_STOP, NULL, &counted), LINK_KEPT);
	assert_int_equal(spent(), 0);
	assert_null(big.own.p);
	link_portion.bytes = PORTION_MOST;
	p[BIG - 1] = 42; /* seen by who keeps it, and not a copy */
	assert_in_range(account_bytes, BIG, BIG + 1000);
	/* what follows is not put into its memory */
	assert_int_equal(put(7, 20, LINK_MESSAGE, PLENTY, LINK_STOP), LINK_KEPT);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, 10 + BIG + 20);
	assert_int_equal(wire.bytes[10 + BIG - 1], 42);
	assert_sent(2, 10 + BIG + 20);
	free_big();
}

/* Waits with `sent` bytes of it out; returns where it is. */
static uint8_t *keep_big(size_t len, size_t sent)
{
	uint8_t *p;

	make_big(len);
	p = big.own.p;
	memset(p, 7, big.own.size);
	assert_int_equal(link_keep(&l, &big.run, sent, 0, LINK_STOP, NULL, &counted), LINK_KEPT);
	assert_null(big.own.p);
	return p;
}

/*
 * Of a long one with its memory, what is out already and what is behind its end take none as soon as
 * something waits behind it: max_pending says what a slow peer may cost.
 */
static void test_memory_of_what_is_given(void **state)
{
	enum { SIZE = 1 << 20, STEP = BLOCK_MIN, LEN = 11 * STEP - 10, MORE = CHUNK_MAX + 1000 };
	uint8_t *p;

	(void)state;
	p = keep_big(LEN, 5 * STEP + 10);
	assert_int_equal(resident(p, SIZE), SIZE);
	assert_in_range(account_bytes, LEN, LEN + 1000);
	/* a portion of what is ahead */
	put(7, 20, LINK_MESSAGE, PLENTY, LINK_STOP);
	assert_int_equal(resident(p, SIZE), 11 * STEP - BLOCK_PORTION);
	assert_in_range(account_bytes, LEN - BLOCK_PORTION, LEN - BLOCK_PORTION + MORE);
	session.now += 1000; /* what waits since another moment is another piece */
	put(8, 20, LINK_MESSAGE, PLENTY, LINK_STOP);
	assert_int_equal(resident(p, SIZE), 6 * STEP);
	assert_in_range(account_bytes, 6 * STEP - 10, 6 * STEP + MORE);
	assert_int_equal(p[5 * STEP], 7);
	assert_int_equal(p[11 * STEP - 11], 7);
	go_on(2 * STEP);
	assert_int_equal(resident(p, SIZE), 4 * STEP);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_int_equal(wire.len, LEN + 10 - (5 * STEP + 10) + 40);
	for (size_t i = 0; i < LEN - 5 * STEP; i++)
		assert_int_equal(wire.bytes[i], 7);
	free_big();
}

/*
 * One that others get, too, is written while there is time, and then no more of it: who does not take it
 * has it copied as a whole.
 */
static void test_a_long_one_of_many(void **state)
{
	const uint32_t share = this_turn.share;
	struct chunk_shelf shelf = { 0 };
	struct chunk_copy copy = { .shelf = &shelf };
	size_t sent;

	(void)state;
	make_big(BIG);
	big.run.given = NULL;
	big.run.copy = &copy;
	this_turn.share = 1000000000;
	assert_int_equal(link_send(&l, &big.run, false, &sent), LINK_TAKEN);
	this_turn.share = share;
	link_portion.bytes = PORTION_MOST;
	assert_int_equal(link_send(&l, &big.run, false, &sent), LINK_KEPT);
	assert_int_equal(sent, PORTION_MOST);
	spent();
	assert_int_equal(link_keep(&l, &big.run, sent, SIZE_MAX, LINK_STOP, NULL, &counted),
			 LINK_KEPT);
	assert_true(spent() > 0);
	chunk_copy_forget(&copy);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	link_portion.bytes = PORTION_MOST;
	assert_int_equal(wire.len, 2 * (BIG + 10));
	free_big();
}

/* Nobody keeps its memory for the end of it. */
static void test_the_end_of_a_long_one(void **state)
{
	enum { LEN = 200000 };
	size_t sent;

	(void)state;
	make_big(LEN);
	link_portion.bytes = PORTION_MOST;
	wire.takes = LEN - 70000;
	assert_int_equal(link_send(&l, &big.run, false, &sent), LINK_KEPT);
	assert_int_equal(link_keep(&l, &big.run, sent, 0, LINK_STOP, NULL, &counted), LINK_KEPT);
	assert_non_null(big.own.p);
	assert_int_equal(go_on(PLENTY), LINK_TAKEN);
	assert_sent(1, 10 + LEN);
	free_big();
}

/* Whose last bytes are cut goes on with others, as do those who have the same. */
static void test_cut_of_what_is_shared(void **state)
{
	struct chunk_shelf shelf = { 0 };
	struct member *cut = &crowd[0], *other = &crowd[1];

	(void)state;
	srand(1);
	crowd_begin();
	for (uint32_t i = 0; i < 40; i++)
		give_all(&shelf, i * RUN_MAX);
	link_cut(&cut->link);
	cut->count = cut->front + (cut->gone > 0);
	cut->unsent = cut->gone > 0 ? cut->frames[cut->front].len - cut->gone : 0;
	assert_int_equal(link_unsent(&cut->link), cut->unsent);
	assert_true(other->unsent > 20000);
	for (uint32_t i = 40; i < 60; i++)
		give_all(&shelf, i * RUN_MAX);
	/* gone while others still wait for the same bytes, and with it what is put on the shelf */
	chunk_shelf_clear(&shelf);
	for (size_t i = 0; i < CROWD; i++)
		crowd_end(&crowd[i]);
}

/* What all keep is there once, also where it came in short messages, one by one. */
static void test_memory_of_what_is_shared(void **state)
{
	struct chunk_shelf shelf = { 0 };
	static uint8_t bytes[100];
	struct iovec part = { bytes, sizeof(bytes) };
	uint64_t mark = link_mark(sizeof(bytes), LINK_MESSAGE);
	size_t before, used, sent;

	(void)state;
	crowd_begin();
	before = account_bytes;
	for (size_t i = 0; i < 500; i++) {
		struct chunk_copy copy = { .shelf = &shelf };
		struct link_run r = { &part, 1, sizeof(bytes), &mark, 1, 1, 0, &copy, 0, NULL };

		for (size_t k = 0; k < CROWD; k++) {
			wire.takes = 0;
			assert_int_equal(link_send(&crowd[k].link, &r, false, &sent), LINK_KEPT);
			link_keep(&crowd[k].link, &r, sent, SIZE_MAX, LINK_STOP, NULL, &counted);
		}
		chunk_copy_forget(&copy);
	}
	used = account_bytes - before;
	/* 50,000 bytes once, in chunks of up to 32 KiB; and of each member the first 4 KiB */
	assert_true(used >= 50000 && used < 8192 + 16384 + 32768 + CROWD * 9000);
	for (size_t k = 0; k < CROWD; k++)
		link_fini(&crowd[k].link);
	assert_true(LIST_EMPTY(&shelf.chunks));
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_whole),
		TEST(test_cut_frame),
		TEST(test_limit),
		TEST(test_keeping_is_charged),
		TEST(test_rest_of_run),
		TEST(test_stop),
		TEST(test_broken),
		TEST(test_broken_at_once),
		TEST(test_temporary_errors),
		TEST(test_held_back),
		TEST(test_newest_pong),
		TEST(test_memory_of_tiny_messages),
		TEST(test_frames_of_all_lengths),
		TEST(test_gathering),
		TEST(test_gathering_has_an_end),
		TEST(test_reading),
		TEST(test_interest),
		TEST(test_said_from_outside),
		TEST(test_oldest_gives_way),
		TEST(test_latest_alone),
		TEST(test_old_ones_go),
		TEST(test_dropping_is_charged),
		TEST(test_of_very_many_old_ones_some_go),
		TEST(test_against_model),
		TEST(test_what_waits),
		TEST(test_much_is_written_in_portions),
		TEST(test_the_same_runs_for_many),
		TEST(test_a_long_one_is_sent),
		TEST(test_a_long_one_is_given),
		TEST(test_memory_of_what_is_given),
		TEST(test_a_long_one_of_many),
		TEST(test_the_end_of_a_long_one),
		TEST(test_cut_of_what_is_shared),
		TEST(test_memory_of_what_is_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
