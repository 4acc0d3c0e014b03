/*
 * registry.c - rooms by name and by their place in the bus's directory, see registry.h.
 *
 * Members lie in one array per room, for delivery goes through all of them; who leaves is
 * replaced by the last.
 *
 * Names are the clients': their places in the table come of a secret, so that nobody can choose names
 * that share one.
 */
#include "session/registry.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/siphash.h"
#include "bus/presence.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"

static struct {
	uint64_t secret[2];
	struct room **by_name; /* a power of two of lists, by a hash */
	size_t by_name_mask;
	struct room **by_index; /* by place in the bus's directory */
	size_t index_count;
	size_t rooms;
} registry;

/* Both are touched where there are rooms. */
int registry_init(size_t max_rooms)
{
	size_t lists = 1;

	while (lists < max_rooms)
		lists *= 2;
	registry.index_count = max_rooms;
	registry.by_name_mask = lists - 1;
	registry.by_index = calloc(max_rooms, sizeof(struct room *));
	registry.by_name = calloc(lists, sizeof(struct room *));
	if (registry.by_index && registry.by_name &&
	    getrandom(registry.secret, sizeof(registry.secret), 0) ==
		    (ssize_t)sizeof(registry.secret))
		return 0;
	registry_fini();
	return -1;
}

void registry_fini(void)
{
	free(registry.by_index);
	free(registry.by_name);
	registry.by_index = registry.by_name = NULL;
}

bool registry_is_empty(void)
{
	return registry.rooms == 0;
}

/* The link that leads to the room of that name, or would. */
static struct room **find_link(const char *name)
{
	struct room **link;
	uint64_t hash[2];

	siphash(registry.secret, name, strlen(name), hash);
	link = &registry.by_name[hash[0] & registry.by_name_mask];
	while (*link && strcmp((*link)->name, name) != 0)
		link = &(*link)->next_by_name;
	return link;
}

static void drop(struct room *r)
{
	bus_leave(session.bus, r->bus);
	*find_link(r->name) = r->next_by_name;
	registry.by_index[r->bus.index] = NULL;
	registry.rooms--;
	backlog_forget(&r->backlog);
	announced_forget(&r->announced);
	chunk_shelf_clear(&r->shelf);
	free(r->places);
	envelope_free(&r->envelope);
	free(r->name);
	free(r);
}

static enum reason why_not(enum bus_result result)
{
	switch (result) {
	case BUS_FULL:
		return REASON_BUSY;
	case BUS_ROOMS_FULL:
		return REASON_ROOMS_FULL;
	default:
		session_bus_corrupt();
	}
}

/* Makes this worker a reader; where its endpoint has a limit the room counts, or it is left again. */
static enum bus_result join(struct room *r, const struct config_endpoint *e)
{
	const struct bus_keep keep = config_keep(e);
	enum bus_result result =
		bus_join(session.bus, r->name, strlen(r->name), &keep, &r->bus, &r->newest_after);

	r->generation = e->config->generation;
	if (result != BUS_OK || r->bus.index >= registry.index_count)
		return result == BUS_OK ? BUS_CORRUPT : result;
	if (e->room.max_rooms > 0)
		result = bus_count_for(session.bus, r->bus, e->key, (uint32_t)e->room.max_rooms);
	if (result != BUS_OK)
		bus_leave(session.bus, r->bus);
	return result;
}

/* NULL: *why says why not. */
static struct room *make_room(const struct config_endpoint *e, const char *name, enum reason *why)
{
	struct room *r = calloc(1, sizeof(*r));
	enum bus_result result;

	*why = REASON_NO_MEMORY;
	if (!r || !(r->name = strdup(name)))
		goto out;
	result = join(r, e);
	if (result != BUS_OK) {
		*why = why_not(result);
		goto out;
	}
	TAILQ_INIT(&r->waiting);
	*find_link(name) = r;
	registry.by_index[r->bus.index] = r;
	registry.rooms++;
	return r;
out:
	if (r)
		free(r->name);
	free(r);
	return NULL;
}

struct room *registry_enter(const struct config_endpoint *e, const char *name, enum reason *why)
{
	struct room *r = *find_link(name);

	return r ? r : make_room(e, name, why);
}

