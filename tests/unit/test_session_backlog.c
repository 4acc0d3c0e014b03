/*
 * Deliveries that one turn does not finish: who hears what where members join, leave and are
 * reloaded between two portions, in which order, and what is compressed over many turns.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "base/counted.h"
#include "failing.h"
#include "session/worker.h"
#include "session/slices.h"
#include "session/turn.h"

#define ASKS "Sec-WebSocket-Extensions: permessage-deflate\r\n"
#define OWN "compression = { enabled = true; server_context_takeover = true; };"
#define CONFIG                                                                                     \
	"handshake_timeout = \"10s\"; ping_interval = \"0\"; access_log = false; max_message = "   \
	"\"60K\";\n"                                                                               \
	"max_pending = \"4M\";\n"                                                                  \
	"endpoints = ( { path = \"/\"; behaviour = \"room\"; },\n"                                 \
	"  { path = \"/two\"; behaviour = \"room\"; },\n"                                          \
	"  { path = \"/others\"; behaviour = \"room\"; include_sender = false; },\n"               \
	"  { path = \"/zip\"; behaviour = \"room\"; compression = { enabled = true; }; },\n"       \
	"  { path = \"/own\"; behaviour = \"room\"; max_pending = \"244K\"; " OWN " },\n"          \
	"  { path = \"/echo\"; behaviour = \"echo\"; max_pending = \"4K\"; " OWN " },\n"           \
	"  { path = \"/alone\"; behaviour = \"echo\"; max_pending = \"4K\";\n"                     \
	"    compression = { enabled = true; }; },\n"                                              \
	"  { path = \"/nine\"; behaviour = \"echo\"; compression = { enabled = true; level = 9; "  \
	"}; } "                                                                                    \
	");\n"

enum { CLIENTS = 12, STEPS = 3000, MESSAGES = 4000, TEXT = 8 };

static struct client clients[CLIENTS], a, b;

static int begin(void **state)
{
	(void)state;
	worker_begin(CONFIG, NULL);
	return 0;
}

static void take_events(void)
{
	event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
}

/* A turn that is over as soon as so much was charged in it. */
static bool turn_after_events(int64_t credit)
{
	take_events();
	return end_turn(credit);
}

static void publish(struct client *k, const char *text)
{
	uint8_t frame[1024];
	size_t n = client_frame(frame, 0x81, text, strlen(text));

	assert_int_equal(write(k->fd, frame, n), (ssize_t)n);
	take_events();
}

/* --- a model --- */

/* What was published, in the order of the log, and by whom. */
static struct {
	unsigned sender;
	char text[TEXT + 1];
} said[MESSAGES];
static unsigned said_count;
static unsigned since[CLIENTS]; /* what was published before they joined */
static unsigned ids[CLIENTS], next_id;

/* What a member is to hear of the first `count`; returns its length. */
static size_t expected(unsigned i, bool others, uint8_t *out)
{
	size_t n = 0;

	for (unsigned m = since[i]; m < said_count; m++) {
		if (others && said[m].sender == ids[i])
			continue;
		out[n++] = 0x81;
		out[n++] = TEXT;
		memcpy(out + n, said[m].text, TEXT);
		n += TEXT;
	}
	return n;
}

/* It has heard a part of that in its order, or all of it. */
static void check(unsigned i, bool others, bool all)
{
	static uint8_t out[MESSAGES * (TEXT + 2)];
	size_t n = expected(i, others, out);

	hear(&clients[i]);
	assert_true(clients[i].len <= n);
	if (all)
		assert_int_equal(clients[i].len, n);
	if (clients[i].len > 0)
		assert_memory_equal(clients[i].got, out, clients[i].len);
}

static void come(unsigned i, const char *request)
{
	connect_client(&clients[i]);
	assert_int_equal(write(clients[i].fd, request, strlen(request)), (ssize_t)strlen(request));
	take_events();
	assert_int_equal(clients[i].conn->state_now, CONN_OPEN);
	while (clients[i].len == 0)
		hear(&clients[i]);
	assert_memory_equal(clients[i].got, "HTTP/1.1 101", 12);
	clients[i].len = 0;
	since[i] = said_count;
	ids[i] = next_id++;
}

