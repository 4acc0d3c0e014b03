/*
 * attending.h - clients who are told who is present, and keep account of it; and members of rooms in
 * other workers, as far as the bus knows of them.
 */
#ifndef TESTS_SESSION_ATTENDING_H
#define TESTS_SESSION_ATTENDING_H

#include <jansson.h>

#include "bus/bus_internal.h"
#include "bus/presence.h"
#include "session/worker.h"

enum {
	CLIENTS = 6,
	OTHERS = 2,
	FAR_MAX = 5,
	KNOWN_MAX = 64,
	LIST_MAX = 6,
	NAME_SIZE = BUS_USER_MAX + 2
};

#define JSON "Sec-WebSocket-Protocol: ignyx.room.v1\r\n"
#define ZIP "Sec-WebSocket-Extensions: permessage-deflate\r\n"

/* A client, and what it has been told. */
struct member {
	struct client client;
	const char *room; /* NULL: it is not there */
	const char *user; /* NULL: nobody knows */
	bool json;
	bool listed; /* it knows who they are */
	uint64_t members;
	char known[KNOWN_MAX][NAME_SIZE]; /* as name_of writes them */
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
	const char *users[FAR_MAX];
	uint32_t places[FAR_MAX];
} others[OTHERS];

static uint64_t last_far;

