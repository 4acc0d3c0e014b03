/*
 * Who is present, as members are told: when they come in, when they ask, and when others come and go,
 * in this worker and in others, which may die.
 */
// links: base proto bus config net session behaviours
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "bus/bus_internal.h"
#include "bus/presence.h"
#include "failing.h"
#include "session/worker.h"

enum { CLIENTS = 6, OTHERS = 2, FAR_MAX = 5, KNOWN_MAX = 64, LIST_MAX = 6 };

#define JSON "Sec-WebSocket-Protocol: ignyx.room.v1\r\n"
#define ZIP "Sec-WebSocket-Extensions: permessage-deflate\r\n"

/* A client, and what it has been told. */
struct member {
	struct client client;
	const char *room; /* NULL: it is not there */
	bool json;
	bool listed; /* it knows who they are */
	uint64_t members, known[KNOWN_MAX];
	size_t count; /* of known */
	size_t frames; /* that it got, ever */
	char last[16]; /* the type of the last of them */
};

static struct member members[CLIENTS];

/* Another worker, as far as the bus knows of it. */
static struct other {
	struct bus bus;
	struct bus_room room;
	size_t count; /* members; 0: it is not in the room */
	uint64_t ids[FAR_MAX];
	uint32_t places[FAR_MAX];
} others[OTHERS];

static uint64_t last_far;

/* more: of the last of them. */
static const char *endpoints(const char *more)
{
	static const char others_than_that[] =
		"max_message = \"16K\"; idle_timeout = \"0\"; endpoints = (\n"
		"{ path = \"/list\"; behaviour = \"room\"; format = \"both\"; presence = \"list\"; "
		"presence_max = 6;\n"
		"  compression = { enabled = true; server_context_takeover = true;\n"
		"    threshold = \"1\"; }; },\n"
		"{ path = \"/count\"; behaviour = \"room\"; format = \"both\"; presence = true; "
		"},\n"
		"{ path = \"/none\"; behaviour = \"room\"; format = \"both\"; presence = false; "
		"},\n"
		"{ path = \"/seldom\"; behaviour = \"room\"; format = \"both\"; presence = true;\n"
		"  presence_rate = \"1/s\"; },\n";
	static char text[2048];

	snprintf(text, sizeof(text),
		 "%s { path = \"/changes\"; behaviour = \"room\"; format = \"both\"; %s } );\n",
		 others_than_that, more);
	return text;
}

static int begin(void **state)
{
	(void)state;
	worker_begin(endpoints(""), NULL);
	memset(members, 0, sizeof(members));
	memset(others, 0, sizeof(others));
	return 0;
}

/* --- other workers --- */

static void far_begin(struct other *o)
{
	o->bus = *worker.bus;
	o->bus.joined = 0;
	o->count = 0;
	bus_set_slot(&o->bus, OTHER_SLOT + (int)(o - others));
}

static void far_comes(struct other *o, const char *room, bool listed)
{
	uint64_t sequence;

	if (o->count == 0)
		assert_int_equal(bus_join(&o->bus, room, strlen(room), NULL, &o->room, &sequence),
				 BUS_OK);
	o->ids[o->count] = (uint64_t)(OTHER_SLOT + (o - others)) << 56 | ++last_far;
	o->places[o->count] =
		bus_come(&o->bus, o->room, (uint32_t)o->count + 1, listed ? o->ids[o->count] : 0);
	o->count++;
}

static void far_goes(struct other *o, size_t which)
{
	bus_go(&o->bus, o->room, (uint32_t)--o->count, o->places[which]);
	o->ids[which] = o->ids[o->count];
	o->places[which] = o->places[o->count];
	if (o->count == 0)
		bus_leave(&o->bus, o->room);
}

/* As when it was ended, in the midst of something or not; there is another soon. */
static void far_dies(struct other *o, bool in_change)
{
	const int slot = OTHER_SLOT + (int)(o - others);

	worker.bus->shared->slots[slot].changing += in_change;
	if (in_change)
		session_tick();
	bus_clear_slot(worker.bus, slot);
	far_begin(o);
}

/* --- what clients are told --- */

static size_t place_of(const struct member *m, uint64_t id)
{
	size_t i = 0;

	while (i < m->count && m->known[i] != id)
		i++;
	return i;
}

static uint64_t id_of(const json_t *text)
{
	char *end;
	uint64_t id = strtoull(json_string_value(text), &end, 16);

	assert_int_equal(*end, '\0');
	return id;
}

