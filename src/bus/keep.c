/*
 * What rooms keep, and the sums of it.
 *
 * A room keeps its newest entries, so what it keeps is a window on its numbers that ends with the
 * last one given. A new entry makes the window longer, and then the oldest leave it as long as it
 * is over the room's limits. So each entry of the window leads to the one behind it (`next`), which
 * is written into it before that one is published: where the oldest leads to is the next to leave.
 *
 * Only a few leave with each entry that comes, so that nobody is long under the lock for it; who
 * looks (history.c) counts for himself, and the rest leaves with the next ones, or before it
 * would be carried. That is also when an entry leaves that is too old, or when bus_carry finds it.
 *
 * A window, the sum of its group and that of all rooms change together (ledger.c). Whether an
 * entry was accounted for before its author died is told by `upto`, so that doing it again for
 * all entries of the newest append does no harm.
 *
 * Nothing here costs anything as long as no room has limits.
 */
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Release, so that the compiler keeps the order of the steps. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

/* Entries that leave a window for one that comes. */
enum { LEAVE_MOST = 8, MS_PER_S = 1000 };

struct bus_window bus_keep_window(const struct bus_dir_keep *k)
{
	return (struct bus_window){ .from = LOAD(k->from),
				    .upto = LOAD(k->upto),
				    .count = LOAD(k->count),
				    .size = LOAD(k->size) };
}

static uint16_t group_of(const struct bus_dir_keep *k)
{
	return (uint16_t)LOAD(k->terms);
}

bool bus_keep_is_over(const struct bus_dir_keep *k, const struct bus_window *w)
{
	uint64_t limits = LOAD(k->limits);

	return w->count > limits >> 32 || w->size > (uint32_t)limits;
}

bool bus_keep_is_old(const struct bus_dir_keep *k, int64_t time, int64_t now)
{
	int64_t ttl = (int64_t)(LOAD(k->terms) >> 32) * MS_PER_S;

	return ttl != 0 && (int64_t)((uint64_t)now - (uint64_t)time) > ttl;
}

bool bus_keep_oldest(const struct bus *b, uint32_t index, const struct bus_window *w,
		     struct bus_head *head)
{
	uint64_t available = LOAD(b->shared->tail) - w->from;

	if (w->count == 0 || w->from % BUS_ALIGN != 0 || available > b->size ||
	    available < sizeof(*head))
		return false;
	bus_copy_head(b, w->from, head);
	return bus_head_credible(b, head, w->from, available) &&
	       head->id == LOAD(b->rooms[index].id) && head->sequence == w->upto - w->count + 1 &&
	       bus_entry_size(head->frame_len) <= w->size;
}

/* The sums of all rooms, when one that had `before` bytes has `after`, and its oldest is at from. */
static void put_sum(struct bus *b, unsigned *n, uint64_t before, uint64_t after, uint64_t from)
{
	struct bus_keeping *all = b->keeping;
	uint64_t sum = LOAD(all->size) - before + after;

	bus_ledger_put(b, n, &all->size, sum);
	if (sum == 0)
		bus_ledger_put(b, n, &all->edge, BUS_NO_EDGE);
	else if (LOAD(all->edge) == BUS_NO_EDGE)
		bus_ledger_put(b, n, &all->edge, from);
}

static void put_window(struct bus *b, unsigned *n, struct bus_dir_keep *k,
		       const struct bus_window *w)
{
	bus_ledger_put(b, n, &k->from, w->count ? w->from : 0);
	bus_ledger_put(b, n, &k->upto, w->upto);
	bus_ledger_put(b, n, &k->count, w->count);
	bus_ledger_put(b, n, &k->size, w->size);
}

/* evicted: of the entries that left, how many would have stayed if there were space. */
static void commit(struct bus *b, struct bus_dir_keep *k, const struct bus_window *w,
		   uint64_t evicted)
{
	_Atomic uint64_t *kept = &b->keeping->kept[group_of(k)];
	_Atomic uint64_t *lost = &b->keeping->evicted[group_of(k)];
	uint64_t before = LOAD(k->size);
	unsigned n = 0;

	put_window(b, &n, k, w);
	bus_ledger_put(b, &n, kept, LOAD(*kept) - before + w->size);
	put_sum(b, &n, before, w->size, w->from);
	if (evicted)
		bus_ledger_put(b, &n, lost, LOAD(*lost) + evicted);
	bus_ledger_commit(b, n);
	b->evicted.entries += evicted;
	if (evicted)
		b->evicted.group = group_of(k);
}

static bool leave(const struct bus *b, uint32_t index, struct bus_window *w)
{
	struct bus_head head;

	if (!bus_keep_oldest(b, index, w, &head))
		return false;
	w->count--;
	w->size -= bus_entry_size(head.frame_len);
	w->from = head.next;
	return true;
}

bool bus_keep_note(struct bus *b, uint32_t index, uint64_t position, const struct bus_head *head)
{
	struct bus_dir_keep *k = &b->keeping->rooms[index];
	struct bus_window w = bus_keep_window(k);

	if (LOAD(k->limits) == 0 || head->sequence != w.upto + 1)
		return true;
	w.upto++;
	w.size += bus_entry_size(head->frame_len);
	if (w.count++ == 0)
		w.from = position;
	for (int i = 0; i < LEAVE_MOST && bus_keep_is_over(k, &w); i++)
		if (!leave(b, index, &w))
			return false;
	STORE(k->said, position);
	commit(b, k, &w, 0);
	return true;
}

