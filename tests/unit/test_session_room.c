/*
 * Rooms in one worker: who hears what, in one turn with joins and leaves, and while the bus is
 * full; and what is compressed for whom.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "bus/bus_internal.h"
#include "failing.h"
#include "session/worker.h"

#define ZIP "compression = { enabled = true; threshold = \"64\"; "
#define ASKS "Sec-WebSocket-Extensions: permessage-deflate\r\n"

static struct client a, b, c, joining;

static int begin(void **state)
{
	(void)state;
	worker_begin("handshake_timeout = \"10s\"; ping_interval = \"0\"; idle_timeout = \"12s\";\n"
		     "max_message = \"60K\"; max_pending = \"1M\";\n"
		     "endpoints = ( { path = \"/\"; behaviour = \"room\"; },\n"
		     "  { path = \"/two\"; behaviour = \"room\"; },\n"
		     "  { path = \"/others\"; behaviour = \"room\"; include_sender = false; },\n"
		     "  { path = \"/both\"; behaviour = \"room\"; format = \"both\"; },\n"
		     "  { path = \"/remembers\"; behaviour = \"room\";\n"
		     "    " ZIP "server_context_takeover = true; }; },\n"
		     "  { path = \"/fast\"; behaviour = \"echo\"; " ZIP "level = 1; }; },\n"
		     "  { path = \"/small\"; behaviour = \"echo\"; " ZIP "level = 9; }; } );\n",
		     NULL);
	return 0;
}

/* Has a frame taken, and does not end the turn: nothing is delivered yet. */
static void say_within_the_turn(struct client *k, const char *text)
{
	uint8_t frame[256];
	size_t n = client_frame(frame, 0x81, text, strlen(text));

	assert_int_equal(write(k->fd, frame, n), (ssize_t)n);
	event_base_loop(worker.base, EVLOOP_NONBLOCK);
}

static void join_within_the_turn(struct client *k, const char *request)
{
	connect_client(k);
	assert_int_equal(write(k->fd, request, strlen(request)), (ssize_t)strlen(request));
	event_base_loop(worker.base, EVLOOP_NONBLOCK);
	assert_int_equal(k->conn->state_now, CONN_OPEN);
	hear(k);
	k->len = 0;
}

static uint64_t members(const char *name)
{
	struct bus_room room;

	return bus_find(worker.bus, name, strlen(name), &room) == BUS_OK
		       ? bus_members(worker.bus, room)
		       : 0;
}

/* --- who hears what --- */

static void test_members_come_and_go(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	upgrade(&c, REQUEST("/") "\r\n");
	assert_int_equal(members("/"), 3);
	say_frame(&a, 0x81, "all");
	ASSERT_HEARD(&a, "\x81\x03"
			 "all");
	ASSERT_HEARD(&b, "\x81\x03"
			 "all");
	ASSERT_HEARD(&c, "\x81\x03"
			 "all");
	/* the last one moves to the place of the first, and leaves from there */
	disconnect(&a);
	disconnect(&c);
	assert_int_equal(members("/"), 1);
	say_frame(&b, 0x81, "me");
	ASSERT_HEARD(&b, "\x81\x02me");
	upgrade(&c, REQUEST("/") "\r\n");
	assert_int_equal(members("/"), 2);
	say_frame(&b, 0x81, "us");
	ASSERT_HEARD(&b, "\x81\x02us");
	ASSERT_HEARD(&c, "\x81\x02us");
	disconnect(&b);
	disconnect(&c);
	assert_int_equal(members("/"), 0);
}

/* Who cannot be made an envelope for is let go, and nobody else misses anything. */
static void test_no_memory_for_envelopes(void **state)
{
	unsigned failed = 0;

	(void)state;
	upgrade(&a, REQUEST("/both") "\r\n");
	for (unsigned n = 1; n < 8; n++) {
		upgrade(&b, REQUEST("/both") "Sec-WebSocket-Protocol: ignyx.room.v1\r\n\r\n");
		b.len = 0;
		say_within_the_turn(&a, "all");
		failing_nth(n);
		turn();
		failed += failing_end();
		ASSERT_HEARD(&a, "\x81\x03"
				 "all");
		hear(&b);
		assert_true(b.len > 0 || !lives(&b));
		if (lives(&b))
			disconnect(&b);
		else
			close(b.fd);
		b.conn = NULL;
		turn();
		a.len = 0;
	}
	assert_true(failed > 0);
	disconnect(&a);
}