static void note_all(struct member *m, const json_t *who)
{
	m->count = 0;
	m->listed = who != NULL;
	for (size_t i = 0; i < json_array_size(who); i++)
		m->known[m->count++] = id_of(json_array_get(who, i));
	if (m->listed)
		assert_in_range(place_of(m, m->client.conn->id), 0, m->count - 1);
	if (m->listed)
		assert_int_equal(m->count, m->members);
}

static void note_change(struct member *m, const json_t *who, bool come)
{
	assert_true(m->listed == (who != NULL));
	assert_true(!who || json_array_size(who) > 0);
	for (size_t i = 0; i < json_array_size(who); i++) {
		const uint64_t id = id_of(json_array_get(who, i));
		const size_t at = place_of(m, id);

		assert_true(id != m->client.conn->id);
		assert_int_equal(at == m->count, come);
		if (come)
			m->known[m->count++] = id;
		else
			m->known[at] = m->known[--m->count];
	}
}

static void note_frame(struct member *m, const uint8_t *payload, size_t len)
{
	json_t *frame = json_loadb((const char *)payload, len, JSON_REJECT_DUPLICATES, NULL);
	const json_t *who = json_object_get(frame, "who");
	const char *type = json_string_value(json_object_get(frame, "type"));

	assert_non_null(type);
	snprintf(m->last, sizeof(m->last), "%s", type);
	m->frames++;
	assert_string_equal(json_string_value(json_object_get(frame, "room")), m->room);
	m->members = (uint64_t)json_integer_value(json_object_get(frame, "members"));
	if (strcmp(type, "joined") == 0 || strcmp(type, "presence") == 0) {
		note_all(m, who);
	} else {
		assert_true(strcmp(type, "join") == 0 || strcmp(type, "leave") == 0);
		note_change(m, who, type[0] == 'j');
	}
	json_decref(frame);
}

/* Frames that are whole; they are all text, and not compressed. */
static void note_frames(struct member *m)
{
	struct client *k = &m->client;
	size_t at = 0;

	hear(k);
	while (k->len - at >= 2) {
		const uint8_t *p = k->got + at;
		size_t n = p[1], header = 2;

		if (n == 126) {
			n = (size_t)p[2] << 8 | p[3];
			header = 4;
		}
		assert_int_equal(p[0], 0x81);
		assert_true(n < 0x10000 && k->len - at >= header + n);
		note_frame(m, p + header, n);
		at += header + n;
	}
	assert_int_equal(k->len, at);
	k->len = 0;
}

static void enter(struct member *m, const char *room, bool json)
{
	char request[512];
	struct client *k = &m->client;

	connect_client(k);
	snprintf(request, sizeof(request),
		 "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s"
		 "\r\n",
		 room, json ? JSON : "");
	say(k, request);
	assert_begins(k, "HTTP/1.1 101 ");
	k->len -= (size_t)(strstr((char *)k->got, "\r\n\r\n") + 4 - (char *)k->got);
	memmove(k->got, strstr((char *)k->got, "\r\n\r\n") + 4, k->len);
	m->room = room;
	m->json = json;
	m->frames = m->count = 0;
	note_frames(m);
	assert_int_equal(m->frames, json);
}

static void leave(struct member *m)
{
	disconnect(&m->client);
	m->room = NULL;
}

static void ask(struct member *m)
{
	say_frame(&m->client, 0x81, "{\"ignyx\":\"presence\"}");
	note_frames(m);
}

/* Time passes until all is told that there is to tell. */
static void settle(void)
{
	pass(1000);
	for (int i = 0; i < CLIENTS; i++)
		if (members[i].room)
			note_frames(&members[i]);
}

/* --- single things --- */

static void test_who_comes_and_goes(void **state)
{
	struct member *a = &members[0], *b = &members[1], *c = &members[2];

	(void)state;
	enter(a, "/list", true);
	assert_int_equal(a->count, 1);
	enter(b, "/list", true);
	assert_int_equal(b->count, 2);
	settle();
	/* who has just come knows it, and the other is told once */
	assert_int_equal(b->frames, 1);
	assert_int_equal(a->frames, 2);
	assert_string_equal(a->last, "join");
	assert_int_equal(a->count, 2);
	enter(c, "/list", false);
	settle();
	assert_int_equal(a->count, 3);
	assert_int_equal(b->count, 3);
	assert_int_equal(c->frames, 0);
	leave(c);
	leave(b);
	settle();
	assert_int_equal(a->frames, 4);
	assert_string_equal(a->last, "leave");
	assert_int_equal(a->members, 1);
	leave(a);
	assert_int_equal(announced_all.rooms, 0);
}