static void go(unsigned i, bool others)
{
	check(i, others, false);
	close(clients[i].fd);
	take_events();
	clients[i].conn = NULL;
}

static void say_one(unsigned i)
{
	char *text = said[said_count].text;

	snprintf(text, TEXT + 1, "%08u", said_count % 100000000);
	said[said_count++].sender = ids[i];
	publish(&clients[i], text);
}

static void reload(void)
{
	reload_worker(CONFIG, NULL);
	assert_int_equal(reloaded.closed, 0);
}

static unsigned rnd(unsigned *seed, unsigned below)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % below;
}

static void model(const char *request, bool others, unsigned seed)
{
	said_count = 0;
	for (unsigned step = 0; step < STEPS && said_count < MESSAGES; step++) {
		unsigned i = rnd(&seed, CLIENTS), what = rnd(&seed, 100);

		if (!clients[i].conn)
			come(i, request);
		else if (what < 8)
			go(i, others);
		else if (what < 50 && backlog_bytes() < 100 * 1024)
			/* nobody waits: what is said is in the log at once */
			say_one(i);
		else if (what < 52)
			reload();
		else
			turn_after_events(rnd(&seed, 6) * TURN_CALL);
	}
	turn();
	while (session_turn_end())
		;
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!clients[i].conn)
			continue;
		check(i, others, true);
		disconnect(&clients[i]);
	}
	assert_int_equal(backlog_bytes(), 0);
}

static void test_everybody_hears_all_in_order(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 4; seed++) {
		model(REQUEST("/") "\r\n", false, seed);
		model(REQUEST("/others") "\r\n", true, seed);
	}
}

/* --- single cases --- */

static void fill(const char *request)
{
	said_count = 0;
	for (unsigned i = 0; i < CLIENTS; i++)
		come(i, request);
}

static void empty(void)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		if (clients[i].conn)
			disconnect(&clients[i]);
}

static unsigned how_many_heard(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		hear(&clients[i]);
		n += clients[i].conn && clients[i].len > 0;
	}
	return n;
}

/* The log is free while members still wait. */
static void test_the_cursor_goes_on(void **state)
{
	struct bus_entry e;

	(void)state;
	fill(REQUEST("/") "\r\n");
	say_one(0);
	assert_true(turn_after_events(0));
	assert_int_equal(bus_read(worker.bus, bus_cursor(worker.bus), &e), BUS_EMPTY);
	assert_in_range(how_many_heard(), 1, CLIENTS - 1);
	while (turn_after_events(0))
		;
	assert_int_equal(how_many_heard(), CLIENTS);
	empty();
}

/* Its own publishers wait when there is too much of it, and no others do. */
static void test_publishers_wait(void **state)
{
	static char text[4001];
	unsigned said_by = 0, got = 0;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	fill(REQUEST("/") "\r\n");
	upgrade(&a, REQUEST("/two") "\r\n");
	for (unsigned i = 0; i < 400 && !clients[0].conn->parked; i++, said_by++) {
		static uint8_t frame[8192];
		size_t n = client_frame(frame, 0x81, text, 4000);

		assert_int_equal(write(clients[0].fd, frame, n), (ssize_t)n);
		take_events();
		/* ten come in the time that one member is given what there is */
		if (i % 10 == 9)
			end_turn(10 * TURN_PASS);
	}
	assert_in_range(said_by, 30, 130);
	assert_true(clients[0].conn->parked);
	assert_true(backlog_bytes() < 600 * 1024);
	publish(&a, "other");
	assert_false(a.conn->parked);
	for (int i = 0; i < 3; i++)
		end_turn(0);
	ASSERT_HEARD(&a, "\x81\x05other");
	assert_true(clients[0].conn->parked);
	for (int i = 0; i < 2000 && (clients[0].conn->parked || backlog_bytes() > 0); i++) {
		turn();
		for (unsigned k = 0; k < CLIENTS; k++)
			hear(&clients[k]);
	}
	assert_false(clients[0].conn->parked);
	for (unsigned k = 0; k < CLIENTS; k++) {
		for (int i = 0; i < 3; i++) {
			turn();
			hear(&clients[k]);
		}
		got += (unsigned)(clients[k].len / 4004);
	}
	assert_int_equal(got, said_by * CLIENTS);
	disconnect(&a);
	empty();
}

