/*
 * Cursors, and who is woken when.
 *
 * There are two questions that one process asks while another changes the answer: "may I sleep?"
 * against "a new tail is stored", and "is there space?" against "a cursor moved". Both are settled
 * the same way: each side first stores its own word, then passes a sequentially consistent
 * fence, then looks at the other's. At least one of the two sees the other; so either the sleeper
 * stays awake or it gets a write to its eventfd.
 *
 * Only the readers of the rooms that were written to are woken. That alone could stall the log: a
 * worker whose rooms are quiet sleeps, its cursor stays, and others' messages pile up behind it
 * until the ring is full. So authors look at all cursors when the slowest may be a quarter of
 * the lag behind, and again after each eighth more, and wake those that are over a quarter
 * behind. Whoever finds no space has looked as well: those who hold it up are woken by it.
 *
 * Who finds no space in a room waits for the one that holds it up most, and for no other: it leaves
 * in that one's slot its own bit (`awaited`) and how far it has to come (`marks`): half the lag
 * behind the tail, so that all go on in one stretch, or behind the room's last entry, which may be
 * earlier; where the ring is full, half the ring. A cursor that comes to a mark takes the bit away
 * and wakes who left it, once. Before that the room could not have gone on, so nobody is woken for
 * nothing, and when all its readers move alike, one wake-up is enough. With publishers that wait
 * in several rooms there is such a slot for each of them, and the earliest mark in each slot: the
 * first room that may go on is not behind the others. The others' waiting is said anew by whoever
 * is woken, as it tries them all.
 *
 * Nothing of that is lost:
 *
 *	a cursor moved		before the bit was there: who left it sees that, behind its fence.
 *				After: whose cursor it is sees the bit, and the mark that was stored
 *				before the bit
 *	a mark is changed	under a bit that is there. Whose cursor it is may have seen the old one
 *				and take away the bit that is for the new one; but never without a
 *				wake-up behind it, so it is left again
 *	the room is left	by the one that holds it up, whose cursor stays. It takes its
 *				membership away, adds to `freed`, passes the fence and wakes all that
 *				wait for it. Who waits compares `freed`, behind its own fence, with what
 *				it was before it looked who is in the room
 *	a worker catches up	with a room that it had fallen behind in: as if it had left it
 *	it dies			after the bit is taken away and before it wakes anybody, or anywhere
 *				else: the master does as above in its stead, and wakes all
 *
 * Those of its room that held it up as well, but less, have its bit too, with a mark that wakes nobody
 * (QUIET): the master sees in it that they are waited for. Such a bit only who left it takes
 * away, or the master when the slot is empty, for nothing would tell that it has to be left again.
 */
#include <errno.h>
#include <unistd.h>

#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

/* Others may fill a counter as it is emptied: that has an end. */
enum { WAKE_TRIES = 10 };

/* Of a mark: nobody is woken when a cursor comes to it. No position is ever as large. */
static const uint64_t QUIET = (uint64_t)1 << 63;
/* No cursor ever comes to it, but bus_release does. */
static const uint64_t NO_MARK = ((uint64_t)1 << 63) - 1;

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t cursor_of(const struct bus *b, int slot)
{
	return atomic_load_explicit(&b->shared->slots[slot].cursor, memory_order_acquire);
}

/* How far any cursor may be behind the tail of an append: what is left by the largest entry. */
static size_t reach(const struct bus *b)
{
	return b->size - b->size / 4;
}

/*
 * Nobody reads what is written here: who sleeps is woken by the write itself (an edge). Only a
 * counter that is full takes none (EAGAIN); that would be no edge, so it is emptied first. No count of
 * wake-ups comes to that, but what another process wrote may.
 */
void bus_wake(const struct bus *b, int slot)
{
	static const uint64_t one = 1;
	const int fd = b->wakeups[slot];
	uint64_t count;

	for (int tries = 0; tries < WAKE_TRIES; tries++) {
		if (write(fd, &one, sizeof(one)) >= 0 || errno != EAGAIN)
			return;
		if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
			return;
	}
}

static void kick(const struct bus *b, uint64_t slots)
{
	for (int i = 0; slots != 0; i++, slots >>= 1)
		if (slots & 1)
			bus_wake(b, i);
}