/* For the first of its members that comes by; without the lock the next one tries it again. */
void registry_move(struct room *r, const struct config_endpoint *e)
{
	const struct bus_keep keep = config_keep(e);
	enum bus_result kept, counted = BUS_OK;

	if (r->generation == e->config->generation)
		return;
	kept = bus_set_keep(session.bus, r->bus, &keep);
	if (e->room.max_rooms > 0)
		counted = bus_count_for(session.bus, r->bus, e->key, UINT32_MAX);
	if (counted == BUS_CORRUPT || kept == BUS_CORRUPT)
		session_bus_corrupt();
	if (counted == BUS_OK && kept == BUS_OK)
		r->generation = e->config->generation;
}

_Static_assert((int)CONFIG_USER_MAX <= (int)BUS_USER_MAX, "whoever is a user is listed as one");

static bool is_to_be_listed(const struct config_endpoint *e)
{
	return e->room.presence == PRESENCE_LIST;
}

static void list_anew(struct room *r, struct conn *c, bool listed)
{
	struct room_member *m = &c->admission->member;

	if (listed && m->listed == 0) {
		m->listed = bus_come(session.bus, r->bus, (uint32_t)r->count, c->id, conn_user(c));
	} else if (!listed && m->listed != 0) {
		bus_go(session.bus, r->bus, (uint32_t)r->count, m->listed);
		m->listed = 0;
	}
}

/* Who is to be told from now on knows nothing yet; without memory it is not told. */
void registry_move_member(struct conn *c, const struct config_endpoint *e)
{
	struct room_member *m = &c->admission->member;
	const int before = c->endpoint->room.presence, now = e->room.presence;

	if (before == now)
		return;
	list_anew(m->room, c, is_to_be_listed(e));
	if (!m->json)
		return;
	if (now == PRESENCE_NONE)
		announced_forget(&m->room->announced);
	else if (before == PRESENCE_NONE)
		(void)announced_told(&m->room->announced, m->room, &m->told, NULL, false);
}

struct room *registry_at(struct bus_room room)
{
	struct room *r = room.index < registry.index_count ? registry.by_index[room.index] : NULL;

	return r && r->bus.id == room.id ? r : NULL;
}

static bool has_place(struct room *r)
{
	size_t size = r->size ? r->size * 2 : 4;
	struct place *p;

	if (r->count < r->size)
		return true;
	p = realloc(r->places, size * sizeof(*p));
	if (!p)
		return false;
	r->places = p;
	r->size = size;
	return true;
}

bool registry_add(struct room *r, struct conn *c, struct room_member *m)
{
	if (!has_place(r) || (m->json && !r->envelope.head &&
			      !envelope_make(&r->envelope, r->name, bus_epoch(session.bus)))) {
		if (r->count == 0)
			drop(r);
		return false;
	}
	r->newest_after = bus_sequence(session.bus, r->bus);
	r->places[r->count] = (struct place){ c, m, r->newest_after };
	m->room = r;
	m->index = r->count++;
	r->in_json += m->json;
	m->listed = bus_come(session.bus, r->bus, (uint32_t)r->count,
			     is_to_be_listed(c->endpoint) ? c->id : 0, conn_user(c));
	return true;
}

static void move_place(struct room *r, size_t from, size_t to)
{
	if (from == to)
		return;
	r->places[to] = r->places[from];
	r->places[to].member->index = to;
}

/*
 * The last place moves into the gap; where that is among those that a delivery has reached, the
 * last one of these does, and leaves a gap behind them all.
 */
void registry_remove(struct room_member *m)
{
	struct room *r = m->room;
	size_t gap = m->index;

	if (!r)
		return;
	m->room = NULL;
	r->in_json -= m->json;
	if (r->in_json == 0)
		announced_forget(&r->announced);
	else if (r->announced && r->announced->reached > gap)
		r->announced->reached = gap;
	if (gap < r->reached) {
		move_place(r, --r->reached, gap);
		gap = r->reached;
	}
	move_place(r, --r->count, gap);
	/* ahead of bus_leave, see bus/presence.c */
	bus_go(session.bus, r->bus, (uint32_t)r->count, m->listed);
	m->listed = 0;
	if (r->count == 0)
		drop(r);
}

/*
 * Counts first and looks then, so that workers together never exceed it: behind the fence at least
 * one of two sees both.
 */
bool registry_add_within(struct room *r, struct conn *c, struct room_member *m, uint64_t most,
			 bool *full)
{
	*full = false;
	if (!registry_add(r, c, m))
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	*full = bus_members(session.bus, r->bus) > most;
	if (*full)
		registry_remove(m);
	return !*full;
}
