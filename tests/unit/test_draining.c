// links: base proto bus config net session behaviours admin process
/*
 * What the master keeps of a drain, where there is no memory for it and where a stop comes ahead of
 * it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/board.h"
#include "base/metrics.h"
#include "config/config.h"
#include "failing.h"
#include "process/control.h"
#include "process/draining.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"

static struct segment counted, told;
static struct config config;

static int begin(void **state)
{
	(void)state;
	running = (struct running){ .config = &config, .phase = PHASE_READY };
	shared.metrics = metrics_new(&counted);
	shared.board = board_new(&told);
	return shared.metrics && shared.board ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	running_undrain();
	slots[0].draining = slots[1].draining = 0;
	segment_free(&counted);
	segment_free(&told);
	return 0;
}

static const struct control_ask_drain all = { .on = 1, .over = 1000 },
				      half = { .on = 1, .over = 1000, .share = 500000 };

/* Returns whether it was done. */
static bool ask(const struct control_ask_drain *a)
{
	bool well;
	char *text = drain_ask(a, &well);

	assert_non_null(text);
	free(text);
	return well;
}

static struct board_drain on_board(void)
{
	struct board_drain d;

	board_read_drain(shared.board, &d);
	return d;
}

static void test_no_memory_is_no_undrain(void **state)
{
	(void)state;
	assert_true(ask(&all));
	assert_string_equal(running.drained, "");
	failing_nth(1);
	assert_false(ask(&all));
	assert_true(failing_end());
	assert_string_equal(running.drained, "");
	assert_true(ask(&half));
	assert_null(running.drained);
}

/* slots[0]: has a part in it, as a worker would. */
static void test_the_last_part(void **state)
{
	(void)state;
	slots[0].draining = 1;
	assert_true(ask(&half));
	assert_int_equal(on_board().ended, 0);
	slots[0].draining = 0;
	drain_note(3, 1);
	assert_true(on_board().ended > 0);
	assert_int_equal(on_board().let_go, 3);
	assert_int_equal(on_board().late, 1);
}

/* The workers have ended, and nobody has told how many were let go. */
static void test_a_stop_meanwhile(void **state)
{
	(void)state;
	slots[0].draining = 1;
	assert_true(ask(&half));
	running.phase = PHASE_STOPPING;
	slots[0].draining = 0;
	drain_look();
	assert_true(on_board().since > 0);
	assert_int_equal(on_board().ended, 0);
}

/* What is logged while fn runs; lent until the next call. */
static const char *logged(void (*fn)(void))
{
	static char text[4096];
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(f && saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
	fn();
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	n = pread(fileno(f), text, sizeof(text) - 1, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	close(saved);
	fclose(f);
	return text;
}

static void end_one_part(void)
{
	slots[0].draining = 0;
	drain_note(3, 1);
	slots[1].draining = 0;
	drain_look();
}

/* It has let some go, but has told nobody how many. */
static void test_a_worker_ends_meanwhile(void **state)
{
	(void)state;
	slots[0].draining = slots[1].draining = 1;
	assert_true(ask(&half));
	assert_non_null(strstr(logged(end_one_part),
			       "3 connections were let go, 1 of them at its deadline, besides "
			       "those of workers that have ended (1)"));
	/* nothing is left of that for the next one */
	slots[0].draining = 1;
	assert_true(ask(&half));
	assert_null(strstr(logged(end_one_part), "besides"));
}

static char *answer;

static void drain_endpoint(void)
{
	bool well;

	answer = drain_ask(&(struct control_ask_drain){ .on = 1, .which = { .endpoint = 1 } },
			   &well);
	assert_true(well);
}

static const char *path_of(size_t i, void *arg)
{
	(void)arg;
	return config.endpoints[i].path;
}

/* What all that have no counts of their own have together is not said to be of one of them. */
static void test_an_endpoint_without_counts(void **state)
{
	struct config_endpoint e = { .path = (char *)"/beyond" };

	(void)state;
	config.endpoints = &e;
	config.endpoint_count = 1;
	assert_non_null(
		strstr(logged(drain_endpoint), "drain begun: connections of /beyond go within "));
	assert_null(strstr(answer, "connections"));
	free(answer);
	metrics_label_all(shared.metrics, 1, path_of, NULL);
	assert_non_null(
		strstr(logged(drain_endpoint), "drain begun: 0 connections of /beyond go within "));
	assert_non_null(strstr(answer, "\"connections\":0"));
	free(answer);
	config.endpoint_count = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_memory_is_no_undrain, begin, end),
		cmocka_unit_test_setup_teardown(test_the_last_part, begin, end),
		cmocka_unit_test_setup_teardown(test_a_stop_meanwhile, begin, end),
		cmocka_unit_test_setup_teardown(test_a_worker_ends_meanwhile, begin, end),
		cmocka_unit_test_setup_teardown(test_an_endpoint_without_counts, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
