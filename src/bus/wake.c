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
 * until the log is full. So authors look at all cursors when the slowest may be a quarter of
 * the lag behind, and again after each eighth more, and wake those that are over a quarter
 * behind. "Space again" is announced at half the lag, for all to go on in one stretch; at that
 * point, whoever holds them up was more than three eighths behind when an author last
 * looked, hence woken.
 */
#include <unistd.h>

#include "bus/bus_internal.h"

static void kick(const struct bus *b, uint64_t slots)
{
	static const uint64_t one = 1;

	for (int i = 0; slots != 0; i++, slots >>= 1) {
		if (!(slots & 1))
			continue;
		/* EAGAIN: the counter is at its limit and the worker thus woken already. */
		if (write(b->wakeups[i], &one, sizeof(one)) < 0)
			continue;
	}
}

/* The slowest cursor (the tail if there is none), and who is over a quarter of the lag behind. */
static uint64_t slowest(const struct bus *b, uint64_t tail, uint64_t *far_behind)
{
	uint64_t least = tail;

	*far_behind = 0;
	for (int i = 0; i < SLOTS; i++) {
		uint64_t cursor =
			atomic_load_explicit(&b->shared->slots[i].cursor, memory_order_acquire);

		if (cursor >= tail)
			continue;
		if (tail - cursor > b->lag / 4)
			*far_behind |= bus_slot_bit(i);
		if (cursor < least)
			least = cursor;
	}
	return least;
}

void bus_scan(struct bus *b, uint64_t tail)
{
	uint64_t far_behind;

	b->floor = slowest(b, tail, &far_behind);
	b->to_wake |= far_behind;
	b->scan_at = far_behind ? tail + b->lag / 8 : b->floor + b->lag / 4;
}

/* Who is too far behind for those who wait, as has_space has it. */
uint64_t bus_awaited(const struct bus *b)
{
	uint64_t tail = atomic_load_explicit(&b->shared->tail, memory_order_acquire);
	uint64_t slots = 0;

	if (atomic_load_explicit(&b->shared->waiting, memory_order_relaxed) == 0)
		return 0;
	for (int i = 0; i < SLOTS; i++) {
		uint64_t cursor =
			atomic_load_explicit(&b->shared->slots[i].cursor, memory_order_acquire);

		if (cursor < tail && tail - cursor > b->lag / 2)
			slots |= bus_slot_bit(i);
	}
	return slots;
}

static bool has_space(const struct bus *b)
{
	uint64_t tail = atomic_load_explicit(&b->shared->tail, memory_order_acquire);
	uint64_t far_behind;

	return tail - slowest(b, tail, &far_behind) <= b->lag / 2;
}

void bus_release(struct bus *b)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&b->shared->waiting, memory_order_relaxed) == 0 || !has_space(b))
		return;
	kick(b, atomic_exchange(&b->shared->waiting, 0));
}

bool bus_want_space(struct bus *b)
{
	uint64_t own = bus_slot_bit(b->slot);

	atomic_fetch_or(&b->shared->waiting, own);
	atomic_thread_fence(memory_order_seq_cst);
	if (!has_space(b))
		return false;
	atomic_fetch_and(&b->shared->waiting, ~own);
	return true;
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
	bus_release(b);
}

void bus_wake_readers(struct bus *b)
{
	uint64_t slots = b->to_wake & ~bus_slot_bit(b->slot);
	uint64_t asleep = 0;

	b->to_wake = 0;
	if (slots == 0)
		return;
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