/* Where only the number is told, and where nothing is. */
static void test_numbers(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	enter(a, "/count", true);
	assert_false(a->listed);
	assert_int_equal(a->members, 1);
	enter(b, "/count", true);
	settle();
	assert_string_equal(a->last, "join");
	assert_int_equal(a->members, 2);
	ask(a);
	assert_string_equal(a->last, "presence");
	assert_int_equal(a->members, 2);
	leave(b);
	settle();
	assert_string_equal(a->last, "leave");
	assert_int_equal(a->members, 1);
	assert_int_equal(a->frames, 4);
	leave(a);

	enter(a, "/none", true);
	enter(b, "/none", true);
	settle();
	assert_int_equal(a->frames, 1);
	say_frame(&a->client, 0x81, "{\"ignyx\":\"presence\"}");
	ASSERT_HEARD(&a->client,
		     "\x81\x59{\"type\":\"error\",\"error\":\"no-presence\",\"message\":"
		     "\"this room does not tell who is present\"}");
	leave(a);
	leave(b);
}

/* Of more than presence_max it is the number that is told, and who they are when they are fewer. */
static void test_many(void **state)
{
	struct member *a = &members[0];
	struct other *o = &others[0], *p = &others[1];

	(void)state;
	enter(a, "/list", true);
	far_begin(o);
	far_begin(p);
	for (int i = 0; i < LIST_MAX - 1; i++)
		far_comes(o, "/list", true);
	settle();
	assert_true(a->listed);
	assert_int_equal(a->members, LIST_MAX);
	assert_int_equal(a->frames, 2);
	far_comes(p, "/list", true);
	settle();
	assert_false(a->listed);
	assert_int_equal(a->members, LIST_MAX + 1);
	far_comes(p, "/list", true);
	settle();
	assert_string_equal(a->last, "join");
	assert_false(a->listed);
	far_goes(p, 0);
	far_goes(p, 0);
	settle();
	assert_string_equal(a->last, "presence");
	assert_true(a->listed);
	/* one of them has no place in a list */
	far_goes(o, 0);
	far_comes(p, "/list", false);
	settle();
	assert_false(a->listed);
	assert_int_equal(a->members, LIST_MAX);
	far_dies(p, false);
	far_dies(o, true);
	settle();
	assert_true(a->listed);
	assert_int_equal(a->members, 1);
	leave(a);
}

/* However many come, there is one event in the time that presence_rate leaves. */
static void test_rate(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	enter(a, "/seldom", true);
	for (int i = 0; i < 20; i++) {
		enter(b, "/seldom", true);
		pass(SESSION_TICK);
		leave(b);
		pass(SESSION_TICK);
	}
	settle();
	assert_in_range(a->frames, 2, 1 + 6);
	assert_int_equal(a->members, 1);
	leave(a);
}

/* Who is behind, and gets compressed what depends on what it got before. */
static void test_compressed(void **state)
{
	struct member *a = &members[0], *b = &members[1];
	uint64_t sent;

	(void)state;
	upgrade(&a->client, REQUEST("/list") JSON ZIP "\r\n");
	a->client.len = 0;
	sent = COUNTED_AT("/list", messages_out);
	enter(b, "/list", true);
	pass(500);
	hear(&a->client);
	assert_true(a->client.len > 2 && a->client.got[0] == 0xc1);
	assert_int_equal(a->client.len, (size_t)a->client.got[1] + 2);
	/* with the joined frame of the other */
	assert_int_equal(COUNTED_AT("/list", messages_out) - sent, 2);
	assert_int_equal(COUNTED_AT("/list", deliveries), 0);
	disconnect(&a->client);
	leave(b);
}

/* One moves to the place of another, who has been told already and leaves. */
static void test_who_moves(void **state)
{
	const struct announced *x;

	(void)state;
	for (int i = 0; i < 4; i++)
		enter(&members[i], "/list", true);
	settle();
	x = members[0].client.conn->admission->member.room->announced;
	far_begin(&others[0]);
	far_comes(&others[0], "/list", true);
	session_tick();
	turn_short(1);
	assert_ptr_equal(announced_all.telling, x);
	assert_int_equal(x->reached, 1);
	registry_remove(&members[0].client.conn->admission->member);
	turn();
	for (int i = 1; i < 4; i++) {
		note_frames(&members[i]);
		assert_int_equal(members[i].count, 5);
	}
	settle();
	for (int i = 1; i < 4; i++)
		assert_int_equal(members[i].count, 4);
	for (int i = 0; i < 4; i++)
		leave(&members[i]);
}