/* more: of the last of them. */
static inline const char *endpoints(const char *more)
{
	static const char others_than_that[] =
		"max_message = \"16K\"; idle_timeout = \"0\"; ping_interval = \"0\";\n"
		"endpoints = (\n"
		"{ path = \"/list\"; behaviour = \"room\"; format = \"both\"; presence = \"list\"; "
		"presence_max = 6; presence_grace = \"500ms\";\n"
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

static inline int begin(void **state)
{
	(void)state;
	worker_begin(endpoints(""), NULL);
	memset(members, 0, sizeof(members));
	memset(others, 0, sizeof(others));
	return 0;
}

/* --- other workers --- */

static inline void far_begin(struct other *o)
{
	o->bus = *worker.bus;
	o->bus.joined = 0;
	o->count = 0;
	bus_set_slot(&o->bus, OTHER_SLOT + (int)(o - others));
}

static inline void far_user_comes(struct other *o, const char *room, const char *user, bool listed)
{
	uint64_t sequence;

	if (o->count == 0)
		assert_int_equal(bus_join(&o->bus, room, strlen(room), NULL, &o->room, &sequence),
				 BUS_OK);
	o->ids[o->count] = (uint64_t)(OTHER_SLOT + (o - others)) << 56 | ++last_far;
	o->users[o->count] = user;
	o->places[o->count] = bus_come(&o->bus, o->room, (uint32_t)o->count + 1,
				       listed ? o->ids[o->count] : 0, user);
	o->count++;
}

static inline void far_comes(struct other *o, const char *room, bool listed)
{
	far_user_comes(o, room, NULL, listed);
}

static inline void far_goes(struct other *o, size_t which)
{
	bus_go(&o->bus, o->room, (uint32_t)--o->count, o->places[which]);
	o->ids[which] = o->ids[o->count];
	o->users[which] = o->users[o->count];
	o->places[which] = o->places[o->count];
	if (o->count == 0)
		bus_leave(&o->bus, o->room);
}

/* As when it was ended, in the midst of something or not; there is another soon. */
static inline void far_dies(struct other *o, bool in_change)
{
	const int slot = OTHER_SLOT + (int)(o - others);

	worker.bus->shared->slots[slot].changing += in_change;
	if (in_change)
		session_tick();
	bus_clear_slot(worker.bus, slot);
	far_begin(o);
}

/* --- what clients are told --- */

/* So that a user is never taken for a connection. */
static inline const char *name_of(const char *user, uint64_t id)
{
	static char name[NAME_SIZE];

	if (user)
		snprintf(name, sizeof(name), "=%s", user);
	else
		snprintf(name, sizeof(name), "%llx", (unsigned long long)id);
	return name;
}

static inline const char *own_name(const struct member *m)
{
	return name_of(m->user, m->client.conn->id);
}

static inline size_t place_of(const struct member *m, const char *name)
{
	size_t i = 0;

	while (i < m->count && strcmp(m->known[i], name) != 0)
		i++;
	return i;
}

static inline bool knows(const struct member *m, const char *name)
{
	return place_of(m, name) < m->count;
}

static inline void note_one(struct member *m, const char *name)
{
	assert_true(m->count < KNOWN_MAX && !knows(m, name));
	snprintf(m->known[m->count++], NAME_SIZE, "%s", name);
}

/* The name of one in a frame; its last ones are users. */
static inline const char *name_in(const json_t *frame, size_t i)
{
	const json_t *who = json_object_get(frame, "who"), *users = json_object_get(frame, "users");
	const size_t count = json_array_size(who);
	const char *text = json_string_value(json_array_get(who, i));
	char *end;
	uint64_t id;

	assert_non_null(text);
	assert_true(!users || json_integer_value(users) > 0);
	if (count - i <= (size_t)json_integer_value(users))
		return name_of(text, 0);
	id = strtoull(text, &end, 16);
	assert_int_equal(*end, '\0');
	return name_of(NULL, id);
}

static inline void note_all(struct member *m, const json_t *frame)
{
	const json_t *who = json_object_get(frame, "who");

	m->count = 0;
	m->listed = who != NULL;
	for (size_t i = 0; i < json_array_size(who); i++)
		note_one(m, name_in(frame, i));
	if (m->listed)
		assert_true(knows(m, own_name(m)));
	if (m->listed && !json_object_get(frame, "users"))
		assert_int_equal(m->count, m->members);
	assert_true(m->count <= LIST_MAX);
}

static inline void note_change(struct member *m, const json_t *frame, bool come)
{
	const json_t *who = json_object_get(frame, "who");

	assert_true(m->listed == (who != NULL));
	assert_true(!who || json_array_size(who) > 0);
	for (size_t i = 0; i < json_array_size(who); i++) {
		const char *name = name_in(frame, i);
		const size_t at = place_of(m, name);

		assert_int_equal(at == m->count, come);
		if (come)
			note_one(m, name);
		else if (at != --m->count)
			memcpy(m->known[at], m->known[m->count], NAME_SIZE);
	}
	/* nobody hears that it has come, or gone, itself */
	assert_true(!m->listed || knows(m, own_name(m)));
}

static inline void note_frame(struct member *m, const uint8_t *payload, size_t len)
{
	json_t *frame = json_loadb((const char *)payload, len, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_string_value(json_object_get(frame, "type"));

	assert_non_null(type);
	snprintf(m->last, sizeof(m->last), "%s", type);
	m->frames++;
	assert_string_equal(json_string_value(json_object_get(frame, "room")), m->room);
	m->members = (uint64_t)json_integer_value(json_object_get(frame, "members"));
	if (strcmp(type, "joined") == 0 || strcmp(type, "presence") == 0) {
		note_all(m, frame);
	} else {
		assert_true(strcmp(type, "join") == 0 || strcmp(type, "leave") == 0);
		note_change(m, frame, type[0] == 'j');
	}
	json_decref(frame);
}

/* Frames that are whole; they are all text, and not compressed. */
static inline void note_frames(struct member *m)
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

/* The user is known before the request is read: as whoever let it in had found out. */
static inline void enter_as(struct member *m, const char *room, const char *user, bool json)
{
	char request[512];
	struct client *k = &m->client;

	connect_client(k);
	m->user = user;
	if (user)
		assert_true(conn_admit(k->conn, config_route_name(session.config, room), room,
				       &(struct identity){ .user = user }));
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

static inline void enter(struct member *m, const char *room, bool json)
{
	enter_as(m, room, NULL, json);
}

static inline void leave(struct member *m)
{
	disconnect(&m->client);
	m->room = NULL;
}

static inline void ask(struct member *m)
{
	say_frame(&m->client, 0x81, "{\"ignyx\":\"presence\"}");
	note_frames(m);
}

/* Time passes until all is told that there is to tell. */
static inline void settle(void)
{
	pass(1000);
	for (int i = 0; i < CLIENTS; i++)
		if (members[i].room)
			note_frames(&members[i]);
}

#endif
