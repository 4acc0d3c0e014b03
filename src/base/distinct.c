/*
 * distinct.c - see distinct.h.
 *
 * Each key sets one bit of a map, by its hash, and the number of keys follows from how many are
 * set: where k of n are, the next key sets a new one with the probability (n - k) / n, so it took
 * n / (n - k) keys on average to see that. Their sum is the estimate (linear counting).
 *
 * The hash is under a secret, so that nobody can choose keys that share a bit.
 */
#include "base/distinct.h"

#include <sys/random.h>

#include "base/mix.h"

/* Without one it is the same for all: then the number can be made smaller than it is. */
static uint64_t secret(void)
{
	static uint64_t value;

	if (value == 0 && getrandom(&value, sizeof(value), GRND_NONBLOCK) < 0)
		value = 1;
	return value;
}

void distinct_add(struct distinct *d, uint64_t key)
{
	uint64_t h = mix64(mix64(key ^ secret()) + secret());

	d->bits[h % DISTINCT_BITS / 64] |= UINT64_C(1) << h % 64;
}

unsigned distinct_count(const struct distinct *d)
{
	unsigned set = 0;
	double sum = 0.5;

	for (int i = 0; i < DISTINCT_BITS / 64; i++)
		set += (unsigned)__builtin_popcountll(d->bits[i]);
	for (unsigned k = 0; k < set; k++)
		sum += DISTINCT_BITS / (double)(DISTINCT_BITS - k);
	return sum < DISTINCT_MOST ? (unsigned)sum : DISTINCT_MOST;
}
