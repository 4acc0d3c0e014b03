/* What workers count, and what the others see of it. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "base/vitals.h"

/* Up to the last row that any worker had, whatever order they came in. */
static void test_open_of_all(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);

	(void)state;
	assert_non_null(m);
	assert_int_equal(metrics_open(m), 0);
	metrics_use(m, 3)->open = 5;
	assert_int_equal(metrics_open(m), 5);
	metrics_use(m, 1)->open = 2;
	metrics_use(m, SLOTS - 1)->open = 1;
	assert_int_equal(metrics_open(m), 8);
	segment_free(&s);
}

static void test_what_a_child_counts(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);
	uint64_t before = metrics_heartbeat(&m->rows[2]);
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		metrics_use(m, 2)->open = 7;
		metrics_beat();
		metrics_beat();
		metrics_add(&metrics_own->accepted, 2);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(metrics_open(m), 7);
	assert_int_equal(metrics_heartbeat(&m->rows[2]), before + 2);
	assert_int_equal(m->rows[2].accepted, 2);
	segment_free(&s);
}

/* What a process sees that has the descriptor alone, and reads. */
static int read_attached(int fd)
{
	struct segment s;
	const char *why;
	const struct metrics *m;

	if (segment_attach(&s, fd, &metrics_layout, false, &why) < 0)
		return 1;
	m = s.at;
	return metrics_open(m) == 9 && atomic_load(&m->rows[SLOTS - 1].accepted) == 4 ? 0 : 2;
}

static void test_who_attaches_reads(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);
	struct metrics_row *row = metrics_use(m, SLOTS - 1);
	int status;
	pid_t pid;

	(void)state;
	row->open = 9;
	metrics_add(&row->accepted, 4);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		munmap(s.at, s.mapped);
		_exit(read_attached(s.fd));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	segment_free(&s);
}

/* No two processes write to one cache line, or to the next that is fetched with it. */
static void test_rows_are_apart(void **state)
{
	struct segment s;
	struct metrics *m = metrics_new(&s);

	(void)state;
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal((uintptr_t)&m->rows[i] % 128, 0);
	segment_free(&s);
}

/* --- labels --- */

static struct segment segment;
static struct metrics *m;

static int begin(void **state)
{
	(void)state;
	m = metrics_new(&segment);
	return m ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	segment_free(&segment);
	return 0;
}

/* Paths "/FIRST", "/FIRST+1" and so on. */
static const char *numbered(size_t i, void *first)
{
	static char path[32];

	snprintf(path, sizeof(path), "/%zu", *(size_t *)first + i);
	return path;
}

static void configure(size_t first, size_t count)
{
	metrics_label_all(m, count, numbered, &first);
}

static unsigned label_of(size_t number)
{
	return metrics_label_of(m, numbered(0, &number));
}

static uint64_t opened(size_t number)
{
	return metrics_cell_sum(m, label_of(number), offsetof(struct metrics_cell, opened));
}

/* A worker gets the configuration, and one connection opens. */
static void open_one(int slot, size_t number)
{
	unsigned label = label_of(number);

	metrics_use(m, slot);
	metrics_cell_begin(m, label);
	metrics_add(&metrics_cells[label].open, 1);
	metrics_add(&metrics_cells[label].opened, 1);
}

static void test_labels_stay(void **state)
{
	char path[METRICS_PATH_MAX + 1];
	unsigned label;

	(void)state;
	assert_int_equal(label_of(1), METRICS_OTHER);
	configure(1, 2);
	label = label_of(2);
	assert_int_not_equal(label_of(1), METRICS_OTHER);
	assert_int_not_equal(label_of(1), label);
	assert_int_equal(label_of(3), METRICS_OTHER);
	open_one(3, 2);
	open_one(7, 2);
	assert_int_equal(opened(2), 2);
	/* gone for two reloads, and there again */
	configure(5, 3);
	configure(9, 1);
	configure(2, 1);
	assert_int_equal(label_of(2), label);
	open_one(7, 2);
	assert_int_equal(opened(2), 3);
	assert_true(metrics_label_path(m, label, path));
	assert_string_equal(path, "/2");
	assert_false(metrics_label_path(m, METRICS_OTHER, path));
}

static void test_the_rest_are_others(void **state)
{
	(void)state;
	configure(1, METRICS_LABELS + 5);
	assert_int_not_equal(label_of(1), METRICS_OTHER);
	assert_int_not_equal(label_of(METRICS_LABELS - 1), METRICS_OTHER);
	assert_int_equal(label_of(METRICS_LABELS), METRICS_OTHER);
	open_one(0, METRICS_LABELS);
	open_one(0, METRICS_LABELS + 1);
	assert_int_equal(opened(METRICS_LABELS), 2);
}

