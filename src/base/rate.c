/*
 * rate.c - see rate.h.
 */
#include "base/rate.h"

static const int64_t SECOND = 1000000000;

struct rate_size rate_size_of(int64_t every, int64_t burst)
{
	if (burst == 0 && every > 0)
		burst = every < SECOND ? SECOND / every : 1;
	return (struct rate_size){ .every = every, .depth = every * burst };
}

/*
 * Nanoseconds until it is full. A time further ahead than that can be is one that is past; but a
 * little further is that of another process, whose turn began later.
 */
static int64_t until_full(int64_t full_at, const struct rate_size *size, int64_t now)
{
	return full_at > now && full_at <= now + size->depth + RATE_APART ? full_at - now : 0;
}

int64_t rate_take(struct rate *r, const struct rate_size *size, int64_t now)
{
	int64_t full_at = atomic_load_explicit(&r->full_at, memory_order_relaxed), ahead;

	if (size->every == 0)
		return 0;
	do {
		ahead = until_full(full_at, size, now) + size->every;
		if (ahead > size->depth)
			return ahead - size->depth;
	} while (!atomic_compare_exchange_weak_explicit(
		&r->full_at, &full_at, now + ahead, memory_order_relaxed, memory_order_relaxed));
	return 0;
}

void rate_give(struct rate *r, const struct rate_size *size)
{
	if (size->every > 0)
		atomic_fetch_sub_explicit(&r->full_at, size->every, memory_order_relaxed);
}
