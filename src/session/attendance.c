/*
 * attendance.c - see attendance.h.
 *
 * What is read lies in memory that all rooms share, with space for the longest name of each member; what
 * is kept of it is as long as need be.
 *
 * Who has gone is noted when it is found to be missing, in what takes the place of what was told: so each
 * worker finds that out for itself, whatever the reason, and the death of a worker is one of them.
 */
#include "session/attendance.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/digits.h"
#include "base/mix.h"
#include "config/config.h"
#include "proto/json_string.h"
#include "session/session.h"
#include "session/turn.h"

#define MEMBERS ",\"members\":"
#define WHO ",\"who\":["
#define USERS "],\"users\":"

enum {
	FIXED = sizeof(MEMBERS) + sizeof(WHO) + sizeof(USERS) + 2 * DIGITS_DECIMAL_MAX,
	AROUND = 3, /* each: quotes and a comma */
};

static struct {
	struct bus_who
		*who; /* `size` that are read, and as many as may be told for those who have gone */
	char *names; /* of those that are read */
	size_t size;
} reading;

static bool has_space(size_t size)
{
	struct bus_who *who;
	char *names;

	if (reading.size >= size)
		return true;
	who = realloc(reading.who, (size + CONFIG_PRESENCE_MAX) * sizeof(*who));
	if (who)
		reading.who = who;
	names = realloc(reading.names, size * BUS_USER_MAX);
	if (names)
		reading.names = names;
	if (!who || !names)
		return false;
	reading.size = size;
	return true;
}

/* Ahead of it, so that it knows how many there are about: the list may have grown meanwhile. */
static size_t how_many(struct bus_room room)
{
	const uint64_t members = bus_members(session.bus, room), more = members + members / 8 + 4;

	return more < CONFIG_PRESENCE_MAX ? (size_t)more : CONFIG_PRESENCE_MAX;
}

/* Those of x that are not in y, both in order. */
static size_t missing(const struct bus_who *x, size_t nx, const struct bus_who *y, size_t ny,
		      struct bus_who *out)
{
	size_t found = 0, j = 0;

	for (size_t i = 0; i < nx; i++) {
		int order = 1;

		while (j < ny && (order = bus_who_compare(&x[i], &y[j])) > 0)
			j++;
		if (j == ny || order != 0)
			out[found++] = x[i];
	}
	return found;
}

/* gone: the tick behind that in which it was found, so never 0. */
static bool is_over(uint32_t gone, const struct config_room *settings)
{
	return (uint32_t)(session.now + 1 - gone) * (int64_t)SESSION_TICK >=
	       settings->presence_grace;
}

bool attendance_is_over(const struct attendance *a, const struct config_room *settings)
{
	return a->gone != 0 && is_over(a->gone, settings);
}

/*
 * Users who were told and are missing, as long as they may be and as many as may be told: behind those
 * who are there. Returns how many they are together.
 */
static size_t add_gone(const struct attendance *told, const struct bus_present *p,
		       const struct config_room *settings, uint32_t *first)
{
	struct bus_who *behind = p->who + p->count;
	const size_t found = missing(told->who, told->count, p->who, p->count, behind);
	size_t count = p->count;

	for (size_t i = 0; i < found && count < p->most; i++) {
		struct bus_who *w = &behind[i];

		if (!w->user)
			continue;
		if (w->gone == 0)
			w->gone = session.now + 1;
		if (is_over(w->gone, settings))
			continue;
		if (*first == 0 || (int32_t)(w->gone - *first) < 0)
			*first = w->gone;
		p->who[count++] = *w;
	}
	if (count > p->count)
		qsort(p->who, count, sizeof(*p->who), bus_who_compare);
	return count;
}

/* A copy of them, with their names. NULL: no memory. */
static struct bus_who *copy(const struct bus_who *who, size_t count)
{
	size_t names = 0;
	struct bus_who *to;
	char *at;

	for (size_t i = 0; i < count; i++)
		names += who[i].user_len;
	to = malloc(count * sizeof(*to) + names);
	if (!to)
		return NULL;
	at = (char *)(to + count);
	for (size_t i = 0; i < count; i++) {
		to[i] = who[i];
		if (!who[i].user)
			continue;
		to[i].user = memcpy(at, who[i].user, who[i].user_len);
		at += who[i].user_len;
	}
	return to;
}

static bool take(struct attendance *a, const struct bus_who *who, size_t count)
{
	struct bus_who *taken = count > 0 ? copy(who, count) : NULL;

	if (count > 0 && !taken)
		return false;
	a->who = taken;
	a->count = count;
	a->listed = true;
	return true;
}

