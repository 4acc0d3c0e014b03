/*
 * What the master shares with its children: keys that change in time, and a bus that is made anew.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "net/tickets.h"
#include "process/shared.h"
#include "process/ticks.h"

enum { ROTATION = TICKET_ROTATION * 1000 / MASTER_TICK };

static const struct config config = { .bus_size = 1 << 18, .bus_lag = 1 << 14, .max_rooms = 8 };

static int begin(void **state)
{
	(void)state;
	return shared_make(&config);
}

static int end(void **state)
{
	(void)state;
	shared_free();
	for (int i = 0; i < SLOTS; i++)
		close(shared.wakeups[i]);
	return 0;
}

/* Goes on to the next tick; returns whether new tickets have another key from then on. */
static bool tick(void)
{
	struct ticket_key before = tickets_current(shared.tickets), after;

	ticks_advance();
	shared_tick();
	after = tickets_current(shared.tickets);
	return memcmp(&before, &after, sizeof(before)) != 0;
}

/* Eight hours of ticks, each time. */
static void test_keys_change(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++) {
		for (int i = 1; i < ROTATION; i++)
			assert_false(tick());
		assert_true(tick());
	}
}

static void test_a_bus_as_it_was_configured(void **state)
{
	(void)state;
	assert_non_null(shared.bus);
	assert_false(shared.bus_condemned);
	assert_int_equal(shared.limits.size, config.bus_size);
	assert_int_equal(shared.limits.lag, config.bus_lag);
	assert_int_equal(shared.limits.max_rooms, config.max_rooms);
	for (int i = 0; i < SLOTS; i++)
		assert_true(shared.wakeups[i] >= 0);
}

/* It stays condemned until there is another. */
static void test_a_bus_made_anew(void **state)
{
	size_t lag = shared.limits.lag;

	(void)state;
	shared_condemn_bus();
	assert_true(shared.bus_condemned);
	/* what bus_new does not take, in place of memory that there is not */
	shared.limits.lag = 0;
	assert_int_equal(shared_renew_bus(&config), -1);
	assert_true(shared.bus_condemned);
	assert_null(shared.bus);
	shared.limits.lag = lag;
	assert_int_equal(shared_renew_bus(&config), 0);
	assert_false(shared.bus_condemned);
	assert_non_null(shared.bus);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_keys_change),
		TEST(test_a_bus_as_it_was_configured),
		TEST(test_a_bus_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