/* Half of a turn is half of a turn, however much is asked in one read: the rest waits. */
static void test_requests_take_turns(void **state)
{
	enum { LONG = 4000, MANY = 16 };
	static char text[LONG + 1];
	uint8_t frames[MANY * (LONG + 8)];
	size_t len = 0;

	(void)state;
	strcpy(text, "{\"ignyx\":[");
	while (strlen(text) < LONG - 4)
		strcat(text, "1,");
	strcat(text, "1]}");
	for (int i = 0; i < MANY; i++)
		len += client_frame(frames + len, 0x81, text, strlen(text));
	upgrade(&b, REQUEST("/both") "Sec-WebSocket-Protocol: ignyx.room.v1\r\n\r\n");
	b.len = 0;
	assert_int_equal(write(b.fd, frames, len), (ssize_t)len);
	turn_short(TURN_STEP);
	assert_in_range(b.conn->messages_in, 1, MANY / 2);
	turn();
	assert_int_equal(b.conn->messages_in, MANY);
	disconnect(&b);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* How many deliveries there were, over all times that they took since they were published. */
static uint64_t written(void)
{
	uint64_t n = 0;

	for (int i = 0; i <= METRICS_BOUNDS; i++)
		n += session.row->publish_to_write.counts[i];
	return n;
}

/* What is delivered to many at once counts as if each had been sent it. */
static void test_what_is_counted(void **state)
{
	char text[201];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	upgrade(&c, REQUEST("/others") "\r\n");
	say_frame(&a, 0x81, "one");
	say_frame(&b, 0x81, text);
	say_within_the_turn(&a, "and");
	say_within_the_turn(&b, "two");
	turn();
	assert_int_equal(COUNTED_AT("/", messages_in), 4);
	assert_int_equal(COUNTED_AT("/", payload_in), 209);
	assert_int_equal(COUNTED_AT("/", bytes_in), 209 + 3 * 6 + 8);
	assert_int_equal(COUNTED_AT("/", deliveries), 8);
	assert_int_equal(written(), 8);
	assert_int_equal(COUNTED_AT("/", messages_out), 8);
	assert_int_equal(COUNTED_AT("/", bytes_out), 2 * (209 + 3 * 2 + 4));
	assert_int_equal(metrics_payload_out(worker.metrics, metrics_label_of(worker.metrics, "/")),
			 2 * 209);
	/* one that is left out, and joins */
	join_within_the_turn(&joining, REQUEST("/others") "\r\n");
	say_within_the_turn(&c, "first");
	say_within_the_turn(&joining, "second");
	turn();
	assert_int_equal(COUNTED_AT("/others", deliveries), 2);
	assert_int_equal(written(), 10);
	assert_int_equal(COUNTED_AT("/others", messages_out), 2);
	disconnect(&a);
	disconnect(&b);
	disconnect(&c);
	disconnect(&joining);
	assert_int_equal(COUNTED_AT("/", open), 0);
	assert_int_equal(COUNTED_AT("/", opened), 2);
	assert_int_equal(COUNTED_AT("/others", opened), 2);
	assert_int_equal(COUNTED_AT("/two", opened), 0);
}

/* Who joins hears what is said from then on, also where all of it is delivered at once. */
static void test_joins_between_two_messages(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	say_within_the_turn(&a, "old");
	join_within_the_turn(&b, REQUEST("/") "\r\n");
	say_within_the_turn(&a, "new");
	turn();
	ASSERT_HEARD(&a, "\x81\x03old\x81\x03new");
	ASSERT_HEARD(&b, "\x81\x03new");
	disconnect(&a);
	disconnect(&b);
}

static void test_rooms_of_one_turn(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/two") "\r\n");
	for (int n = 1; n <= 2; n++) {
		for (int i = 0; i < n; i++) {
			say_within_the_turn(&a, "one");
			say_within_the_turn(&b, "two");
		}
		turn();
	}
	ASSERT_HEARD(&a, "\x81\x03one\x81\x03one\x81\x03one");
	ASSERT_HEARD(&b, "\x81\x03two\x81\x03two\x81\x03two");
	disconnect(&a);
	disconnect(&b);
}

static void test_senders_are_left_out(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/others") "\r\n");
	upgrade(&b, REQUEST("/others") "\r\n");
	upgrade(&c, REQUEST("/others") "\r\n");
	say_frame(&a, 0x81, "a1");
	ASSERT_HEARD(&a, "");
	ASSERT_HEARD(&b, "\x81\x02"
			 "a1");
	ASSERT_HEARD(&c, "\x81\x02"
			 "a1");
	say_within_the_turn(&a, "a2");
	say_within_the_turn(&b, "b1");
	turn();
	ASSERT_HEARD(&a, "\x81\x02"
			 "b1");
	ASSERT_HEARD(&b, "\x81\x02"
			 "a2");
	ASSERT_HEARD(&c, "\x81\x02"
			 "a2\x81\x02"
			 "b1");
	disconnect(&a);
	disconnect(&b);
	disconnect(&c);
}

/* What was said ahead of the stop comes ahead of the close frame. */
static void test_stop(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	say_within_the_turn(&a, "last");
	session_stop(1000, 0);
	turn();
	ASSERT_HEARD(&a, "\x81\x04last\x88\x0a\x03\xe9shutdown");
	disconnect(&a);
}

/* --- while the bus is full --- */

/* Another worker becomes a reader of the room, and reads nothing. It is forked in none. */
static void join_by_another(const char *room)
{
	struct bus_room r;
	uint64_t sequence;
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		bus_set_slot(worker.bus, OTHER_SLOT);
		_exit(bus_join(worker.bus, room, strlen(room), NULL, &r, &sequence) == BUS_OK ? 0
											      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* Its end: the bus has space again. */
static void leave_by_another(void)
{
	bus_clear_slot(worker.bus, OTHER_SLOT);
	turn();
}

/* Publishes until it has to wait, with a message that nobody else has; returns how many went. */
static int say_until_it_waits(struct client *k)
{
	char text[4001];
	int n = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (; !k->conn->parked && n < 100; n++)
		say_frame(k, 0x81, text);
	assert_true(k->conn->parked);
	return n;
}

static void assert_ends(struct client *k, const char *bytes, size_t n)
{
	hear(k);
	assert_true(k->len >= n);
	assert_memory_equal(k->got + k->len - n, bytes, n);
	k->len = 0;
}

/* They go on in the order in which they came, each with what it has said behind; nobody hears himself. */
static void test_who_waits(void **state)
{
	size_t mine;

	(void)state;
	join_by_another("/others");
	upgrade(&a, REQUEST("/others") "\r\n");
	upgrade(&b, REQUEST("/others") "\r\n");
	upgrade(&c, REQUEST("/others") "\r\n");
	say_until_it_waits(&a);
	say_frame(&b, 0x81, "b1");
	assert_true(b.conn->parked);
	say_frame(&a, 0x81, "a2");
	hear(&a);
	assert_int_equal(a.len, 0);
	hear(&c);
	mine = c.len;
	leave_by_another();
	assert_false(a.conn->parked || b.conn->parked);
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	ASSERT_HEARD(&a, "\x81\x02"
			 "b1");
	assert_ends(&b,
		    "x\x81\x02"
		    "a2",
		    5);
	hear(&c);
	assert_int_equal(c.len, mine + 4004 + 4 + 4);
	assert_ends(&c,
		    "x\x81\x02"
		    "b1\x81\x02"
		    "a2",
		    9);
	disconnect(&a);
	disconnect(&b);
	disconnect(&c);
}

/* Another worker that is in a room of its own, too, so that it stays behind when it leaves this one. */
static struct bus other_bus;

static void another_is_in(const char *room, struct bus_room *r)
{
	uint64_t sequence;

	assert_int_equal(bus_join(&other_bus, room, strlen(room), NULL, r, &sequence), BUS_OK);
}

/* The bus is full for one room and has space for another, which does not wait for that. */
static void test_rooms_wait_apart(void **state)
{
	struct bus_room one, two;

	(void)state;
	other_bus = *worker.bus;
	bus_set_slot(&other_bus, OTHER_SLOT);
	another_is_in("/", &one);
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/two") "\r\n");
	say_until_it_waits(&a);
	for (int n = 0; n < 3; n++) {
		say_frame(&b, 0x81, "go");
		assert_false(b.conn->parked);
		ASSERT_HEARD(&b, "\x81\x02go");
	}

	/* Both wait, this one behind the other; and it goes on first. */
	another_is_in("/two", &two);
	say_frame(&b, 0x81, "stop");
	assert_true(a.conn->parked && b.conn->parked);
	bus_leave(&other_bus, two);
	turn();
	assert_true(a.conn->parked);
	assert_false(b.conn->parked);
	ASSERT_HEARD(&b, "\x81\x04stop");
	leave_by_another();
	assert_false(a.conn->parked);
	disconnect(&a);
	disconnect(&b);
}

/* --- bursts of several workers --- */

static void say_by_another(struct bus_room room, int times)
{
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE, .sender = (uint64_t)1 << 56 | 7 };
	const struct bus_part part = { "\x81\x01o", 3 };

	for (int i = 0; i < times; i++)
		assert_int_equal(bus_append(&other_bus, room, &meta, &part, 1), BUS_OK);
}

static void say_times(struct client *k, int times)
{
	for (int i = 0; i < times; i++)
		say_within_the_turn(k, "m");
}

static size_t heard(struct client *k)
{
	size_t n;

	hear(k);
	n = k->len / 3;
	k->len = 0;
	return n;
}

/* Where two workers write in bursts a batch waits one turn for more; else what is said goes at once. */
static void test_bursts_are_gathered(void **state)
{
	struct bus_room room;

	(void)state;
	other_bus = *worker.bus;
	bus_set_slot(&other_bus, OTHER_SLOT);
	upgrade(&a, REQUEST("/") "\r\n");
	assert_int_equal(bus_open(&other_bus, "/", 1, NULL, &room), BUS_OK);

	/* its own alone, and the others' alone: nothing to wait for, up to here */
	for (int i = 0; i < 3; i++) {
		say_times(&a, 20);
		session_turn_end();
		assert_int_equal(heard(&a), 20);
	}
	say_by_another(room, 20);
	session_turn_end();
	assert_int_equal(heard(&a), 20);

	/* half batches have come: the next one waits for the other half, once */
	say_times(&a, 20);
	assert_true(session_turn_end());
	assert_int_equal(heard(&a), 0);
	say_by_another(room, 20);
	assert_false(session_turn_end());
	assert_int_equal(heard(&a), 40);
	say_times(&a, 20);
	assert_true(session_turn_end());
	assert_false(session_turn_end());
	assert_int_equal(heard(&a), 20);

	/* there is nothing to wait with where nothing is new */
	assert_false(session_turn_end());

	/* and few messages are no burst: two batches later they go at once */
	for (int i = 0; i < 3; i++) {
		say_times(&a, 1);
		say_by_another(room, 1);
		session_turn_end();
		session_turn_end();
		assert_int_equal(heard(&a), 2);
	}
	say_times(&a, 1);
	session_turn_end();
	assert_int_equal(heard(&a), 1);
	disconnect(&a);
}

/* What came with the message, in the same bytes, waits with it. */
static void test_what_is_behind_waits_too(void **state)
{
	uint8_t bytes[64];
	size_t n;

	(void)state;
	join_by_another("/");
	upgrade(&a, REQUEST("/") "\r\n");
	say_until_it_waits(&a);
	upgrade(&b, REQUEST("/") "\r\n");
	n = client_frame(bytes, 0x81, "1", 1);
	n += client_frame(bytes + n, 0x81, "2", 1);
	say_bytes(&b, bytes, n);
	assert_true(b.conn->parked);
	assert_int_equal(b.conn->messages_in, 1);
	leave_by_another();
	assert_int_equal(b.conn->messages_in, 2);
	assert_ends(&b,
		    "x\x81\x01"
		    "1\x81\x01"
		    "2",
		    7);
	disconnect(&a);
	disconnect(&b);
}

/* Its silence is ours: it is not idle meanwhile, nor as soon as it goes on. */
static void test_who_waits_is_not_idle(void **state)
{
	(void)state;
	join_by_another("/others");
	upgrade(&a, REQUEST("/others") "\r\n");
	say_until_it_waits(&a);
	pass(20000);
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	leave_by_another();
	assert_false(a.conn->parked);
	pass(9000);
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	pass(4000);
	assert_int_equal(a.conn->reason, REASON_IDLE_TIMEOUT);
	disconnect(&a);
}

/* One that ends while it waits is not waited with any more. */
static void test_who_ends_while_it_waits(void **state)
{
	(void)state;
	join_by_another("/others");
	upgrade(&a, REQUEST("/others") "\r\n");
	upgrade(&b, REQUEST("/others") "\r\n");
	say_until_it_waits(&a);
	assert_true(park_retry());
	conn_kill(a.conn, REASON_RESET);
	turn();
	assert_false(park_retry());
	close(a.fd);
	hear(&b);
	b.len = 0;
	leave_by_another();
	ASSERT_HEARD(&b, "");
	disconnect(&b);
}

/* What one publishes in a turn that is short is its share, whatever it has sent. */
static void test_publishing_by_shares(void **state)
{
	enum { MESSAGES = 14 };
	static uint8_t bytes[MESSAGES * 4100];
	char text[4001];
	size_t len = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < MESSAGES; i++)
		len += client_frame(bytes + len, 0x81, text, strlen(text));
	upgrade(&a, REQUEST("/") "\r\n");
	assert_int_equal(write(a.fd, bytes, len), (ssize_t)len);
	turn_short(TURN_STEP);
	assert_in_range(a.conn->messages_in, 2, 7);
	turn();
	assert_int_equal(a.conn->messages_in, MESSAGES);
	disconnect(&a);
}

/* However many wait, a turn puts in as many as it has time for; the others are next. */
static void test_waiting_go_on_by_turns(void **state)
{
	static struct client many[10];

	(void)state;
	join_by_another("/others");
	upgrade(&a, REQUEST("/others") "\r\n");
	say_until_it_waits(&a);
	for (int i = 0; i < 10; i++) {
		upgrade(&many[i], REQUEST("/others") "\r\n");
		say_frame(&many[i], 0x81, "x");
		assert_true(many[i].conn->parked);
	}
	bus_clear_slot(worker.bus, OTHER_SLOT);
	assert_true(end_turn(0));
	/* the first has its place: it is the first that is gone on with */
	assert_false(park_has_message(a.conn));
	for (int i = 0; i < 10; i++)
		assert_true(park_has_message(many[i].conn));
	for (int turns = 0; end_turn(0); turns++)
		assert_true(turns < 60);
	for (int i = 0; i < 10; i++)
		assert_false(many[i].conn->parked);
	for (int i = 0; i < 10; i++)
		disconnect(&many[i]);
	disconnect(&a);
}

/* Where a turn has time for one alone the rooms have it by turns, and not always the same one. */
static void test_waiting_rooms_go_on_by_turns(void **state)
{
	static const char *const rooms[] = { "/", "/two", "/others" };
	static const char *const requests[] = { REQUEST("/") "\r\n", REQUEST("/two") "\r\n",
						REQUEST("/others") "\r\n" };
	static struct client many[3][3];

	(void)state;
	for (int i = 0; i < 3; i++)
		join_by_another(rooms[i]);
	for (int i = 0; i < 3; i++) {
		for (int j = 0; j < 3; j++)
			upgrade(&many[i][j], requests[i]);
		say_until_it_waits(&many[i][0]);
		for (int j = 1; j < 3; j++)
			say_frame(&many[i][j], 0x81, "x");
	}
	bus_clear_slot(worker.bus, OTHER_SLOT);
	for (int turns = 1; turns <= 9; turns++) {
		this_turn = (struct turn){ .began = 1 };
		assert_int_equal(park_retry(), turns < 9 ? PARK_UNTRIED : PARK_NONE);
		for (int i = 0; i < 3; i++)
			for (int j = 0; j < 3; j++)
				assert_int_equal(many[i][j].conn->parked &&
							 park_has_message(many[i][j].conn),
						 3 * j + i >= turns);
	}
	turn();
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			disconnect(&many[i][j]);
}

/* --- compressed --- */

/* Short messages go out as they are, also to who remembers what came before. */
static void test_threshold_with_takeover(void **state)
{
	char text[101];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	upgrade(&a, REQUEST("/remembers") ASKS "\r\n");
	assert_int_equal(a.conn->deflate->params.server_takeover, true);
	for (int i = 0; i < 2; i++) {
		say_frame(&a, 0x81, text);
		hear(&a);
		assert_int_equal(a.got[0], 0xc1);
		assert_true(a.len < 50);
		a.len = 0;
		say_frame(&a, 0x81, "short");
		ASSERT_HEARD(&a, "\x81\x05short");
	}
	disconnect(&a);
}

/* What was agreed on stays allowed, and is not done any more. */
static void test_reload_that_turns_it_off(void **state)
{
	char text[101];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	upgrade(&a, REQUEST("/remembers") ASKS "\r\n");
	say_frame(&a, 0x81, text);
	hear(&a);
	assert_int_equal(a.got[0], 0xc1);
	a.len = 0;
	reload_worker("max_message = \"60K\"; endpoints = ( { path = \"/remembers\";"
		      " behaviour = \"room\"; } );\n",
		      NULL);
	assert_reloaded(1, 0);
	say_frame(&a, 0x81, text);
	hear(&a);
	assert_int_equal(a.len, 102);
	assert_memory_equal(a.got, "\x81\x64xxx", 5);
	disconnect(&a);
}

/* How long the same long text is as an endpoint sends it. */
static size_t length_at(const char *request)
{
	static char text[50001];
	unsigned seed = 1;
	size_t n;

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		seed = seed * 1103515245 + 12345;
		text[i] = "abcdefgh"[seed >> 20 & (i / 64 % 2 ? 7 : 3)];
	}
	upgrade(&a, request);
	say_frame(&a, 0x81, text);
	hear(&a);
	assert_int_equal(a.got[0], 0xc1);
	n = a.len;
	disconnect(&a);
	return n;
}

