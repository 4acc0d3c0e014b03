/*
 * attendance.c - see attendance.h.
 */
#include "session/attendance.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/digits.h"
#include "base/mix.h"
#include "bus/presence.h"
#include "config/config.h"
#include "session/session.h"
#include "session/turn.h"

#define MEMBERS ",\"members\":"
#define WHO ",\"who\":["

enum {
	FIXED = sizeof(MEMBERS) + DIGITS_DECIMAL_MAX + sizeof(WHO) + 1,
	EACH = DIGITS_HEX_MAX + 3, /* with quotes and a comma */
};

static bool has_space(struct attendance *a, size_t count)
{
	uint64_t *grown;

	if (a->size >= count)
		return true;
	grown = realloc(a->ids, count * sizeof(*grown));
	if (!grown)
		return false;
	a->ids = grown;
	a->size = count;
	return true;
}

/* Ahead of it, so that it knows how many there are about: the list may have grown meanwhile. */
static size_t how_many(struct bus_room room, size_t most)
{
	const uint64_t members = bus_members(session.bus, room);

	return members + members / 8 + 4 < most ? (size_t)(members + members / 8 + 4) : most;
}

static enum bus_presence list(struct attendance *a, struct bus_room room, size_t most)
{
	struct bus_present p = { .most = how_many(room, most) };
	enum bus_presence found;

	if (!has_space(a, p.most)) {
		a->members = bus_members(session.bus, room);
		return BUS_PRESENT_BUSY;
	}
	p.ids = a->ids;
	found = bus_present(session.bus, room, &p);
	/* there is space for more than came while it was read */
	if (found == BUS_PRESENT_MANY && p.members <= most)
		found = BUS_PRESENT_BUSY;
	a->members = p.members;
	a->count = p.count;
	a->listed = found == BUS_PRESENT_ALL;
	return found;
}

/* Odd if it is listed, so that one that is never is taken for one that is not. */
static uint64_t mark_of(const struct attendance *a)
{
	uint64_t sum = 0;

	if (!a->listed)
		return (a->members + 1) << 1;
	for (size_t i = 0; i < a->count; i++)
		sum += mix64(a->ids[i]);
	return sum << 1 | 1;
}

bool attendance_read(struct attendance *a, struct bus_room room, const struct config_room *settings)
{
	enum bus_presence found = BUS_PRESENT_ALL;

	a->changes = bus_changes(session.bus, room);
	a->listed = false;
	a->count = 0;
	if (settings->presence == PRESENCE_LIST)
		found = list(a, room, (size_t)settings->presence_max);
	else
		a->members = bus_members(session.bus, room);
	turn_spend(TURN_LOOK + (uint32_t)a->count * TURN_MESSAGE);
	a->mark = mark_of(a);
	return found != BUS_PRESENT_BUSY;
}

void attendance_free(struct attendance *a)
{
	free(a->ids);
	*a = (struct attendance){ 0 };
}

static bool append(struct buffer *out, uint64_t members, const uint64_t *ids, size_t count,
		   bool listed)
{
	uint8_t *at;

	if (!buffer_reserve(out, FIXED + count * EACH))
		return false;
	at = digits_put(BYTES_PUT(out->p + out->len, MEMBERS), members, 10);
	if (listed)
		at = BYTES_PUT(at, WHO);
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*at++ = ',';
		*at++ = '"';
		at = digits_put(at, ids[i], 16);
		*at++ = '"';
	}
	if (listed)
		*at++ = ']';
	out->len = (size_t)(at - out->p);
	return true;
}

bool attendance_append(struct buffer *out, const struct attendance *a)
{
	return append(out, a->members, a->ids, a->count, a->listed);
}

bool attendance_append_some(struct buffer *out, uint64_t members, const uint64_t *ids, size_t count)
{
	return append(out, members, ids, count, true);
}

size_t attendance_more(const struct attendance *now, const struct attendance *before, uint64_t *out)
{
	size_t found = 0, j = 0;

	for (size_t i = 0; i < now->count; i++) {
		while (j < before->count && before->ids[j] < now->ids[i])
			j++;
		if (j == before->count || before->ids[j] != now->ids[i])
			out[found++] = now->ids[i];
	}
	return found;
}
