// links: base proto config
/*
 * test_config_value.c - numbers with units, suggestions, what one line may hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/suggest.h"
#include "config/type.h"
#include "config/value.h"
#include "failing.h"

typedef bool reader(const char *text, int64_t *v);

static void check_value(reader *read, const char *text, int64_t expected)
{
	int64_t v = -1;

	assert_true(read(text, &v));
	assert_int_equal(v, expected);
}

static void check_refused(reader *read, const char *const *texts)
{
	int64_t v;

	for (; *texts != NULL; texts++)
		assert_false(read(*texts, &v));
}

static void test_durations(void **state)
{
	static const char *const wrong[] = { "",    "30",  "s",     "-1s", "1.5s", " 1s", "1s ",
					     "1 s", "1ss", "1h30m", "00",  "1d",   NULL };

	(void)state;
	check_value(value_duration, "0", 0);
	check_value(value_duration, "0s", 0);
	check_value(value_duration, "250ms", 250);
	check_value(value_duration, "30s", 30000);
	check_value(value_duration, "30S", 30000);
	check_value(value_duration, "5m", 300000);
	check_value(value_duration, "24h", 86400000);
	check_value(value_duration, "9223372036854775807ms", INT64_MAX);
	check_value(value_duration, "99999999999999999999ms", INT64_MAX);
	check_value(value_duration, "2562047788015216h", INT64_MAX);
	check_refused(value_duration, wrong);
}

static void test_sizes(void **state)
{
	static const char *const wrong[] = { "",     "K",  "-1",   "1.5M", "1KB",
					     "1KiB", "1T", "0x10", NULL };

	(void)state;
	check_value(value_size, "0", 0);
	check_value(value_size, "512", 512);
	check_value(value_size, "64K", 65536);
	check_value(value_size, "64k", 65536);
	check_value(value_size, "1M", 1 << 20);
	check_value(value_size, "4G", INT64_C(4) << 30);
	check_value(value_size, "8589934592G", INT64_MAX);
	check_value(value_size, "999999999999999999999999", INT64_MAX);
	check_refused(value_size, wrong);
}

static void check_rate(const char *text, int64_t every, const char *shown)
{
	char out[64];

	check_value(value_rate, text, every);
	value_format_rate(every, out, sizeof(out));
	assert_string_equal(out, shown);
}

static void test_rates(void **state)
{
	static const char *const wrong[] = { "",
					     "20",
					     "/s",
					     "0/s",
					     "-1/s",
					     "1.5/s",
					     "20/ s",
					     "20/d",
					     "20/sec",
					     "2000000/s",
					     "99999999999999999999/s",
					     NULL };

	(void)state;
	check_rate("0", 0, "\"0\"");
	check_rate("20/s", 50000000, "\"20/s\"");
	check_rate("7/S", 142857142, "\"7/s\"");
	check_rate("1000000/s", 1000, "\"1000000/s\"");
	check_rate("100/m", 600000000, "\"100/m\"");
	check_rate("60/m", 1000000000, "\"1/s\"");
	check_rate("7/h", INT64_C(514285714285), "\"7/h\"");
	check_rate("1/h", INT64_C(3600000000000), "\"1/h\"");
	check_refused(value_rate, wrong);
}

static void check_times(const char *text, struct rate_size size, const char *shown)
{
	char out[64];
	int64_t v = -1;

	assert_true(value_times(text, &v));
	value_format_times(v, out, sizeof(out));
	assert_string_equal(out, shown);
	assert_int_equal(value_times_size(v).every, size.every);
	assert_int_equal(value_times_size(v).depth, size.depth);
}

/* So many in that while, all of which may come at once: the while is part of what is said. */
static void test_times(void **state)
{
	static const char *const wrong[] = { "",
					     "20",
					     "/s",
					     "0/s",
					     "-1/s",
					     "1.5/s",
					     "20/ s",
					     "20/d",
					     "20/sec",
					     "1000001/s",
					     "99999999999999999999/s",
					     NULL };
	const int64_t s = 1000000000;

	(void)state;
	check_times("0", (struct rate_size){ 0, 0 }, "\"0\"");
	check_times("10/s", (struct rate_size){ s / 10, s }, "\"10/s\"");
	check_times("60/M", (struct rate_size){ s, 60 * s }, "\"60/m\"");
	check_times("1/h", (struct rate_size){ 3600 * s, 3600 * s }, "\"1/h\"");
	check_times("1000000/h", (struct rate_size){ 3600000, 3600 * s }, "\"1000000/h\"");
	check_times("1000000/s", (struct rate_size){ 1000, s }, "\"1000000/s\"");
	check_refused(value_times, wrong);
}

static void test_modes_and_integers(void **state)
{
	static const char *const wrong_modes[] = { "", "8", "0668", "rw", "-1", "0x1", NULL };
	static const char *const wrong_integers[] = { "", "-", "1K", "+1", "1 ", NULL };

	(void)state;
	check_value(value_mode, "0660", 0660);
	check_value(value_mode, "7", 7);
	check_refused(value_mode, wrong_modes);
	check_value(value_int, "-12", -12);
	check_value(value_int, "65536", 65536);
	check_refused(value_int, wrong_integers);
}

