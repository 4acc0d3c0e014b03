/*
 * histogram.h - how long things took, in buckets of about 3 %.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_BUCKETS = 64 * HISTOGRAM_STEPS };

struct histogram {
	uint64_t count, max;
	uint32_t buckets[HISTOGRAM_BUCKETS];
};

/* Counts one value, in ns. */
void histogram_add(struct histogram *h, uint64_t ns);

/* The value, in ns, that the given share (0..1) of all values does not exceed; 0 if there is none. */
uint64_t histogram_at(const struct histogram *h, double share);

/* The largest value of a bucket, in ns. */
uint64_t histogram_end(unsigned bucket);

#endif