void bus_scan(struct bus *b, uint64_t tail)
{
	uint64_t least = tail, near = tail, far_behind = 0;

	b->far = 0;
	for (int i = 0; i < SLOTS; i++) {
		uint64_t cursor = cursor_of(b, i);

		if (cursor >= tail)
			continue;
		if (tail - cursor > b->lag / 4)
			far_behind |= bus_slot_bit(i);
		if (tail - cursor > b->lag)
			b->far |= bus_slot_bit(i);
		else if (cursor < near)
			near = cursor;
		if (cursor < least)
			least = cursor;
	}
	b->floor = least;
	b->open_until = smaller(near + b->lag, least + reach(b));
	b->to_wake |= far_behind;
	b->scan_at = far_behind ? tail + b->lag / 8 : least + b->lag / 4;
}

/* Of these slots, those whose cursor is before a position; *slowest: the last of them. */
static uint64_t who_is_before(const struct bus *b, uint64_t slots, uint64_t position, int *slowest)
{
	uint64_t least = position, found = 0;

	for (int i = 0; slots != 0; i++, slots >>= 1) {
		uint64_t cursor = slots & 1 ? cursor_of(b, i) : BUS_NO_CURSOR;

		if (cursor >= position)
			continue;
		found |= bus_slot_bit(i);
		if (cursor < least) {
			least = cursor;
			*slowest = i;
		}
	}
	return found;
}

/* A room waits until all of these slots have come to a mark. */
static void hold(struct bus *b, uint64_t slots, uint64_t mark)
{
	int slowest = -1;
	uint64_t found = who_is_before(b, slots, mark, &slowest);

	b->held.again |= found == 0;
	for (int i = 0; found != 0; i++, found >>= 1) {
		uint64_t m = i == slowest ? mark : mark | QUIET;

		if (!(found & 1))
			continue;
		if (!(b->held.slots & bus_slot_bit(i)) || m < b->held.marks[i])
			b->held.marks[i] = m;
		b->held.slots |= bus_slot_bit(i);
	}
}

/* A room waits until one of these slots says so, and not for a cursor. */
static void hold_until_told(struct bus *b, uint64_t slots)
{
	for (int i = 0; slots != 0; i++, slots >>= 1) {
		if (!(slots & 1) || b->held.slots & bus_slot_bit(i))
			continue;
		b->held.marks[i] = NO_MARK;
		b->held.slots |= bus_slot_bit(i);
	}
}

static enum bus_result look_at_ring(struct bus *b, uint64_t tail)
{
	bus_scan(b, tail);
	if (tail - b->floor > b->size)
		return BUS_CORRUPT;
	if (tail - b->floor <= reach(b))
		return BUS_OK;
	hold(b, UINT64_MAX, tail - b->size / 2);
	return BUS_FULL;
}

/* From here on is told what held up an append. */
static void begin_to_look(struct bus *b)
{
	if (b->held.slots == 0)
		b->held.freed = atomic_load(&b->shared->freed);
}

enum bus_result bus_look_at_ring(struct bus *b, uint64_t tail)
{
	if (tail <= b->open_until)
		return BUS_OK;
	begin_to_look(b);
	return look_at_ring(b, tail);
}

enum bus_result bus_look_for_space(struct bus *b, const struct bus_dir_room *r, uint64_t tail)
{
	uint64_t behind_last = LOAD(r->last) + BUS_ALIGN;
	enum bus_result result;
	uint64_t members, told;
	int slowest;

	begin_to_look(b);
	members = atomic_load(&r->members);
	result = look_at_ring(b, tail);
	if (result != BUS_OK)
		return result;
	told = members & atomic_load(&r->behind);
	hold_until_told(b, told);
	if (who_is_before(b, members & b->far, behind_last, &slowest) == 0)
		return told ? BUS_FULL : BUS_OK;
	hold(b, members, smaller(tail - b->lag / 2, behind_last));
	return BUS_FULL;
}

/* Says so to those that hold up this worker, and no longer to those that do not. */
static void ask(struct bus *b, uint64_t slots)
{
	uint64_t own = bus_slot_bit(b->slot), either = slots | b->asked;

	for (int i = 0; either != 0; i++, either >>= 1) {
		struct bus_slot *s = &b->shared->slots[i];

		if (slots & bus_slot_bit(i)) {
			STORE(s->marks[b->slot], b->held.marks[i]);
			atomic_fetch_or(&s->awaited, own);
		} else if (either & 1) {
			atomic_fetch_and(&s->awaited, ~own);
		}
	}
	b->asked = slots;
}

/* Whether one of those that were asked has come to its mark, or is not what it was. */
static bool have_moved(const struct bus *b)
{
	uint64_t slots = b->held.slots;

	atomic_thread_fence(memory_order_seq_cst);
	if (slots != 0 && atomic_load(&b->shared->freed) != b->held.freed)
		return true;
	for (int i = 0; slots != 0; i++, slots >>= 1)
		if (slots & 1 && cursor_of(b, i) >= b->held.marks[i])
			return true;
	return false;
}