static void check_format(enum config_type type, int64_t v, const char *expected)
{
	char text[48];

	type_of(&(struct config_key){ .type = type })->format(v, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void test_format(void **state)
{
	(void)state;
	check_format(CONFIG_DURATION, 0, "\"0\"");
	check_format(CONFIG_DURATION, 250, "\"250ms\"");
	check_format(CONFIG_DURATION, 1500, "\"1500ms\"");
	check_format(CONFIG_DURATION, 90000, "\"90s\"");
	check_format(CONFIG_DURATION, 86400000, "\"24h\"");
	check_format(CONFIG_SIZE, 0, "\"0\"");
	check_format(CONFIG_SIZE, 1000, "\"1000\"");
	check_format(CONFIG_SIZE, 65536, "\"64K\"");
	check_format(CONFIG_SIZE, INT64_C(16) << 30, "\"16G\"");
	check_format(CONFIG_MODE, 0660, "\"0660\"");
	check_format(CONFIG_INT, -5, "-5");
}

static void check_nearest(const char *word, const char *expected)
{
	static const char *const words[] = {
		"path",          "max_message",  "max_pending", "ping_timeout",
		"ping_interval", "idle_timeout", NULL
	};
	const char *nearest = suggest_nearest(word, words);

	if (expected == NULL)
		assert_null(nearest);
	else
		assert_string_equal(nearest, expected);
}

static void test_nearest(void **state)
{
	char longest[200];

	(void)state;
	check_nearest("max_mesage", "max_message");
	check_nearest("max_messages", "max_message");
	check_nearest("amx_message", "max_message");
	check_nearest("maxmessage", "max_message");
	check_nearest("ping_timout", "ping_timeout");
	check_nearest("pnig_interval", "ping_interval");
	check_nearest("Path", "path");
	check_nearest("paht", "path");
	check_nearest("p", NULL);
	check_nearest("port", NULL);
	check_nearest("workers", NULL);
	check_nearest("", NULL);
	memset(longest, 'm', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	check_nearest(longest, NULL);
}

static void check_list(const char *const *words, const char *quote, const char *expected)
{
	char *list = suggest_list(words, quote, "or");

	assert_string_equal(list, expected);
	free(list);
}

static void test_list(void **state)
{
	(void)state;
	check_list((const char *const[]){ NULL }, "\"", "");
	check_list((const char *const[]){ "a", NULL }, "\"", "\"a\"");
	check_list((const char *const[]){ "a", "b", NULL }, "\"", "\"a\" or \"b\"");
	check_list((const char *const[]){ "a", "b", "c", NULL }, "", "a, b or c");
}

/* --- the list of errors --- */

static void collect(bool warning, const char *line, void *arg)
{
	strcat(strcat(strcat(arg, warning ? "W " : ""), line), "\n");
}

static void test_errors_are_sorted(void **state)
{
	struct config_errors *e = config_errors_new();
	char all[256] = "";

	(void)state;
	errors_add(e, false, (struct config_place){ "f", 9, 30 }, "late %d", 1);
	errors_add(e, false, (struct config_place){ "f", 5, 5 }, "first");
	errors_add(e, true, (struct config_place){ "g", 1, 6 }, "warning");
	errors_end_of_scan(e);
	errors_add(e, false, (struct config_place){ "f", 9, 30 }, "late 2");
	errors_add(e, false, (struct config_place){ "h", 0, 0 }, "of a file");
	errors_add(e, false, (struct config_place){ NULL, 0, 0 }, "of nothing");
	config_errors_each(e, collect, all);
	assert_string_equal(all, "h: of a file\nof nothing\nf:5: first\nW g:1: warning\n"
				 "f:9: late 1\nf:9: late 2\n");
	assert_int_equal(config_errors_count(e), 5);
	assert_true(errors_scanned_at(e, 5));
	assert_false(errors_scanned_at(e, 6));
	assert_false(errors_scanned_at(e, 0));
	config_errors_free(e);
}

static void check_printed(const char *text, const char *expected)
{
	struct config_errors *e = config_errors_new();
	char all[4096] = "";

	errors_add(e, false, (struct config_place){ 0 }, "%s", text);
	config_errors_each(e, collect, all);
	assert_int_equal(strlen(all), strlen(expected) + 1);
	assert_memory_equal(all, expected, strlen(expected));
	config_errors_free(e);
}

/* A text may quote any bytes of a file; a terminal or a journal must not see them. */
static void test_errors_are_printable(void **state)
{
	char bytes[3000], printed[3000];

	(void)state;
	check_printed("a\tb\n\x1b[2J\x7f", "a\\x09b\\x0a\\x1b[2J\\x7f");
	check_printed("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
		      "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
	check_printed("\xff\xc3(\xed\xa0\x80", "\\xff\\xc3(\\xed\\xa0\\x80");
	check_printed("\xc2\x9b\xc2\xa0", "\\xc2\\x9b\xc2\xa0");
	check_printed("\xe2\x82", "\\xe2\\x82");
	memset(bytes, 'x', sizeof(bytes));
	bytes[sizeof(bytes) - 1] = '\0';
	memset(printed, 'x', 2000);
	strcpy(printed + 2000, "...");
	check_printed(bytes, printed);
	/* the worst that can come last */
	bytes[1999] = '\x01';
	strcpy(printed + 1999, "\\x01...");
	check_printed(bytes, printed);
}

/* --- memory --- */

static void with_zero(void)
{
	free(alloc_zero(1, 1));
}

static void with_string(void)
{
	free(alloc_string("x"));
}

static void with_array(void)
{
	size_t cap = 0;

	free(alloc_grow(NULL, 0, &cap, 1));
}

/* Without memory there is no configuration: the process says so and ends. */
static void check_end(void (*call)(void))
{
	char text[128] = "";
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		failing_nth(1);
		call();
		_exit(0);
	}
	close(fds[1]);
	assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_string_equal(text, "ignyxd: out of memory while reading the configuration\n");
}

static void test_no_memory(void **state)
{
	(void)state;
	check_end(with_zero);
	check_end(with_string);
	check_end(with_array);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_modes_and_integers),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_errors_are_sorted),
		cmocka_unit_test(test_errors_are_printable),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
