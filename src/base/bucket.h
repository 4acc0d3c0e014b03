/*
 * bucket.h - so many at once, then so many a second: a token bucket in eight bytes.
 *
 * What does not pass is counted. So that the count does not stand between each two that pass,
 * a bucket that has run empty lets nothing pass until a second's worth is in it again; then it
 * gives the count, and goes on.
 */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* burst: 1.. at once, then one every `every` milliseconds; the product is below 2^31. */
struct bucket_size {
	uint32_t burst, every;
};

/* Zeroed it is full. */
struct bucket {
	uint32_t full_at; /* when it would be full again, in milliseconds */
	uint32_t missed; /* did not pass since the count was given */
};

/* Whether one more passes at the time now (milliseconds of any clock, modulo 2^32). */
bool bucket_take(struct bucket *b, const struct bucket_size *size, uint32_t now);

/* Counts n that did not pass elsewhere. */
void bucket_miss(struct bucket *b, uint32_t n);

/*
 * How many did not pass, once it is time to tell; 0: none, or it is too early. A number is told
 * once, and telling it is one that passes.
 */
uint32_t bucket_missed(struct bucket *b, const struct bucket_size *size, uint32_t now);

/* The same at the end of all, when there is no later. */
uint32_t bucket_rest(struct bucket *b);

#endif
