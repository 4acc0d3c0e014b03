/*
 * metrics_label.c - which endpoint has which label, see metrics.h.
 *
 * A label that goes to another path gets another use. A cell counts for the use that it was begun
 * for, and no other: so the master, which must not write to cells that workers write to, need not
 * clear them, and a worker does that when it comes to count for the label. Nobody else can be
 * counting for the old path by then, as that had no connections and could get no more.
 *
 * The path is changed between two stores of the use, 0 and the new one, and who reads it looks at
 * the use ahead of it and behind it.
 */
#include <string.h>

#include "base/metrics.h"

/* How often what one worker has sent is read, as long as it sends more meanwhile. */
enum { PAYLOAD_TRIES = 4 };

/* FNV-1a: only to spare most comparisons. */
static uint64_t hash_of(const char *path)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (; *path; path++)
		h = (h ^ (uint8_t)*path) * UINT64_C(1099511628211);
	return h;
}

unsigned metrics_label_of(const struct metrics *m, const char *path)
{
	unsigned labels = metrics_labels(m);
	uint64_t hash = hash_of(path);

	for (unsigned i = 1; i < labels; i++)
		if (atomic_load_explicit(&m->hashes[i], memory_order_relaxed) == hash &&
		    atomic_load(&m->label[i].use) != 0 && strcmp(m->label[i].path, path) == 0)
			return i;
	return METRICS_OTHER;
}

static bool is_free(const struct metrics *m, unsigned label)
{
	return m->label[label].wanted + 1 < m->configurations &&
	       metrics_cell_sum(m, label, offsetof(struct metrics_cell, open)) == 0;
}

/* METRICS_OTHER: there is none. */
static unsigned find_free(struct metrics *m)
{
	unsigned labels = metrics_labels(m);

	if (labels == 0)
		labels = METRICS_OTHER + 1;
	if (labels < METRICS_LABELS) {
		atomic_store(&m->labels, labels + 1);
		return labels;
	}
	for (unsigned i = 1; i < METRICS_LABELS; i++)
		if (is_free(m, i))
			return i;
	return METRICS_OTHER;
}

static void give(struct metrics *m, unsigned label, const char *path)
{
	struct metrics_label *l = &m->label[label];

	atomic_store(&l->use, 0);
	atomic_thread_fence(memory_order_seq_cst);
	strcpy(l->path, path);
	l->wanted = m->configurations;
	atomic_store(&m->hashes[label], hash_of(path));
	atomic_store(&l->use, ++m->uses);
}

void metrics_label_all(struct metrics *m, size_t count, const char *(*path)(size_t i, void *arg),
		       void *arg)
{
	m->configurations++;
	/* Those that have one are to keep it: they come first. */
	for (size_t i = 0; i < count; i++)
		m->label[metrics_label_of(m, path(i, arg))].wanted = m->configurations;
	for (size_t i = 0; i < count; i++) {
		const char *p = path(i, arg);
		unsigned label;

		if (strlen(p) > METRICS_PATH_MAX || metrics_label_of(m, p) != METRICS_OTHER)
			continue;
		label = find_free(m);
		if (label == METRICS_OTHER)
			return;
		give(m, label, p);
	}
}

bool metrics_label_path(const struct metrics *m, unsigned label, char out[METRICS_PATH_MAX + 1])
{
	const struct metrics_label *l = &m->label[label];
	uint64_t use = atomic_load(&l->use);

	if (use == 0)
		return false;
	memcpy(out, l->path, METRICS_PATH_MAX);
	out[METRICS_PATH_MAX] = '\0';
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load(&l->use) == use;
}

void metrics_cell_begin(const struct metrics *m, unsigned label)
{
	struct metrics_cell *cell = &metrics_cells[label];
	uint64_t use = atomic_load(&m->label[label].use);

	if (atomic_load(&cell->use) == use)
		return;
	atomic_store(&cell->use, 0);
#define METRIC_ENDPOINT(field, type, name, help) atomic_store(&cell->field, 0);
#define METRIC_HIDDEN(field) atomic_store(&cell->field, 0);
#include "base/metrics.def"
	atomic_store(&cell->use, use);
}

static uint64_t value_at(const struct metrics_cell *cell, size_t field)
{
	return atomic_load((const _Atomic uint64_t *)((const char *)cell + field));
}

/* The sum of value(cell, field) over the cells that count for the label as it is now. */
static inline uint64_t sum_up(const struct metrics *m, unsigned label,
			      uint64_t (*value)(const struct metrics_cell *cell, size_t field),
			      size_t field)
{
	const uint64_t workers = (UINT64_C(1) << SLOTS_WORKERS) - 1;
	uint64_t use = atomic_load(&m->label[label].use), sum = 0;

	for (uint64_t used = atomic_load(&m->used) & workers; used; used &= used - 1) {
		const struct metrics_cell *cell = &m->cells[__builtin_ctzll(used)][label];

		if (atomic_load(&cell->use) == use)
			sum += value(cell, field);
	}
	return sum;
}

uint64_t metrics_cell_sum(const struct metrics *m, unsigned label, size_t field)
{
	return sum_up(m, label, value_at, field);
}

/* Bytes first, for they are counted last; again if some were counted meanwhile. */
static uint64_t payload_of(const struct metrics_cell *cell, size_t field)
{
	uint64_t bytes, others;
	int tries = PAYLOAD_TRIES;

	(void)field;
	do {
		bytes = atomic_load(&cell->bytes_out);
		others = atomic_load(&cell->others_out) +
			 METRICS_HEADER * atomic_load(&cell->messages_out);
	} while (atomic_load(&cell->bytes_out) != bytes && --tries > 0);
	return others < bytes ? bytes - others : 0;
}

uint64_t metrics_payload_out(const struct metrics *m, unsigned label)
{
	return sum_up(m, label, payload_of, 0);
}