/* Only where there is no other, and not as long as somebody is connected, or may be. */
static void test_labels_are_used_again(void **state)
{
	char path[METRICS_PATH_MAX + 1];
	unsigned first, second;

	(void)state;
	configure(1, METRICS_LABELS - 1);
	first = label_of(1);
	second = label_of(2);
	open_one(4, 1);
	open_one(4, 2);
	metrics_add(&metrics_cells[second].open, UINT64_MAX);
	/* a worker may still be letting somebody in there */
	configure(3, METRICS_LABELS - 1);
	assert_int_equal(label_of(METRICS_LABELS), METRICS_OTHER);
	configure(3, METRICS_LABELS);
	assert_int_equal(label_of(METRICS_LABELS), second);
	assert_int_equal(label_of(METRICS_LABELS + 1), METRICS_OTHER);
	assert_int_equal(label_of(2), METRICS_OTHER);
	assert_int_equal(label_of(1), first);
	/* what was counted there is of the path before */
	assert_int_equal(opened(METRICS_LABELS), 0);
	open_one(4, METRICS_LABELS);
	assert_int_equal(opened(METRICS_LABELS), 1);
	assert_true(metrics_label_path(m, second, path));
	assert_string_equal(path, numbered(0, &(size_t){ METRICS_LABELS }));
}

static const char *long_path(size_t i, void *arg)
{
	(void)i;
	return arg;
}

static void test_long_paths(void **state)
{
	char path[METRICS_PATH_MAX + 2], out[METRICS_PATH_MAX + 1];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[METRICS_PATH_MAX + 1] = '\0';
	metrics_label_all(m, 1, long_path, path);
	assert_int_equal(metrics_label_of(m, path), METRICS_OTHER);
	path[METRICS_PATH_MAX] = '\0';
	metrics_label_all(m, 1, long_path, path);
	assert_int_equal(metrics_label_of(m, path), 1);
	assert_true(metrics_label_path(m, 1, out));
	assert_string_equal(out, path);
}

/* What it had open is gone with it, what it has counted is not. */
static void test_one_that_ended(void **state)
{
	size_t open = offsetof(struct metrics_cell, open);

	(void)state;
	configure(1, 2);
	open_one(5, 2);
	open_one(6, 2);
	open_one(5, 77);
	metrics_use(m, 5)->handshakes = 4;
	metrics_own->accepted = 9;
	metrics_forget(m, 5);
	assert_int_equal(metrics_cell_sum(m, label_of(2), open), 1);
	assert_int_equal(metrics_cell_sum(m, METRICS_OTHER, open), 0);
	assert_int_equal(opened(2), 2);
	assert_int_equal(m->rows[5].handshakes, 0);
	assert_int_equal(m->rows[5].accepted, 9);
	metrics_forget(m, 6);
	assert_int_equal(metrics_cell_sum(m, label_of(2), open), 0);
}

static void test_payload(void **state)
{
	(void)state;
	configure(1, 1);
	open_one(0, 1);
	metrics_cells[label_of(1)].messages_out = 3;
	metrics_cells[label_of(1)].bytes_out = 3 * 2 + 500 + 2 + 6;
	metrics_cells[label_of(1)].others_out = 2 + 6;
	assert_int_equal(metrics_payload_out(m, label_of(1)), 500);
}

/* Other processes write there, too. */
static void test_labels_that_cannot_be(void **state)
{
	(void)state;
	configure(1, 2);
	metrics_use(m, 5);
	m->labels = UINT32_MAX;
	assert_int_equal(metrics_labels(m), METRICS_LABELS);
	assert_int_equal(label_of(METRICS_LABELS), METRICS_OTHER);
	assert_int_not_equal(label_of(2), METRICS_OTHER);
	metrics_forget(m, 5);
	configure(3, 1);
}

/* What the kernel tells is noted, and what it does not tell, for there are no descriptors, stays. */
static void test_vitals(void **state)
{
	struct rlimit limit, none;

	(void)state;
	metrics_use(m, 1);
	vitals_note(metrics_own);
	assert_true(metrics_own->files > 0 && metrics_own->files_limit > 0);
	metrics_own->resident = 7;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	vitals_note(metrics_own);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(metrics_own->resident, 7);
	assert_true(metrics_own->files > 0);
	vitals_note(metrics_own);
	assert_true(metrics_own->resident > 7);
}

/* A histogram's bounds are inclusive. */
static void test_times(void **state)
{
	struct metrics_times t = { .sum = 0 };

	(void)state;
	metrics_time(&t, 0);
	metrics_time(&t, 100);
	metrics_time(&t, 101);
	metrics_time(&t, 30000000);
	metrics_time(&t, UINT32_MAX);
	assert_int_equal(t.counts[0], 2);
	assert_int_equal(t.counts[1], 1);
	assert_int_equal(t.counts[METRICS_BOUNDS - 1], 1);
	assert_int_equal(t.counts[METRICS_BOUNDS], 1);
	assert_int_equal(t.sum, 201 + 30000000 + (uint64_t)UINT32_MAX);
	for (int i = 1; i < METRICS_BOUNDS; i++)
		assert_true(metrics_bounds[i - 1] < metrics_bounds[i]);
}