void bus_want_nothing(struct bus *b)
{
	b->held.slots = 0;
	b->held.again = false;
}

bool bus_want_space(struct bus *b)
{
	bool again = b->held.again;

	if ((b->held.slots | b->asked) != 0) {
		ask(b, again ? 0 : b->held.slots);
		again = again || have_moved(b);
		if (again)
			ask(b, 0);
	}
	bus_want_nothing(b);
	return again;
}

/* Whether a slot's cursor has not come to one of the marks in it. */
static bool is_awaited(const struct bus *b, int slot)
{
	const struct bus_slot *s = &b->shared->slots[slot];
	uint64_t by = atomic_load_explicit(&s->awaited, memory_order_acquire);

	for (int i = 0; by != 0; i++, by >>= 1)
		if (by & 1 && cursor_of(b, slot) < (LOAD(s->marks[i]) & ~QUIET))
			return true;
	return false;
}

uint64_t bus_awaited(const struct bus *b)
{
	uint64_t slots = 0;

	for (int i = 0; i < SLOTS; i++)
		if (is_awaited(b, i))
			slots |= bus_slot_bit(i);
	return slots;
}

/* A cursor has come to a position: wakes those whose mark it has reached. */
static void tell(struct bus *b, int slot, uint64_t position)
{
	struct bus_slot *s = &b->shared->slots[slot];
	uint64_t by, told = 0;

	atomic_thread_fence(memory_order_seq_cst);
	by = atomic_load_explicit(&s->awaited, memory_order_acquire);
	for (int i = 0; by != 0; i++, by >>= 1)
		if (by & 1 && LOAD(s->marks[i]) <= position)
			told |= bus_slot_bit(i);
	if (told == 0)
		return;
	atomic_fetch_and(&s->awaited, ~told);
	kick(b, told);
}

void bus_release(struct bus *b, int slot)
{
	tell(b, slot, NO_MARK);
}

void bus_release_dead(struct bus *b, int slot)
{
	uint64_t by = atomic_exchange(&b->shared->slots[slot].awaited, 0);

	for (int i = 0; i < SLOTS; i++)
		atomic_fetch_and(&b->shared->slots[i].awaited, ~bus_slot_bit(slot));
	kick(b, by);
}

uint64_t bus_cursor(const struct bus *b)
{
	if (b->joined == 0)
		return atomic_load_explicit(&b->shared->tail, memory_order_acquire);
	return atomic_load_explicit(&b->shared->slots[b->slot].cursor, memory_order_relaxed);
}

/* Never back: a batch may end after the worker's last member left, and another came. */
void bus_advance(struct bus *b, uint64_t position)
{
	if (b->joined == 0 || position <= bus_cursor(b))
		return;
	atomic_store_explicit(&b->shared->slots[b->slot].cursor, position, memory_order_release);
	tell(b, b->slot, position);
}

/* Not inline: most turns wake nobody. */
static __attribute__((noinline)) void wake_sleepers(struct bus *b, uint64_t slots)
{
	uint64_t asleep = 0;

	atomic_thread_fence(memory_order_seq_cst);
	for (int i = 0; i < SLOTS; i++) {
		struct bus_slot *s = &b->shared->slots[i];

		if (slots & bus_slot_bit(i) &&
		    atomic_load_explicit(&s->sleeping, memory_order_relaxed) &&
		    atomic_exchange(&s->sleeping, 0))
			asleep |= bus_slot_bit(i);
	}
	kick(b, asleep);
}

void bus_wake_readers(struct bus *b)
{
	uint64_t slots = b->to_wake & ~bus_slot_bit(b->slot);

	b->to_wake = 0;
	if (slots != 0)
		wake_sleepers(b, slots);
}

bool bus_has_news(const struct bus *b)
{
	return b->joined > 0 && LOAD(b->shared->tail) != bus_cursor(b);
}

bool bus_sleep(struct bus *b)
{
	struct bus_slot *s = &b->shared->slots[b->slot];

	atomic_store_explicit(&s->sleeping, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (b->joined == 0 ||
	    atomic_load_explicit(&b->shared->tail, memory_order_relaxed) == bus_cursor(b))
		return false;
	bus_awake(b);
	return true;
}

void bus_awake(struct bus *b)
{
	atomic_store_explicit(&b->shared->slots[b->slot].sleeping, 0, memory_order_relaxed);
}