/* One compressor for all with the same window; each endpoint has its own level for all that. */
static void test_levels_of_endpoints(void **state)
{
	size_t fast = length_at(REQUEST("/fast") ASKS "\r\n");

	(void)state;
	assert_true(length_at(REQUEST("/small") ASKS "\r\n") < fast);
	assert_int_equal(length_at(REQUEST("/fast") ASKS "\r\n"), fast);
}

/* --- what is in the log --- */

static void append_at(const char *room, uint16_t kind, const char *frame, int64_t time)
{
	const struct bus_meta meta = { .kind = kind, .time = time };
	const struct bus_part part = { frame, strlen(frame) };
	const struct config_endpoint *e = config_route_name(session.config, room);
	enum reason why;

	assert_int_equal(
		bus_append(worker.bus, registry_enter(e, room, &why)->bus, &meta, &part, 1),
		BUS_OK);
}

static void append(const char *room, uint16_t kind, const char *frame)
{
	append_at(room, kind, frame, now_ms());
}

/* What only a newer process understands is passed over and counted, and what is behind it comes. */
static void test_kinds_that_are_not_known(void **state)
{
	uint64_t before = session.row->passed_over;

	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	append("/", BUS_KIND_MESSAGE + 1, "\x81\x01?");
	say_within_the_turn(&a, "x");
	append("/", 0, "not a frame");
	append("/", BUS_KIND_KEPT - 1, "\x88");
	/* this one is known, and nothing new */
	append("/", BUS_KIND_KEPT, "\x81\x01z");
	say_frame(&b, 0x81, "y");
	ASSERT_HEARD(&a, "\x81\x01x\x81\x01y");
	ASSERT_HEARD(&b, "\x81\x01x\x81\x01y");
	assert_int_equal(session.row->passed_over - before, 3);
	disconnect(&a);
	disconnect(&b);
}