/* A small room waits for a portion of a large one, and not for all of it. */
static void test_a_small_room_beside_a_large_one(void **state)
{
	(void)state;
	fill(REQUEST("/") "\r\n");
	upgrade(&a, REQUEST("/two") "\r\n");
	say_one(0);
	assert_true(turn_after_events(0));
	publish(&a, "small");
	for (int i = 0; i < 2 && a.len == 0; i++) {
		turn_after_events(0);
		hear(&a);
	}
	ASSERT_HEARD(&a, "\x81\x05small");
	assert_true(how_many_heard() < CLIENTS);
	disconnect(&a);
	empty();
}

/* What comes meanwhile goes to each as one piece. */
static void test_what_waits_is_gathered(void **state)
{
	(void)state;
	fill(REQUEST("/") "\r\n");
	steer_client(&clients[CLIENTS - 1], 100000);
	say_one(0);
	for (int i = 0; i < 2; i++)
		assert_true(turn_after_events(0));
	for (int i = 0; i < 20; i++)
		say_one(1);
	while (turn_after_events(20 * TURN_PASS))
		;
	assert_int_equal(wire.len, said_count * (TEXT + 2));
	assert_int_equal(wire.writes, 2);
	empty();
}

/* Also where it comes turn by turn while another is being delivered. */
static void test_what_comes_meanwhile_is_gathered(void **state)
{
	(void)state;
	fill(REQUEST("/") "\r\n");
	steer_client(&clients[CLIENTS - 1], 100000);
	say_one(0);
	for (int i = 0; i < 2; i++)
		assert_true(turn_after_events(0));
	for (int i = 0; i < 6; i++) {
		say_one(1);
		assert_true(turn_after_events(0));
	}
	assert_int_equal(wire.writes, 0);
	while (turn_after_events(0))
		;
	assert_int_equal(wire.len, said_count * (TEXT + 2));
	assert_int_equal(wire.writes, 2);
	empty();
}

/* What waits behind a batch begins in the turn behind the one in which that ends, whatever time is left. */
static void test_a_batch_waits_for_answers(void **state)
{
	struct client *first = &clients[0], *last = &clients[CLIENTS - 1];

	(void)state;
	fill(REQUEST("/") "\r\n");
	say_one(0);
	assert_true(turn_after_events(0));
	say_one(1);
	while (last->len == 0) {
		session_turn_end();
		hear(last);
	}
	hear(first);
	assert_int_equal(first->len, TEXT + 2);
	say_one(2);
	while (turn_after_events(20 * TURN_PASS))
		;
	assert_int_equal(how_many_heard(), CLIENTS);
	assert_int_equal(first->len, 3 * (TEXT + 2));
	empty();
}

/* The last member goes while there is more for it. */
static void test_a_room_ends_with_a_backlog(void **state)
{
	(void)state;
	fill(REQUEST("/") "\r\n");
	say_one(0);
	assert_true(turn_after_events(0));
	assert_true(backlog_bytes() > 0);
	empty();
	assert_int_equal(backlog_bytes(), 0);
	upgrade(&a, REQUEST("/") "\r\n");
	say_frame(&a, 0x81, "new");
	ASSERT_HEARD(&a, "\x81\x03new");
	disconnect(&a);
}

