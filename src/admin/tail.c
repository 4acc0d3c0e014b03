/*
 * tail.c - following a room.
 *
 * Who follows a room is no reader of the log, whom its authors would wait for and wake: a terminal
 * that is stopped must not hold up a publisher, nor may this process. So nothing is registered
 * there. Many times a second it is looked how far a room has come, and what is new is copied out of
 * its past (bus_history), where it may be overwritten before: then it is lost, and that is told. The
 * numbers of a room's messages leave none out, so they say how many are missing, whatever the cause.
 *
 * That costs workers nothing, and this process something only for rooms that are followed. What
 * there was before one began to follow is told in the same way.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "admin/admin_internal.h"
#include "admin/message.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/stream.h"
#include "admin/tail.h"
#include "admin/values.h"
#include "bus/bus.h"
#include "bus/position.h"
#include "config/config.h"
#include "proto/frame.h"
#include "session/session.h"

/* TICK: milliseconds. At one time so many messages of a room are read, in so much SPACE. */
enum { TICK = 20, MESSAGES = 1024, SPACE = 4 << 20 };

struct follower {
	struct stream stream;
	TAILQ_ENTRY(follower) entry;
	struct bus_room room;
	uint64_t last; /* that the room had when it was looked */
	uint64_t told; /* up to this one all were told, or are counted as ... */
	uint64_t lost; /* ... lost, which is still to be told */
	bool unknown; /* the same, and nobody knows how many */
	char name[];
};

static TAILQ_HEAD(, follower) all = TAILQ_HEAD_INITIALIZER(all);

static struct {
	struct event *tick; /* NULL: nobody follows */
	struct bus_entry entries[MESSAGES];
	uint8_t *space;
	size_t size;
} reading;

static void end_reading(void)
{
	if (reading.tick)
		event_free(reading.tick);
	free(reading.space);
	reading.tick = NULL;
	reading.space = NULL;
}

static void forget(struct follower *f)
{
	TAILQ_REMOVE(&all, f, entry);
	free(f);
	if (TAILQ_EMPTY(&all))
		end_reading();
}

static void gone(struct stream *s)
{
	forget((struct follower *)((char *)s - offsetof(struct follower, stream)));
}

/* --- what is told --- */

static void tell_lost(struct follower *f)
{
	if (f->unknown)
		stream_add(&f->stream, json_pack("{s:n}", "lost"));
	else if (f->lost > 0)
		stream_add(&f->stream, json_pack("{s:I}", "lost", (json_int_t)f->lost));
	f->unknown = false;
	f->lost = 0;
}

static void lose(struct follower *f, uint64_t before)
{
	if (before <= f->told + 1)
		return;
	f->lost += before - f->told - 1;
	f->told = before - 1;
}

/* Entries of the room, without a gap between two. */
static void tell(struct follower *f, const struct bus_entry *e, size_t count)
{
	for (; count > 0 && stream_has_space(&f->stream); e++, count--) {
		lose(f, e->sequence);
		tell_lost(f);
		if (e->meta.kind == BUS_KIND_MESSAGE)
			stream_add(&f->stream, json_of_message(e));
		f->told = e->sequence;
	}
}

/* --- what is read --- */

/* The newest that were not told, as many as there is space for; before them some may be lost. */
static void read_news(struct follower *f)
{
	uint64_t missing = f->last - f->told;
	struct bus_past past = { .entries = reading.entries,
				 .most = missing < MESSAGES ? missing : MESSAGES,
				 .space = reading.space,
				 .size = reading.size };
	enum bus_result result = bus_history(admin.bus, f->room, f->last, &past);

	if (result == BUS_CORRUPT)
		session_bus_corrupt();
	if (result == BUS_GONE)
		return;
	if (past.first == past.most)
		lose(f, f->last + 1);
	tell(f, past.entries + past.first, past.most - past.first);
}