/* From when it was published, wherever that was. One of another's clock may be of tomorrow. */
static void test_from_publishing_to_the_write(void **state)
{
	enum { UP_TO_5_S = 14 };
	const struct metrics_times *t = &session.row->publish_to_write;
	uint64_t late = t->counts[UP_TO_5_S], sum = t->sum, all = written();

	(void)state;
	assert_int_equal(metrics_bounds[UP_TO_5_S], 5000000);
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/") "\r\n");
	append_at("/", BUS_KIND_MESSAGE, "\x81\x01x", now_ms() - 4000);
	turn();
	assert_int_equal(t->counts[UP_TO_5_S], late + 2);
	assert_in_range(t->sum, sum + 2 * 4000000, sum + 2 * 4900000);
	sum = t->sum;
	append_at("/", BUS_KIND_MESSAGE, "\x81\x01y", now_ms() + 100000);
	turn();
	assert_int_equal(written(), all + 4);
	assert_int_equal(t->sum, sum);
	ASSERT_HEARD(&a, "\x81\x01x\x81\x01y");
	ASSERT_HEARD(&b, "\x81\x01x\x81\x01y");
	disconnect(&a);
	disconnect(&b);
}

/* An entry says who sent it and when, whether that one is left out or not. */
static void test_what_is_told_of_a_message(void **state)
{
	const int64_t before = now_ms();
	struct bus_entry e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		upgrade(&a, i ? REQUEST("/others") "\r\n" : REQUEST("/") "\r\n");
		say_within_the_turn(&a, "x");
		assert_int_equal(bus_read(worker.bus, bus_cursor(worker.bus), &e), BUS_OK);
		assert_int_equal(e.meta.kind, BUS_KIND_MESSAGE);
		assert_int_equal(e.meta.sender, a.conn->id);
		assert_int_equal(e.meta.not_to_sender, i == 1);
		/* the loop's time is of when it woke, and its clock is looked at every 5 s */
		assert_in_range(e.meta.time, before - 1000, now_ms() + 1000);
		disconnect(&a);
	}
}