static void test_times_together(void **state)
{
	struct metrics_times t = { .sum = 0 };

	(void)state;
	metrics_times(&t, 0, 0);
	assert_int_equal(t.counts[0], 0);
	metrics_times(&t, 3, 603);
	assert_int_equal(t.counts[0], 0);
	assert_int_equal(t.counts[1], 3);
	assert_int_equal(t.sum, 603);
}

/*
 * What is read is of one moment, here each one took 100, or is said not to be: who writes may be put
 * aside by the kernel between two stores, for longer than is tried again.
 */
static void test_times_of_one_moment(void **state)
{
	enum { READS = 100000 };
	struct written {
		struct metrics_times times;
		_Atomic bool stop;
	} *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct metrics_time_sum sum;
	int torn = 0, read = 0;
	pid_t pid;

	(void)state;
	assert_ptr_not_equal(w, MAP_FAILED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		while (!atomic_load(&w->stop))
			metrics_times(&w->times, 1, 100);
		_exit(0);
	}
	while (read < READS) {
		sum = (struct metrics_time_sum){ .sum = 0 };
		torn += metrics_times_sum(&w->times, &sum) && sum.sum != 100 * sum.counts[0];
		if (sum.counts[0] > 0)
			read++;
	}
	atomic_store(&w->stop, true);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(torn, 0);
	sum = (struct metrics_time_sum){ .sum = 0 };
	assert_true(metrics_times_sum(&w->times, &sum));
	assert_int_equal(sum.sum, 100 * sum.counts[0]);
	/* more of it goes on top */
	assert_true(metrics_times_sum(&w->times, &sum));
	assert_int_equal(sum.counts[0], 2 * w->times.counts[0]);
	assert_int_equal(sum.sum, 100 * sum.counts[0]);
	munmap(w, sizeof(*w));
}

/* Who was ended in between two stores leaves what can be read, and what goes on. */
static void test_times_of_one_that_was_ended(void **state)
{
	struct metrics_times *t;
	struct metrics_time_sum sum = { .sum = 0 };

	(void)state;
	t = &metrics_use(m, 1)->round_trip;
	metrics_time(t, 100);
	atomic_fetch_add(&t->edition, 1);
	assert_false(metrics_times_sum(t, &sum));
	assert_int_equal(sum.counts[0], 1);
	metrics_forget(m, 1);
	assert_true(metrics_times_sum(t, &sum));
	assert_int_equal(t->edition % 2, 0);
	metrics_forget(m, 1);
	assert_int_equal(t->edition % 2, 0);
	assert_int_equal(t->counts[0], 1);
}

static void test_codes(void **state)
{
	(void)state;
	assert_int_equal(metrics_code(1000), 0);
	assert_int_equal(metrics_code(1015), METRICS_CODES - 2);
	assert_int_equal(metrics_code(1016), METRICS_CODES - 1);
	assert_int_equal(metrics_code(4000), METRICS_CODES - 1);
	assert_int_equal(metrics_code(999), METRICS_CODES - 1);
}

static void test_activities(void **state)
{
	(void)state;
	for (int i = 0; i < ACTIVITY_COUNT; i++)
		assert_non_null(activity_name(i));
	/* a damaged number is no place in a table */
	assert_string_equal(activity_name(-1), activity_name(ACTIVITY_COUNT));
	assert_string_not_equal(activity_name(-1), activity_name(ACTIVITY_WAITING));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open_of_all),
		cmocka_unit_test(test_what_a_child_counts),
		cmocka_unit_test(test_who_attaches_reads),
		cmocka_unit_test(test_rows_are_apart),
		cmocka_unit_test(test_activities),
		cmocka_unit_test_setup_teardown(test_labels_stay, begin, end),
		cmocka_unit_test_setup_teardown(test_labels_that_cannot_be, begin, end),
		cmocka_unit_test_setup_teardown(test_vitals, begin, end),
		cmocka_unit_test_setup_teardown(test_the_rest_are_others, begin, end),
		cmocka_unit_test_setup_teardown(test_labels_are_used_again, begin, end),
		cmocka_unit_test_setup_teardown(test_long_paths, begin, end),
		cmocka_unit_test_setup_teardown(test_one_that_ended, begin, end),
		cmocka_unit_test_setup_teardown(test_payload, begin, end),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_times_together),
		cmocka_unit_test(test_times_of_one_moment),
		cmocka_unit_test_setup_teardown(test_times_of_one_that_was_ended, begin, end),
		cmocka_unit_test(test_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