/* A room that nobody is in may be given up, and made anew: its numbers begin above those of then. */
static void open_again(struct follower *f)
{
	struct bus_room room;
	enum bus_result result = bus_open(admin.bus, f->name, strlen(f->name), NULL, &room);

	if (result == BUS_CORRUPT)
		session_bus_corrupt();
	if (result != BUS_OK)
		return;
	f->lost += f->last - f->told;
	f->room = room;
	f->last = f->told = bus_beginning(admin.bus, room);
}

static void look(struct follower *f)
{
	char name[BUS_ROOM_NAME_MAX];
	uint64_t last;

	if (bus_name(admin.bus, f->room, name) < 0)
		open_again(f);
	last = bus_sequence(admin.bus, f->room);
	if (last > f->last)
		f->last = last;
	if (!stream_has_space(&f->stream))
		return;
	if (f->last > f->told)
		read_news(f);
	tell_lost(f);
}

static void look_cb(evutil_socket_t fd, short what, void *arg)
{
	struct follower *f;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH (f, &all, entry)
		look(f);
}

/* --- who follows --- */

static bool begin_reading(void)
{
	static const struct timeval tick = { .tv_usec = TICK * 1000 };
	size_t longest = (size_t)admin.config->bus_lag;

	if (reading.tick)
		return true;
	reading.size = longest > SPACE ? longest : SPACE;
	reading.space = malloc(reading.size);
	reading.tick = event_new(admin.base, -1, EV_PERSIST, look_cb, NULL);
	if (reading.space && reading.tick && event_add(reading.tick, &tick) == 0)
		return true;
	end_reading();
	return false;
}

/* Where it begins: now, or behind a position as far as that is still there. */
static bool read_since(struct request *r, struct follower *f)
{
	const char *since = request_parameter(r, "since");
	struct bus_position p;

	f->told = f->last = bus_sequence(admin.bus, f->room);
	if (!since)
		return true;
	if (!bus_position_parse(since, strlen(since), &p)) {
		answer_error(r, 400, "bad-parameter", "since has to be the position of a message");
		return false;
	}
	f->unknown =
		p.epoch != bus_epoch(admin.bus) || p.sequence < bus_beginning(admin.bus, f->room);
	if (f->unknown)
		f->told = bus_beginning(admin.bus, f->room);
	else if (p.sequence < f->last)
		f->told = p.sequence;
	return true;
}

static bool open_room(struct request *r, struct follower *f)
{
	switch (bus_open(admin.bus, f->name, strlen(f->name), NULL, &f->room)) {
	case BUS_OK:
		return true;
	case BUS_CORRUPT:
		session_bus_corrupt();
	case BUS_ROOMS_FULL:
		answer_error(r, 503, "rooms-full", "there are max_rooms rooms already");
		return false;
	default:
		answer_error(r, 503, "bus-full", "the log is busy; try again in a moment");
		return false;
	}
}

static struct follower *follower_of(const char *room)
{
	size_t size = strlen(room) + 1;
	struct follower *f = calloc(1, sizeof(*f) + size);

	if (f)
		memcpy(f->name, room, size);
	return f;
}

/* false: it is answered otherwise. */
static bool begin(struct request *r, struct follower *f)
{
	if (!open_room(r, f) || !read_since(r, f) || !stream_begin(&f->stream, r, gone))
		return false;
	TAILQ_INSERT_TAIL(&all, f, entry);
	return true;
}

static bool is_room(const char *name)
{
	const struct config_endpoint *e = config_route_name(admin.config, name);

	return e && e->has_room;
}

void tail_get(struct request *r)
{
	bool exists = is_room(r->rest);
	struct follower *f = exists ? follower_of(r->rest) : NULL;

	if (!exists)
		answer_error(r, 404, "no-such-room", "no endpoint with a room has this path");
	else if (!f || !begin_reading())
		answer_error(r, 503, "no-memory", "there is no memory for it");
	else if (begin(r, f))
		return;
	free(f);
	if (TAILQ_EMPTY(&all))
		end_reading();
}

void tail_reload(void)
{
	struct follower *f = TAILQ_FIRST(&all), *next;

	for (; f; f = next) {
		next = TAILQ_NEXT(f, entry);
		if (is_room(f->name))
			continue;
		stream_end(&f->stream);
		forget(f);
	}
}