/* Whose message cannot be kept is told so by its end, and nobody else is. */
static void test_no_memory_for_it(void **state)
{
	unsigned heard, lost = 0;

	(void)state;
	fill(REQUEST("/") "\r\n");
	upgrade(&a, REQUEST("/two") "\r\n");
	/* what a delivery needs itself is there */
	say_one(0);
	turn();
	for (unsigned i = 0; i < CLIENTS; i++) {
		hear(&clients[i]);
		clients[i].len = 0;
	}
	say_one(0);
	take_events();
	/* one has got it by then */
	this_turn = (struct turn){ .credit = TURN_PASS + 1, .began = 1 };
	failing_from(1);
	delivery_turn();
	failing_end();
	heard = how_many_heard();
	turn();
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (lives(&clients[i]))
			continue;
		lost++;
		close(clients[i].fd);
		clients[i].conn = NULL;
	}
	assert_int_equal(heard, 1);
	assert_int_equal(heard + lost, CLIENTS);
	assert_true(lives(&a));
	/* and the next one is for all that are left */
	upgrade(&b, REQUEST("/") "\r\n");
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i].len = 0;
	publish(&b, "next");
	turn();
	disconnect(&b);
	assert_int_equal(how_many_heard(), CLIENTS - lost);
	disconnect(&a);
	empty();
}

/* --- compressed --- */

/* A text of n bytes that is neither short nor without an end when it is compressed. */
static char *long_text(size_t n)
{
	char *text = malloc(n + 1);
	unsigned seed = 7;

	for (size_t i = 0; i < n; i++)
		text[i] = "abcdefghij klmno"[rnd(&seed, i / 1000 % 2 ? 16 : 4)];
	text[n] = '\0';
	return text;
}

static void inflate_next(struct ws_inflate *i, const uint8_t *p, size_t n, struct buffer *out)
{
	assert_int_equal(inflate_some(i, &p, p + n, out, GOT_MAX, NULL), INFLATE_OK);
	assert_int_equal(inflate_end(i, out, GOT_MAX, NULL), INFLATE_OK);
}

static void inflate_all(const uint8_t *p, size_t n, struct buffer *out)
{
	struct ws_inflate i = { .takeover = false };

	inflate_next(&i, p, n, out);
	inflate_fini(&i);
}

static void append(const char *room, const char *text, size_t len)
{
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE };
	uint8_t header[WS_HEADER_MAX];
	const struct bus_part parts[] = { { header, ws_encode_header(header, WS_TEXT, len) },
					  { text, len } };
	enum reason why;

	assert_int_equal(
		bus_append(worker.bus,
			   registry_enter(config_route_name(session.config, room), room, &why)->bus,
			   &meta, parts, 2),
		BUS_OK);
}

/* A long message is compressed a slice a turn, once for all, and others go by meanwhile. */
static void test_compressed_in_slices(void **state)
{
	const size_t len = 400000;
	char *text = long_text(len);
	struct buffer out = { 0 };
	int turns = 0;

	(void)state;
	upgrade(&a, REQUEST("/zip") ASKS "\r\n");
	upgrade(&b, REQUEST("/zip") ASKS "\r\n");
	upgrade(&clients[0], REQUEST("/two") "\r\n");
	append("/zip", text, len);
	assert_true(turn_after_events(0));
	publish(&clients[0], "quick");
	for (; turn_after_events(0); turns++)
		if (turns == 2)
			ASSERT_HEARD(&clients[0], "\x81\x05quick");
	assert_in_range(turns, len / COMPRESS_SLICE, 3 * len / COMPRESS_SLICE);
	hear(&a);
	hear(&b);
	assert_int_equal(a.got[0], 0xc1);
	assert_int_equal(a.got[1], 127);
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.got, b.got, a.len);
	inflate_all(a.got + 10, a.len - 10, &out);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.p, text, len);
	buffer_free(&out);
	free(text);
	disconnect(&clients[0]);
	disconnect(&a);
	disconnect(&b);
}

/* What does not get shorter goes out as it is. */
static void test_what_cannot_be_compressed(void **state)
{
	const size_t len = 200000;
	char *text = malloc(len);
	unsigned seed = 9;

	(void)state;
	for (size_t i = 0; i < len; i++)
		text[i] = (char)rnd(&seed, 256);
	upgrade(&a, REQUEST("/zip") ASKS "\r\n");
	append("/zip", text, len);
	while (turn_after_events(0))
		;
	hear(&a);
	assert_int_equal(a.got[0], 0x81);
	assert_int_equal(a.len, 10 + len);
	assert_memory_equal(a.got + 10, text, len);
	free(text);
	disconnect(&a);
}