/* A reload that has it told, who they are, and not any more. */
static void test_reload(void **state)
{
	struct member *a = &members[0], *b = &members[1];

	(void)state;
	reload_worker(endpoints(""), NULL);
	turn();
	enter(a, "/changes", true);
	enter(b, "/changes", true);
	assert_int_equal(b->members, 2);
	settle();
	assert_int_equal(a->frames + b->frames, 2);
	reload_worker(endpoints("presence = \"count\";"), NULL);
	settle();
	assert_string_equal(a->last, "presence");
	assert_false(a->listed);
	assert_int_equal(a->members, 2);
	reload_worker(endpoints("presence = \"list\";"), NULL);
	settle();
	assert_string_equal(b->last, "presence");
	assert_int_equal(a->count, 2);
	assert_int_equal(b->count, 2);
	/* nothing changes with one that changes nothing */
	a->frames = 0;
	reload_worker(endpoints("presence = \"list\";"), NULL);
	settle();
	assert_int_equal(a->frames, 0);
	reload_worker(endpoints(""), NULL);
	settle();
	a->frames = 0;
	leave(b);
	settle();
	assert_int_equal(a->frames, 0);
	assert_int_equal(announced_all.rooms, 0);
	leave(a);
}

/* Who cannot be told now is told later, or is let go; what is told is true. */
static void test_no_memory(void **state)
{
	struct member *a = &members[0], *b = &members[1];
	unsigned failed = 0;

	(void)state;
	for (unsigned n = 1; n < 12; n++) {
		enter(a, "/list", true);
		enter(b, "/list", true);
		failing_nth(n);
		pass(SESSION_TICK);
		failed += failing_end();
		settle();
		assert_int_equal(a->count, 2);
		assert_int_equal(b->count, 2);
		leave(a);
		leave(b);
	}
	assert_true(failed > 0);
}

/* --- a model --- */

/* Who is there is what each client knows. */
static void assert_true_state(const char *room)
{
	size_t there = 0;

	for (int i = 0; i < CLIENTS; i++)
		there += members[i].room != NULL;
	for (int i = 0; i < OTHERS; i++)
		there += others[i].count;
	for (int i = 0; i < CLIENTS; i++) {
		const struct member *m = &members[i];

		if (!m->room || !m->json)
			continue;
		assert_int_equal(m->members, there);
		assert_int_equal(m->listed, room[1] == 'l' && there <= LIST_MAX);
		if (!m->listed)
			continue;
		assert_int_equal(m->count, there);
		for (int j = 0; j < CLIENTS; j++)
			if (members[j].room)
				assert_true(place_of(m, members[j].client.conn->id) < there);
		for (int j = 0; j < OTHERS; j++)
			for (size_t n = 0; n < others[j].count; n++)
				assert_true(place_of(m, others[j].ids[n]) < there);
	}
}

/* Time passes, in turns that may be too short for what there is to do. */
static void pass_in_pieces(void)
{
	session_tick();
	for (long n = random() % 4; n > 0; n--)
		turn_short(1);
	if (random() % 2)
		turn();
}

static void do_something(const char *room)
{
	struct member *m = &members[random() % CLIENTS];
	struct other *o = &others[random() % OTHERS];

	switch (random() % 8) {
	case 0:
	case 1:
		if (m->room)
			leave(m);
		else
			enter(m, room, random() % 4 != 0);
		break;
	case 2:
		if (m->room && m->json)
			ask(m);
		break;
	case 3:
		if (o->count < FAR_MAX)
			far_comes(o, room, true);
		break;
	case 4:
		if (o->count > 0)
			far_goes(o, (size_t)random() % o->count);
		break;
	case 5:
		if (random() % 4 == 0)
			far_dies(o, random() % 2);
		break;
	default:
		pass_in_pieces();
		break;
	}
}

static void run_model(unsigned seed, const char *room)
{
	enum { STEPS = 400, CHECK = 25 };

	print_message("seed %u %s\n", seed, room);
	srandom(seed);
	for (int i = 0; i < OTHERS; i++)
		far_begin(&others[i]);
	for (int i = 0; i < STEPS; i++) {
		do_something(room);
		if (i % CHECK != CHECK - 1)
			continue;
		settle();
		assert_true_state(room);
	}
	for (int i = 0; i < CLIENTS; i++)
		if (members[i].room)
			leave(&members[i]);
	for (int i = 0; i < OTHERS; i++)
		far_dies(&others[i], false);
}

static void test_model(void **state)
{
	const char *given = getenv("SEED");
	unsigned seed = given ? (unsigned)atoi(given) : (unsigned)time(NULL);

	(void)state;
	for (unsigned i = 0; i < (given ? 1 : 10); i++) {
		run_model(seed + i, "/list");
		run_model(seed + i, "/count");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_comes_and_goes, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_numbers, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_many, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_rate, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_compressed, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_who_moves, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_reload, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, begin, worker_teardown),
		cmocka_unit_test_setup_teardown(test_model, begin, worker_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