static void charge(const struct bus_present *p)
{
	turn_spend_on_each(p->looked, TURN_MESSAGE);
	turn_spend_on_each(p->looked - p->connections, TURN_LOOK);
}

static enum bus_presence list(struct attendance *a, struct bus_room room,
			      const struct config_room *settings, const struct attendance *told)
{
	struct bus_present p = { .size = how_many(room), .most = (size_t)settings->presence_max };
	enum bus_presence found;
	size_t count;

	if (!has_space(p.size)) {
		a->members = bus_members(session.bus, room);
		return BUS_PRESENT_BUSY;
	}
	p.who = reading.who;
	p.names = reading.names;
	found = bus_present(session.bus, room, &p);
	charge(&p);
	a->members = p.members;
	/* there is space for more than came while it was read */
	if (found == BUS_PRESENT_MANY && p.members > p.size && p.members <= CONFIG_PRESENCE_MAX)
		return BUS_PRESENT_BUSY;
	if (found != BUS_PRESENT_ALL)
		return found;
	count = told ? add_gone(told, &p, settings, &a->gone) : p.count;
	turn_spend_on_each(told ? told->count : 0, TURN_LOOK);
	return take(a, p.who, count) ? BUS_PRESENT_ALL : BUS_PRESENT_BUSY;
}

/*
 * Odd if it is listed, so that one that is never is taken for one that is not; nor is a user taken for a
 * connection.
 */
static uint64_t mark_of(const struct attendance *a)
{
	uint64_t sum = 0;

	if (!a->listed)
		return (a->members + 1) << 1;
	for (size_t i = 0; i < a->count; i++)
		sum += mix64(a->who[i].user ? ~a->who[i].key : a->who[i].key);
	return sum << 1 | 1;
}

bool attendance_read(struct attendance *a, struct bus_room room, const struct config_room *settings,
		     const struct attendance *told)
{
	enum bus_presence found = BUS_PRESENT_ALL;

	attendance_free(a);
	a->changes = bus_changes(session.bus, room);
	turn_spend(TURN_LOOK);
	if (settings->presence == PRESENCE_LIST)
		found = list(a, room, settings, told);
	else
		a->members = bus_members(session.bus, room);
	a->mark = mark_of(a);
	return found != BUS_PRESENT_BUSY;
}

bool attendance_copy(struct attendance *to, const struct attendance *from)
{
	struct attendance copied = *from;

	if (!take(&copied, from->who, from->count))
		return false;
	copied.listed = from->listed;
	*to = copied;
	return true;
}

void attendance_free(struct attendance *a)
{
	free(a->who);
	*a = (struct attendance){ 0 };
}

/* --- as it is told --- */

static size_t written_size(const struct bus_who *who, size_t count)
{
	size_t size = FIXED;

	for (size_t i = 0; i < count; i++)
		size += AROUND + (who[i].user ? json_escaped_size(who[i].user, who[i].user_len)
					      : DIGITS_HEX_MAX);
	return size;
}

/* Users are behind the others. */
static uint8_t *put_who(uint8_t *at, const struct bus_who *who, size_t count)
{
	size_t users = 0;

	at = BYTES_PUT(at, WHO);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*at++ = ',';
		*at++ = '"';
		at = who[i].user ? json_escape(at, who[i].user, who[i].user_len)
				 : digits_put(at, who[i].key, 16);
		*at++ = '"';
		users += who[i].user != NULL;
	}
	if (users > 0)
		return digits_put(BYTES_PUT(at, USERS), users, 10);
	*at++ = ']';
	return at;
}

static bool append(struct buffer *out, uint64_t members, const struct bus_who *who, size_t count,
		   bool listed)
{
	uint8_t *at;

	if (!buffer_reserve(out, written_size(who, count)))
		return false;
	at = digits_put(BYTES_PUT(out->p + out->len, MEMBERS), members, 10);
	if (listed)
		at = put_who(at, who, count);
	out->len = (size_t)(at - out->p);
	return true;
}

bool attendance_append(struct buffer *out, const struct attendance *a)
{
	return append(out, a->members, a->who, a->count, a->listed);
}

bool attendance_append_some(struct buffer *out, uint64_t members, const struct bus_who *who,
			    size_t count)
{
	return append(out, members, who, count, true);
}

size_t attendance_more(const struct attendance *now, const struct attendance *before,
		       struct bus_who *out)
{
	return missing(now->who, now->count, before->who, before->count, out);
}

void attendance_fini(void)
{
	free(reading.who);
	free(reading.names);
	reading.who = NULL;
	reading.names = NULL;
	reading.size = 0;
}