/* The only one that it is compressed for goes. */
static void test_nobody_waits_for_it_any_more(void **state)
{
	const size_t len = 400000;
	char *text = long_text(len);

	(void)state;
	upgrade(&a, REQUEST("/zip") ASKS "\r\n");
	append("/zip", text, len);
	assert_true(turn_after_events(0));
	assert_true(turn_after_events(0));
	disconnect(&a);
	assert_int_equal(backlog_bytes(), 0);
	free(text);
}

/* --- for each by itself --- */

/* What a peer makes of all that it has got, up to its close frame. */
static size_t understand(struct client *k, struct buffer *out, bool *closed)
{
	struct ws_inflate i = { .takeover = true };
	size_t at = 0, messages = 0;

	hear(k);
	*closed = false;
	while (at < k->len && !*closed) {
		uint64_t len;
		uint8_t first = k->got[at] & (uint8_t)~WS_RSV1;
		bool zip = k->got[at] & WS_RSV1;

		k->got[at] = first;
		at += ws_own_header(k->got + at, &len);
		assert_true(at + len <= k->len);
		*closed = first == 0x88;
		if (zip)
			inflate_next(&i, k->got + at, len, out);
		else if (!*closed)
			assert_true(buffer_append(out, k->got + at, len));
		messages += !*closed;
		at += len;
	}
	inflate_fini(&i);
	k->len = 0;
	return messages;
}

static void assert_understood(struct client *k, const char *text, size_t messages, bool closed)
{
	struct buffer out = { 0 };
	bool was_closed;

	assert_int_equal(understand(k, &out, &was_closed), messages);
	assert_int_equal(out.len, strlen(text));
	assert_memory_equal(out.p, text, out.len);
	assert_int_equal(was_closed, closed);
	buffer_free(&out);
}

/* The same text so many times over, and another behind it. */
static char *joined(const char *text, int times, const char *end)
{
	char *all = calloc(1, strlen(text) * (size_t)times + strlen(end) + 1);

	for (int i = 0; i < times; i++)
		strcat(all, text);
	return strcat(all, end);
}

static void test_takeover_in_slices(void **state)
{
	const size_t len = 60000;
	char *text = long_text(len), *all = joined(text, 2, "short");
	int turns = 0;

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	upgrade(&b, REQUEST("/own") "\r\n");
	upgrade(&clients[0], REQUEST("/two") "\r\n");
	for (; turns < 2; turns++) {
		append("/own", text, len);
		end_turn(0);
	}
	append("/own", "short", 5);
	publish(&clients[0], "quick");
	for (; end_turn(0); turns++)
		if (turns == 4)
			ASSERT_HEARD(&clients[0], "\x81\x05quick");
	assert_in_range(turns, 2 * len / COMPRESS_SLICE, 6 * len / COMPRESS_SLICE);
	assert_understood(&a, all, 3, false);
	for (int i = 0; i < 4; i++) {
		hear(&b);
		turn();
	}
	assert_understood(&b, all, 3, false);
	free(all);
	free(text);
	disconnect(&clients[0]);
	disconnect(&a);
	disconnect(&b);
}

/* Of many that are sent a long text some are compressed for at a time, and short ones go by. */
static void test_takeover_of_many(void **state)
{
	const size_t len = 120000, before = account_bytes;
	char *text = long_text(len);
	unsigned most = 0;

	(void)state;
	fill(REQUEST("/own") ASKS "\r\n");
	upgrade(&a, REQUEST("/echo") ASKS "\r\n");
	append("/own", text, len);
	for (unsigned turns = 0; end_turn(0); turns++) {
		unsigned under_way = 0;

		for (unsigned i = 0; i < CLIENTS; i++)
			under_way += clients[i].conn->deflate->out.size > 0;
		most = under_way > most ? under_way : most;
		if (turns == CLIENTS) {
			assert_true(account_bytes >= before + len);
			publish(&a, "short");
		}
		if (turns == CLIENTS + UNCOMPRESSED_LONG + 2)
			ASSERT_HEARD(&a, "\x81\x05short");
	}
	assert_int_equal(most, UNCOMPRESSED_LONG);
	for (unsigned i = 0; i < CLIENTS; i++)
		assert_understood(&clients[i], text, 1, false);
	assert_int_equal(account_bytes, before);
	free(text);
	disconnect(&a);
	empty();
}

