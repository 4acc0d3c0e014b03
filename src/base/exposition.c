/*
 * exposition.c - see exposition.h.
 *
 * One function for each kind of row in metrics.def, and one table of all rows: who adds a metric
 * there need not come here. Series of which nothing was counted yet are left out where they would be
 * many (reasons, codes), and are there from the start elsewhere, so that a rate is known at once.
 */
#include "base/exposition.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/metrics.h"

/* Of a line: a path, of which each byte may be written as five (\\x..), and the rest. */
enum { LINE_MAX_BYTES = 5 * METRICS_PATH_MAX + 512 };

struct out {
	const struct metrics *m;
	const struct metrics_facts *facts;
	exposition_put *put;
	void *arg;
};

struct family {
	void (*write)(const struct out *o, const struct family *f);
	const char *type, *name, *help;
	size_t field; /* where it is, by its kind of row */
	uint64_t (*derived)(const struct metrics *m, unsigned label);
	unsigned per_unit;
};

static __attribute__((format(printf, 2, 3))) void line(const struct out *o, const char *fmt, ...)
{
	static char text[LINE_MAX_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof(text))
		o->put(text, (size_t)n, o->arg);
}

static uint64_t at(const void *base, size_t field)
{
	return atomic_load((const _Atomic uint64_t *)((const char *)base + field));
}

/* --- labels --- */

/*
 * A path in quotes, as the format has it. It is written as in the configuration, but for bytes that
 * are not ASCII: whether they are text is not looked at, and who reads must be able to rely on it.
 */
