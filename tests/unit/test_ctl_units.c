/*
 * Numbers as a person reads them, and durations as one writes them.
 */
// links: ctl base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/units.h"

struct row {
	double value;
	const char *text;
};

static void check(const struct row *rows, size_t n, void (*write)(char *out, double value))
{
	char text[UNITS_SIZE];

	for (size_t i = 0; i < n; i++) {
		write(text, rows[i].value);
		assert_string_equal(text, rows[i].text);
	}
}

static void test_bytes(void **state)
{
	static const struct row rows[] = {
		{ 0, "0 B" },
		{ 1, "1 B" },
		{ 1023, "1023 B" },
		{ 1024, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 1024 * 1024 - 1, "1.0 MiB" }, /* not 1024.0 KiB */
		{ 1258291, "1.2 MiB" },
		{ 1099511627776.0, "1.0 TiB" },
		{ 1.8446744073709552e19, "16.0 EiB" },
		{ -2048, "-2.0 KiB" },
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(*rows), units_bytes);
}

static void test_durations(void **state)
{
	static const struct row rows[] = {
		{ 0, "0 s" },     { 0.0004, "0 ms" },    { 0.3509, "350 ms" },
		{ 1, "1.0 s" },   { 9.99, "9.9 s" },     { 59.9, "59 s" },
		{ 60, "1 min" },  { 65.5, "1 min 5 s" }, { 3599, "59 min 59 s" },
		{ 3600, "1 h" },  { 3661, "1 h 1 min" }, { 86399, "23 h 59 min" },
		{ 86400, "1 d" }, { 273600, "3 d 4 h" }, { 86400 * 400.0, "400 d" },
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(*rows), units_duration);
}

static void test_rates(void **state)
{
	static const struct row rows[] = {
		{ 0, "0/s" },        { 0.04, "0.0/s" },  { 0.4, "0.4/s" },
		{ 99.94, "99.9/s" }, { 99.96, "100/s" }, { 12345.6, "12346/s" },
	};

	(void)state;
	check(rows, sizeof(rows) / sizeof(*rows), units_rate);
}

/* What no daemon says: a text all the same, within its bounds. */
static void test_nonsense(void **state)
{
	static void (*const all[])(char *, double) = { units_bytes, units_duration, units_rate };
	static const double values[] = { 1e308, -1e308, 1e18, -1e18, 5e-324 };
	char text[UNITS_SIZE + 1];

	(void)state;
	for (size_t f = 0; f < sizeof(all) / sizeof(*all); f++) {
		for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
			text[UNITS_SIZE] = 'x';
			all[f](text, values[i]);
			assert_in_range(strlen(text), 1, UNITS_SIZE - 1);
			assert_int_equal(text[UNITS_SIZE], 'x');
		}
	}
}

static void test_durations_that_are_read(void **state)
{
	static const struct row rows[] = {
		{ 0, "0" },     { 30, "30" },     { 0.25, "250ms" },
		{ 30, "30s" },  { 300, "5m" },    { 3600, "1h" },
		{ 3600, "1H" }, { 172800, "2d" }, { 999999999999999.0, "999999999999999" },
	};
	static const char *const wrong[] = { "",
					     "s",
					     "x",
					     "-1",
					     "1.5s",
					     " 1",
					     "1 ",
					     "1 s",
					     "1min",
					     "1s5m",
					     "1000000000000000",
					     "0x10" };
	double seconds;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (!units_parse_duration(rows[i].text, &seconds))
			fail_msg("\"%s\" is one", rows[i].text);
		assert_true(seconds == rows[i].value);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		if (units_parse_duration(wrong[i], &seconds))
			fail_msg("\"%s\" is none", wrong[i]);
}

static void test_clock(void **state)
{
	static const struct row rows[] = {
		{ 0, "00:00:00.000" },          { 1795910329.25, "23:58:49.250" },
		{ 86399.9995, "23:59:59.999" }, { -5, "00:00:00.000" },
		{ 1e300, "00:00:00.000" },
	};

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	check(rows, sizeof(rows) / sizeof(*rows), units_clock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),     cmocka_unit_test(test_clock),
		cmocka_unit_test(test_durations), cmocka_unit_test(test_rates),
		cmocka_unit_test(test_nonsense),  cmocka_unit_test(test_durations_that_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