static unsigned find_busy(bool busy[CLIENTS])
{
	unsigned n = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		busy[i] = clients[i].conn->deflate->waiting.busy;
		n += busy[i];
	}
	return n;
}

static void end_all_turns(void)
{
	while (end_turn(0))
		;
}

/* All of those that a long text is under way for end, or are blocked: the others are next. */
static void leave_it_to_others(bool by_their_end)
{
	const size_t len = 120000, before = account_bytes;
	char *text = long_text(len);
	bool busy[CLIENTS];

	fill(REQUEST("/own") ASKS "\r\n");
	append("/own", text, len);
	do
		assert_true(end_turn(0));
	while (find_busy(busy) < UNCOMPRESSED_LONG);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (busy[i] && by_their_end)
			conn_kill(clients[i].conn, REASON_RESET);
		else if (busy[i])
			uncompressed_ready(&clients[i].conn->deflate->waiting, false);
	}
	end_all_turns();
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!busy[i])
			assert_understood(&clients[i], text, 1, false);
		else if (!by_their_end)
			uncompressed_ready(&clients[i].conn->deflate->waiting, true);
	}
	end_all_turns();
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (busy[i] && !by_their_end)
			assert_understood(&clients[i], text, 1, false);
		close(clients[i].fd);
		clients[i].conn = NULL;
	}
	turn();
	assert_int_equal(account_bytes, before);
	free(text);
}

static void test_takeover_of_those_that_go(void **state)
{
	(void)state;
	leave_it_to_others(true);
	leave_it_to_others(false);
}

/* Its socket takes nothing, and something waits for it, which goes to all of its room. */
static void block(struct client *k)
{
	steer_client(k, 0);
	append("/own", "x", 1);
	turn();
	assert_true(k->conn->link.pending);
}

/* Nothing is compressed for whom nothing can be sent, and what is kept for all of them is one. */
static void test_takeover_when_the_socket_takes_it(void **state)
{
	const size_t len = 100000;
	char *text = long_text(len), *all = joined(text, 2, ""), *x_and_all = joined("x", 1, all);
	const struct uncompressed_message *m;

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	upgrade(&b, REQUEST("/own") ASKS "\r\n");
	block(&a);
	for (int i = 0; i < 2; i++) {
		append("/own", text, len);
		turn();
	}
	assert_understood(&b, x_and_all, 3, false);
	assert_int_equal(a.conn->deflate->waiting.count, 2);
	assert_int_equal(a.conn->deflate->out.len, 0);
	m = uncompressed_first(&a.conn->deflate->waiting);
	assert_int_equal(m->holder->holders, 1);
	wire.takes = WIRE_MAX;
	turn();
	assert_int_equal(a.conn->deflate->waiting.count, 0);
	a.len = wire.len;
	memcpy(a.got, wire.bytes, wire.len);
	assert_understood(&a, x_and_all, 3, false);
	free(x_and_all);
	free(all);
	free(text);
	disconnect(&a);
	disconnect(&b);
}

/* A compressor that is new is memory that was not touched yet. */
static void test_a_new_compressor_is_charged(void **state)
{
	char *text = long_text(1000);
	const struct iovec part = { text, 1000 };
	struct buffer out = { 0 };
	int64_t credit, first;

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	credit = this_turn.credit;
	assert_true(compress_for(a.conn, WS_TEXT, &part, 1, &out));
	first = credit - this_turn.credit;
	credit = this_turn.credit;
	assert_true(compress_for(a.conn, WS_TEXT, &part, 1, &out));
	assert_int_equal(first, credit - this_turn.credit +
					turn_cost_of((2 << 15) + (512 << 8), TURN_KEEP));
	buffer_free(&out);
	free(text);
	disconnect(&a);
}