bool bus_keep_drop(struct bus *b, uint32_t index, bool evicted)
{
	struct bus_dir_keep *k = &b->keeping->rooms[index];
	struct bus_window w = bus_keep_window(k);

	if (!leave(b, index, &w))
		return false;
	commit(b, k, &w, evicted ? 1 : 0);
	return true;
}

/* What has left since, or was forgotten, does not come back when it is done again. */
void bus_keep_move(struct bus *b, uint32_t index, uint64_t position)
{
	struct bus_dir_keep *k = &b->keeping->rooms[index];
	struct bus_window w = bus_keep_window(k);

	if (w.count == 0 || w.from >= position)
		return;
	w.from = position;
	commit(b, k, &w, 0);
}

static uint64_t limits_of(const struct bus *b, const struct bus_keep *keep)
{
	uint64_t most = b->lag / 4, bytes = keep->bytes < most ? keep->bytes : most;

	return keep->messages && bytes ? (uint64_t)keep->messages << 32 | bytes : 0;
}

/* The sums of both groups, when a room with `before` bytes takes `after` with it to another. */
static void put_groups(struct bus *b, unsigned *n, uint16_t from, uint64_t before, uint16_t to,
		       uint64_t after)
{
	struct bus_keeping *all = b->keeping;
	uint64_t left = LOAD(all->kept[from]) - before;

	if (from != to)
		bus_ledger_put(b, n, &all->kept[from], left);
	bus_ledger_put(b, n, &all->kept[to], (from == to ? left : LOAD(all->kept[to])) + after);
	if (LOAD(all->groups) <= to)
		bus_ledger_put(b, n, &all->groups, (uint64_t)to + 1);
}

/* A room that begins to keep has nothing yet, and what was said before is accounted for. */
void bus_keep_set(struct bus *b, uint32_t index, const struct bus_keep *keep)
{
	struct bus_dir_keep *k = &b->keeping->rooms[index];
	uint64_t limits = limits_of(b, keep), was = LOAD(k->limits);
	uint64_t terms = (uint64_t)keep->ttl << 32 | keep->group;
	struct bus_window w = bus_keep_window(k);
	uint64_t before = w.size;
	unsigned n = 0;

	if (limits == was && (terms == LOAD(k->terms) || was == 0))
		return;
	if (was == 0)
		STORE(k->said, LOAD(b->rooms[index].last));
	if (limits == 0 || was == 0)
		w = (struct bus_window){ .upto = LOAD(b->rooms[index].sequence) };
	put_window(b, &n, k, &w);
	put_groups(b, &n, group_of(k), before, keep->group, w.size);
	put_sum(b, &n, before, w.size, w.from);
	bus_ledger_put(b, &n, &b->keeping->keepers,
		       LOAD(b->keeping->keepers) + (limits != 0) - (was != 0));
	bus_ledger_put(b, &n, &k->limits, limits);
	bus_ledger_put(b, &n, &k->terms, terms);
	bus_ledger_commit(b, n);
}

static void forget(struct bus *b, uint32_t index, bool evicted)
{
	struct bus_dir_keep *k = &b->keeping->rooms[index];
	struct bus_window w = bus_keep_window(k);
	uint64_t count = w.count;

	w.count = w.size = 0;
	if (count != 0)
		commit(b, k, &w, evicted ? count : 0);
}

void bus_keep_end(struct bus *b, uint32_t index)
{
	static const struct bus_keep nothing;

	forget(b, index, true);
	if (LOAD(b->keeping->rooms[index].limits) != 0)
		bus_keep_set(b, index, &nothing);
}

struct bus_evicted bus_take_evicted(struct bus *b)
{
	struct bus_evicted e = b->evicted;

	b->evicted.entries = 0;
	return e;
}

void bus_keep_list(const struct bus *b, uint32_t index, struct bus_listed *r)
{
	const struct bus_dir_keep *k = &b->keeping->rooms[index];
	struct bus_window w = bus_keep_window(k);
	struct bus_head head;

	if (LOAD(k->limits) == 0)
		w.count = w.size = 0;
	r->kept = w.count;
	r->kept_bytes = w.size;
	r->kept_since = bus_keep_oldest(b, index, &w, &head) ? head.time : 0;
	r->group = group_of(k);
}

/* Takes the lock to change what a room keeps. */
static enum bus_result begin(struct bus *b, struct bus_room room)
{
	enum bus_result result = bus_lock(b, BUS_PATIENTLY);

	if (result != BUS_OK || bus_room_at(b, room))
		return result;
	bus_unlock(b);
	return BUS_GONE;
}

enum bus_result bus_set_keep(struct bus *b, struct bus_room room, const struct bus_keep *keep)
{
	enum bus_result result = begin(b, room);

	if (result != BUS_OK)
		return result;
	bus_keep_set(b, room.index, keep);
	bus_unlock(b);
	return BUS_OK;
}

enum bus_result bus_forget(struct bus *b, struct bus_room room)
{
	enum bus_result result = begin(b, room);

	if (result != BUS_OK)
		return result;
	forget(b, room.index, false);
	bus_unlock(b);
	return BUS_OK;
}