/* The name is the member's own: it is in the log's entries after a reload, up to the end. */
static void test_room_over_a_reload(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/") "\r\n");
	upgrade(&b, REQUEST("/two") "\r\n");
	reload_worker("max_message = \"60K\";\n"
		      "endpoints = ( { path = \"/\"; behaviour = \"room\"; },\n"
		      "  { path = \"/two\"; behaviour = \"echo\"; } );\n",
		      NULL);
	assert_reloaded(1, 1);
	assert_string_equal(a.conn->admission->name, "/");
	assert_string_equal(b.conn->admission->name, "/two");
	upgrade(&c, REQUEST("/") "\r\n");
	say_frame(&c, 0x81, "x");
	ASSERT_HEARD(&a, "\x81\x01x");
	disconnect(&a);
	disconnect(&b);
	disconnect(&c);
}

/* --- time --- */

/* idle_timeout counts from when it is open, however long it took to ask. */
static void test_idle_from_open(void **state)
{
	(void)state;
	connect_client(&a);
	pass(9000);
	say(&a, REQUEST("/") "\r\n");
	pass(11900);
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	pass(100);
	assert_int_equal(a.conn->reason, REASON_IDLE_TIMEOUT);
	disconnect(&a);
}

/* Who only listens is not idle, nor who only speaks. */
static void test_listening_is_not_idle(void **state)
{
	(void)state;
	upgrade(&a, REQUEST("/others") "\r\n");
	upgrade(&b, REQUEST("/others") "\r\n");
	for (int i = 0; i < 3; i++) {
		say_frame(&a, 0x81, "x");
		pass(10000);
		assert_int_equal(a.conn->state_now, CONN_OPEN);
		assert_int_equal(b.conn->state_now, CONN_OPEN);
	}
	pass(2000);
	assert_int_equal(a.conn->reason, REASON_IDLE_TIMEOUT);
	assert_int_equal(b.conn->reason, REASON_IDLE_TIMEOUT);
	disconnect(&a);
	disconnect(&b);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_members_come_and_go),
		TEST(test_no_memory_for_envelopes),
		TEST(test_requests_take_turns),
		TEST(test_what_is_counted),
		TEST(test_from_publishing_to_the_write),
		TEST(test_joins_between_two_messages),
		TEST(test_rooms_of_one_turn),
		TEST(test_senders_are_left_out),
		TEST(test_stop),
		TEST(test_who_waits),
		TEST(test_rooms_wait_apart),
		TEST(test_bursts_are_gathered),
		TEST(test_what_is_behind_waits_too),
		TEST(test_who_waits_is_not_idle),
		TEST(test_who_ends_while_it_waits),
		TEST(test_publishing_by_shares),
		TEST(test_waiting_go_on_by_turns),
		TEST(test_waiting_rooms_go_on_by_turns),
		TEST(test_threshold_with_takeover),
		TEST(test_reload_that_turns_it_off),
		TEST(test_levels_of_endpoints),
		TEST(test_kinds_that_are_not_known),
		TEST(test_what_is_told_of_a_message),
		TEST(test_room_over_a_reload),
		TEST(test_idle_from_open),
		TEST(test_listening_is_not_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