static void test_takeover_is_slow(void **state)
{
	const size_t len = 150000;
	char *text = long_text(len);

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	upgrade(&b, REQUEST("/own") ASKS "\r\n");
	block(&a);
	append("/own", text, len);
	turn();
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	append("/own", text, len);
	turn();
	assert_int_equal(a.conn->reason, REASON_SLOW_CONSUMER);
	assert_int_equal(a.conn->deflate->waiting.count, 0);
	assert_int_equal(b.conn->state_now, CONN_OPEN);
	free(text);
	disconnect(&a);
	disconnect(&b);
}

/* What each of them costs beside its bytes has a bound as well: max_pending is for more of them. */
static void test_takeover_of_very_short_ones(void **state)
{
	size_t sent = 0;

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	block(&a);
	for (; a.conn->state_now == CONN_OPEN && sent < 244 * 1024; sent += 512) {
		for (int i = 0; i < 512; i++)
			append("/own", "x", 1);
		turn();
		assert_true(a.conn->deflate->waiting.count <= UNCOMPRESSED_MOST);
	}
	assert_int_equal(a.conn->reason, REASON_SLOW_CONSUMER);
	assert_in_range(sent, UNCOMPRESSED_MOST, UNCOMPRESSED_MOST + 2 * 512);
	disconnect(&a);
}

/* The close frame comes behind what was to be sent before it. */
static void test_close_behind_what_waits(void **state)
{
	const size_t len = 100000;
	char *text = long_text(len);

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	append("/own", text, len);
	end_turn(0);
	end_turn(0);
	assert_int_equal(a.conn->deflate->waiting.count, 1);
	conn_close_word(a.conn, WS_CLOSE_GOING_AWAY, REASON_SHUTDOWN);
	assert_int_equal(a.conn->deflate->waiting.count, 2);
	while (end_turn(0))
		;
	assert_understood(&a, text, 1, true);
	free(text);
	disconnect(&a);
}

/* Also where what waits is more than is kept: it is the last word. */
static void test_close_is_never_too_much(void **state)
{
	const size_t len = 249850;
	char *text = long_text(len);

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	block(&a);
	append("/own", text, len);
	turn();
	conn_close_word(a.conn, WS_CLOSE_GOING_AWAY, REASON_SHUTDOWN);
	wire.takes = WIRE_MAX;
	for (int i = 0; i < 4; i++)
		turn();
	assert_memory_equal(wire.bytes + wire.len - 12, "\x88\x0a\x03\xe9shutdown", 12);
	free(text);
	disconnect(&a);
}

/* Who sends faster than we compress is not read from meanwhile, and not taken for slow. */
static void echo_that_is_behind(const char *path)
{
	enum { TIMES = 4, LEN = 40000 };
	static uint8_t frames[TIMES * (LEN + 8)];
	char *text = long_text(LEN), *all = joined(text, TIMES, "");
	char request[256];
	size_t n = 0;

	snprintf(request, sizeof(request), REQUEST("%s") ASKS "\r\n", path);
	upgrade(&a, request);
	for (int i = 0; i < TIMES; i++)
		n += client_frame(frames + n, 0x81, text, LEN);
	for (size_t i = 0; i < n; i += 8192) {
		size_t part = n - i < 8192 ? n - i : 8192;

		assert_int_equal(write(a.fd, frames + i, part), (ssize_t)part);
		end_turn(0);
	}
	while (end_turn(0))
		;
	turn();
	assert_int_equal(a.conn->state_now, CONN_OPEN);
	assert_understood(&a, all, TIMES, false);
	free(all);
	free(text);
	disconnect(&a);
}

static void test_echo_that_is_behind(void **state)
{
	(void)state;
	echo_that_is_behind("/echo");
}

/* Without takeover, too: a long text is long, whoever refers to it. */
static void test_echo_without_takeover(void **state)
{
	(void)state;
	echo_that_is_behind("/alone");
}

/* What is sent behind one that is long comes behind it, though it would not have had to wait. */
static void test_short_behind_long(void **state)
{
	const size_t len = 60000;
	char *text = long_text(len), *all = joined(text, 1, "oneafter");

	(void)state;
	upgrade(&a, REQUEST("/zip") ASKS "\r\n");
	conn_send(a.conn, WS_TEXT, NULL, 0, text, len);
	conn_send(a.conn, WS_TEXT, "o", 1, "ne", 2);
	append("/zip", "after", 5);
	assert_int_equal(a.conn->deflate->waiting.count, 2);
	for (int i = 0; i < 9; i++)
		turn();
	assert_understood(&a, all, 3, false);
	free(all);
	free(text);
	disconnect(&a);
}

