/* What the master tells of the daemon. */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/board.h"

static void test_no_reload_yet(void **state)
{
	struct segment s;
	const struct board *b = board_new(&s);
	char text[BOARD_TEXT_MAX];
	bool applied;

	(void)state;
	assert_non_null(b);
	assert_int_equal(board_last_reload(b, &applied, text), 0);
	segment_free(&s);
}

static void test_last_reload(void **state)
{
	struct segment s;
	struct board *b = board_new(&s);
	char text[BOARD_TEXT_MAX], long_one[2 * BOARD_TEXT_MAX];
	bool applied;

	(void)state;
	board_note_reload(b, 5, true, "fine, and more");
	board_note_reload(b, 7, false, "refused");
	assert_int_equal(board_last_reload(b, &applied, text), 7);
	assert_false(applied);
	assert_string_equal(text, "refused");
	memset(long_one, 'x', sizeof(long_one));
	long_one[sizeof(long_one) - 1] = '\0';
	board_note_reload(b, 8, true, long_one);
	assert_int_equal(board_last_reload(b, &applied, text), 8);
	assert_true(applied);
	assert_int_equal(strlen(text), BOARD_TEXT_MAX - 1);
	segment_free(&s);
}

/* One text or the other, while another process goes from one to the other. */
static void test_it_is_whole(void **state)
{
	struct segment s;
	struct board *b = board_new(&s);
	char text[BOARD_TEXT_MAX], a[BOARD_TEXT_MAX], c[BOARD_TEXT_MAX];
	bool applied;
	int status;
	pid_t pid;

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(c, 'c', sizeof(c));
	a[sizeof(a) - 1] = c[sizeof(c) - 1] = '\0';
	board_note_reload(b, 1, true, a);
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 20000; i++)
			board_note_reload(b, i % 2 + 1, i % 2, i % 2 ? c : a);
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		int64_t at = board_last_reload(b, &applied, text);

		if (at != 0)
			assert_string_equal(text, at == 2 ? c : a);
	}
	segment_free(&s);
}

/* The master was ended in the midst of it: it is told of none. */
static void test_half_a_reload(void **state)
{
	struct segment s;
	struct board *b = board_new(&s);
	char text[BOARD_TEXT_MAX];
	bool applied;

	(void)state;
	board_note_reload(b, 7, true, "fine");
	atomic_fetch_add(&b->reload.edition, 1);
	assert_int_equal(board_last_reload(b, &applied, text), 0);
	segment_free(&s);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(board_phase_name(BOARD_READY), "ready");
	assert_string_equal(board_phase_name(-1), "unknown");
	assert_string_equal(board_phase_name(BOARD_PHASES), "unknown");
	assert_string_equal(board_state_name(BOARD_CHILD_RUNNING), "running");
	assert_string_equal(board_state_name(1000), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_reload_yet), cmocka_unit_test(test_last_reload),
		cmocka_unit_test(test_it_is_whole),   cmocka_unit_test(test_half_a_reload),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