static void escape(const char *path, char out[LINE_MAX_BYTES])
{
	size_t n = 0;

	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if (c == '"' || c == '\\')
			n += (size_t)sprintf(out + n, "\\%c", c);
		else if (c < ' ' || c >= 0x7f)
			n += (size_t)sprintf(out + n, "\\\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	out[n] = '\0';
}

/* Calls fn for each endpoint that has a label, and for the others. */
static void each_label(const struct out *o, const struct family *f,
		       uint64_t (*value)(const struct out *o, const struct family *f,
					 unsigned label))
{
	static char path[METRICS_PATH_MAX + 1], escaped[LINE_MAX_BYTES];
	unsigned labels = metrics_labels(o->m);

	for (unsigned i = 0; i < labels || i == METRICS_OTHER; i++) {
		if (i == METRICS_OTHER)
			sprintf(escaped, "other");
		else if (metrics_label_path(o->m, i, path))
			escape(path, escaped);
		else
			continue;
		line(o, "ignyxd_%s{endpoint=\"%s\"} %" PRIu64 "\n", f->name, escaped,
		     value(o, f, i));
	}
}

static const char *process_name(int slot, char out[16])
{
	if (slot == METRICS_MASTER)
		return "master";
	if (slot == SLOT_ADMIN)
		return "admin";
	snprintf(out, 16, "worker-%d", slot);
	return out;
}

/* --- kinds of rows --- */

static uint64_t sum_of_cells(const struct out *o, const struct family *f, unsigned label)
{
	return metrics_cell_sum(o->m, label, f->field);
}

static void write_endpoint(const struct out *o, const struct family *f)
{
	each_label(o, f, sum_of_cells);
}

/*
 * What is derived from several counters may be less than it was for a moment, while one of them is
 * ahead of the others. A counter never is: then it is told as it was.
 */
static uint64_t derive(const struct out *o, const struct family *f, unsigned label)
{
	static struct {
		uint64_t use, value;
	} told[METRICS_LABELS];
	uint64_t use = atomic_load(&o->m->label[label].use);
	uint64_t value = f->derived(o->m, label);

	if (told[label].use == use && told[label].value > value)
		return told[label].value;
	told[label].use = use;
	told[label].value = value;
	return value;
}

static void write_derived(const struct out *o, const struct family *f)
{
	each_label(o, f, derive);
}

/* Over all rows that are in use. */
static uint64_t sum_of_rows(const struct out *o, size_t field)
{
	uint64_t sum = 0;

	for (uint64_t used = atomic_load(&o->m->used); used; used &= used - 1)
		sum += at(&o->m->rows[__builtin_ctzll(used)], field);
	return sum;
}

static void write_row(const struct out *o, const struct family *f)
{
	line(o, "ignyxd_%s %" PRIu64 "\n", f->name, sum_of_rows(o, f->field));
}

static void write_process(const struct out *o, const struct family *f)
{
	char name[16];

	for (uint64_t used = atomic_load(&o->m->used); used; used &= used - 1) {
		int slot = __builtin_ctzll(used);

		line(o, "ignyxd_%s{process=\"%s\"} %" PRIu64 "\n", f->name,
		     process_name(slot, name), at(&o->m->rows[slot], f->field));
	}
}

static void write_reasons(const struct out *o, const struct family *f)
{
	for (int i = 0; i < REASON_COUNT; i++) {
		uint64_t n = sum_of_rows(o, f->field + (size_t)i * sizeof(uint64_t));

		if (n > 0)
			line(o, "ignyxd_%s{reason=\"%s\"} %" PRIu64 "\n", f->name, reason_word(i),
			     n);
	}
}

static void write_end(const struct out *o, const struct family *f, int code, int reason)
{
	size_t i = (size_t)code * REASON_COUNT + (size_t)reason;
	uint64_t n = sum_of_rows(o, f->field + i * sizeof(uint64_t));
	char number[16] = "other";

	if (n == 0)
		return;
	if (code < METRICS_CODES - 1)
		snprintf(number, sizeof(number), "%d", METRICS_CODE_FIRST + code);
	line(o, "ignyxd_%s{initiator=\"%s\",code=\"%s\",reason=\"%s\"} %" PRIu64 "\n", f->name,
	     reason_initiator((enum reason)reason), number, reason_word(reason), n);
}

static void write_ends(const struct out *o, const struct family *f)
{
	for (int code = 0; code < METRICS_CODES; code++)
		for (int reason = 0; reason < REASON_COUNT; reason++)
			write_end(o, f, code, reason);
}

static void write_words(const struct out *o, const struct family *f, const char *label,
			const char *const words[], int count)
{
	for (int i = 0; i < count; i++)
		line(o, "ignyxd_%s{%s=\"%s\"} %" PRIu64 "\n", f->name, label, words[i],
		     at(o->m, f->field + (size_t)i * sizeof(uint64_t)));
}

static void write_causes(const struct out *o, const struct family *f)
{
	static const char *const words[METRICS_CAUSES] = {
		[METRICS_EXITED] = "exit",
		[METRICS_SIGNALLED] = "signal",
		[METRICS_STUCK] = "stuck",
		[METRICS_BUS_CORRUPT] = "bus-corrupt",
	};

	write_words(o, f, "cause", words, METRICS_CAUSES);
}

static void write_results(const struct out *o, const struct family *f)
{
	static const char *const words[METRICS_RESULTS] = {
		[METRICS_REFUSED] = "refused", [METRICS_APPLIED] = "applied"
	};

	write_words(o, f, "result", words, METRICS_RESULTS);
}

/* Over all rows that are in use, each as it is at one moment. */
static struct metrics_time_sum sum_of_times(const struct out *o, size_t field)
{
	struct metrics_time_sum sum = { 0 };

	for (uint64_t used = atomic_load(&o->m->used); used; used &= used - 1) {
		const char *row = (const char *)&o->m->rows[__builtin_ctzll(used)];

		(void)metrics_times_sum((const struct metrics_times *)(row + field), &sum);
	}
	return sum;
}

static void write_times(const struct out *o, const struct family *f)
{
	const struct metrics_time_sum times = sum_of_times(o, f->field);
	uint64_t count = 0;

	for (int i = 0; i <= METRICS_BOUNDS; i++) {
		char bound[24] = "+Inf";

		if (i < METRICS_BOUNDS)
			snprintf(bound, sizeof(bound), "%g", metrics_bounds[i] / 1e6);
		count += times.counts[i];
		line(o, "ignyxd_%s_bucket{le=\"%s\"} %" PRIu64 "\n", f->name, bound, count);
	}
	line(o, "ignyxd_%s_sum %" PRIu64 ".%06u\n", f->name, times.sum / 1000000,
	     (unsigned)(times.sum % 1000000));
	line(o, "ignyxd_%s_count %" PRIu64 "\n", f->name, count);
}

static uint64_t fact(const struct out *o, const struct family *f)
{
	return *(const uint64_t *)((const char *)o->facts + f->field);
}

static void write_fact(const struct out *o, const struct family *f)
{
	uint64_t n = fact(o, f);

	if (f->per_unit == 1)
		line(o, "ignyxd_%s %" PRIu64 "\n", f->name, n);
	else
		line(o, "ignyxd_%s %" PRIu64 ".%03u\n", f->name, n / f->per_unit,
		     (unsigned)(n % f->per_unit));
}

static uint64_t asked(const struct out *o, const struct family *f, unsigned label)
{
	const uint64_t *by_label = *(const uint64_t *const *)((const char *)o->facts + f->field);

	return by_label ? by_label[label] : 0;
}

static void write_asked(const struct out *o, const struct family *f)
{
	each_label(o, f, asked);
}

static void write_info(const struct out *o, const struct family *f)
{
	line(o, "ignyxd_%s{version=\"%s\"} 1\n", f->name, o->facts->version);
}

/* --- all of them --- */

enum { ONE = 1, MILLI = 1000 };
#define COUNTER "counter"
#define GAUGE "gauge"
#define HISTOGRAM "histogram"
#define FAMILY(kind, place, type, name, help) { kind, type, name, help, place, NULL, 0 },

static const struct family families[] = {
#define METRIC_ENDPOINT(f, type, name, help)                                                       \
	FAMILY(write_endpoint, offsetof(struct metrics_cell, f), type, name, help)
#define METRIC_DERIVED(function, type, name, help)                                                 \
	{ write_derived, type, name, help, 0, function, 0 },
#define METRIC_ROW(f, type, name, help)                                                            \
	FAMILY(write_row, offsetof(struct metrics_row, f), type, name, help)
#define METRIC_REASONS(f, type, name, help)                                                        \
	FAMILY(write_reasons, offsetof(struct metrics_row, f), type, name, help)
#define METRIC_ENDS(f, type, name, help)                                                           \
	FAMILY(write_ends, offsetof(struct metrics_row, f), type, name, help)
#define METRIC_TIMES(f, type, name, help)                                                          \
	FAMILY(write_times, offsetof(struct metrics_row, f), type, name, help)
#define METRIC_PROCESS(f, type, name, help)                                                        \
	FAMILY(write_process, offsetof(struct metrics_row, f), type, name, help)
#define METRIC_CAUSES(f, type, name, help)                                                         \
	FAMILY(write_causes, offsetof(struct metrics, f), type, name, help)
#define METRIC_RESULTS(f, type, name, help)                                                        \
	FAMILY(write_results, offsetof(struct metrics, f), type, name, help)
#define METRIC_FACT(f, unit, type, name, help)                                                     \
	{ write_fact, type, name, help, offsetof(struct metrics_facts, f), NULL, unit },
#define METRIC_ASKED(f, type, name, help)                                                          \
	FAMILY(write_asked, offsetof(struct metrics_facts, f), type, name, help)
#define METRIC_INFO(type, name, help) FAMILY(write_info, 0, type, name, help)
#include "base/metrics.def"
};

void exposition_write(const struct metrics *m, const struct metrics_facts *f, exposition_put *put,
		      void *arg)
{
	const struct out o = { m, f, put, arg };

	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
		const struct family *x = &families[i];

		if (x->write == write_fact && fact(&o, x) == METRICS_UNKNOWN)
			continue;
		line(&o, "# HELP ignyxd_%s %s\n# TYPE ignyxd_%s %s\n", x->name, x->help, x->name,
		     x->type);
		x->write(&o, x);
	}
}