/* A level that searches long does so for less at a time. */
static void test_slow_level(void **state)
{
	const size_t len = 20000, slice = COMPRESS_SLICE / 32;
	char *text = long_text(len);
	int turns = 0;

	(void)state;
	upgrade(&a, REQUEST("/nine") ASKS "\r\n");
	conn_send(a.conn, WS_TEXT, NULL, 0, text, len);
	for (; end_turn(0); turns++)
		;
	assert_in_range(turns, len / slice, len / slice + 2);
	assert_understood(&a, text, 1, false);
	/* and one that is not to be finished leaves nothing */
	conn_send(a.conn, WS_TEXT, NULL, 0, text, len);
	end_turn(0);
	assert_non_null(a.conn->deflate->job.by);
	free(text);
	disconnect(&a);
}

/* What it has sent behind that waits as it is, and not as what would come of it. */
static void test_what_is_behind_is_not_read(void **state)
{
	enum { TIMES = 20, LEN = 1000, LONG = 50000 };
	static uint8_t frames[LONG + 8 + TIMES * (LEN + 8)];
	char *text = long_text(LONG), *first = joined(text, 1, ""), *rest, *all;
	size_t n = client_frame(frames, 0x81, text, LONG);

	(void)state;
	text[LEN] = '\0';
	for (int i = 0; i < TIMES; i++)
		n += client_frame(frames + n, 0x81, text, LEN);
	upgrade(&a, REQUEST("/echo") ASKS "\r\n");
	assert_int_equal(write(a.fd, frames, n), (ssize_t)n);
	this_turn = (struct turn){ .credit = 0, .began = 1 };
	event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	end_turn(0);
	assert_true(output_is_behind(a.conn));
	assert_int_equal(a.conn->deflate->waiting.count, 1);
	while (end_turn(0))
		;
	turn();
	rest = joined(text, TIMES, "");
	all = joined(first, 1, rest);
	assert_understood(&a, all, 1 + TIMES, false);
	free(all);
	free(rest);
	free(first);
	free(text);
	disconnect(&a);
}

/* One that ends in the middle of it. */
static void test_end_in_the_middle(void **state)
{
	const size_t len = 400000;
	char *text = long_text(len);

	(void)state;
	upgrade(&a, REQUEST("/own") ASKS "\r\n");
	append("/own", text, len);
	for (int i = 0; i < 3; i++)
		assert_true(end_turn(0));
	assert_non_null(a.conn->deflate->job.by);
	conn_kill(a.conn, REASON_RESET);
	assert_false(uncompressed_any());
	turn();
	close(a.fd);
	free(text);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, worker_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_everybody_hears_all_in_order),
		TEST(test_the_cursor_goes_on),
		TEST(test_publishers_wait),
		TEST(test_a_small_room_beside_a_large_one),
		TEST(test_what_waits_is_gathered),
		TEST(test_what_comes_meanwhile_is_gathered),
		TEST(test_a_batch_waits_for_answers),
		TEST(test_a_room_ends_with_a_backlog),
		TEST(test_no_memory_for_it),
		TEST(test_compressed_in_slices),
		TEST(test_what_cannot_be_compressed),
		TEST(test_nobody_waits_for_it_any_more),
		TEST(test_takeover_in_slices),
		TEST(test_takeover_of_many),
		TEST(test_takeover_of_those_that_go),
		TEST(test_takeover_when_the_socket_takes_it),
		TEST(test_a_new_compressor_is_charged),
		TEST(test_takeover_is_slow),
		TEST(test_takeover_of_very_short_ones),
		TEST(test_close_behind_what_waits),
		TEST(test_close_is_never_too_much),
		TEST(test_echo_that_is_behind),
		TEST(test_echo_without_takeover),
		TEST(test_short_behind_long),
		TEST(test_slow_level),
		TEST(test_what_is_behind_is_not_read),
		TEST(test_end_in_the_middle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
