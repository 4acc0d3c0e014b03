/*
 * exposition.h - what is counted, as text that Prometheus reads (text format 0.0.4).
 */
#ifndef BASE_EXPOSITION_H
#define BASE_EXPOSITION_H

#include <stddef.h>
#include <stdint.h>

struct metrics;

/* What is told beside the counters by who knows it. METRICS_UNKNOWN: it is left out. */
#define METRICS_UNKNOWN UINT64_MAX
struct metrics_facts {
#define METRIC_FACT(field, unit, type, name, help) uint64_t field;
#define METRIC_ASKED(field, type, name, help) const uint64_t *field; /* by label; NULL: all 0 */
#include "base/metrics.def"
	const char *version; /* of the program */
};

/* Takes the next bytes, whole lines of them, which are lent for the call. */
typedef void exposition_put(const char *bytes, size_t len, void *arg);

/*
 * Writes all of it: at most some 250 bytes for each endpoint and metric, beside its path. The counters
 * may be changing: each of them is whole, and what is told of one is not of the same moment as what
 * is told of another.
 */
void exposition_write(const struct metrics *m, const struct metrics_facts *f, exposition_put *put,
		      void *arg);

#endif
