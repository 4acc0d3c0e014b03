/*
 * What the service manager is told, as it comes out of its socket; and what must not: a status
 * quotes what stands in files.
 */
// links: base proto bus config net session behaviours admin process
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "process/service.h"

static int manager;

/* A name without a file, which the kernel chooses; sd_notify wants it with "@". */
static int begin(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a.sun_family);
	char name[sizeof(a.sun_path) + 1] = "@";

	(void)state;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager, (struct sockaddr *)&a, len), 0);
	len = sizeof(a);
	assert_int_equal(getsockname(manager, (struct sockaddr *)&a, &len), 0);
	memcpy(name + 1, a.sun_path + 1, len - sizeof(a.sun_family) - 1);
	return setenv("NOTIFY_SOCKET", name, 1);
}

static int end(void **state)
{
	(void)state;
	close(manager);
	return unsetenv("NOTIFY_SOCKET");
}

static const char *told(void)
{
	static char text[1024];
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void test_states(void **state)
{
	const char *begins = "RELOADING=1\nMONOTONIC_USEC=", *text;
	char *rest;

	(void)state;
	service_ready("2 workers");
	assert_string_equal(told(), "READY=1\nSTATUS=2 workers");
	service_status("3 workers");
	assert_string_equal(told(), "STATUS=3 workers");
	service_stopping("closing", 1500000);
	assert_string_equal(told(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=1500000\nSTATUS=closing");
	service_reloading();
	text = told();
	assert_memory_equal(text, begins, strlen(begins));
	assert_true(strtoull(text + strlen(begins), &rest, 10) > 0);
	assert_string_equal(rest, "\nSTATUS=reloading");
}

static void check_status(const char *status, const char *expected)
{
	service_status(status);
	assert_string_equal(told(), expected);
	service_ready(status);
	assert_memory_equal(told(), "READY=1\n", 8);
}

/* No line of its own comes of it, and systemd ignores what is not UTF-8. */
static void test_a_status_is_one_line_of_text(void **state)
{
	(void)state;
	check_status("a\nERRNO=5\rb\tc\x7f"
		     "d",
		     "STATUS=a?ERRNO=5?b?c?d");
	check_status("caf\xc3\xa9", "STATUS=caf\xc3\xa9");
	check_status("caf\xe9 \xc3\xa9", "STATUS=caf? ??");
}

static void test_a_long_status_is_cut(void **state)
{
	char status[2000], expected[7 + 512];

	(void)state;
	memset(status, 'x', sizeof(status) - 1);
	status[sizeof(status) - 1] = '\0';
	memcpy(expected, "STATUS=", 7);
	memset(expected + 7, 'x', 511);
	expected[7 + 511] = '\0';
	check_status(status, expected);
}

static void test_watchdog(void **state)
{
	(void)state;
	assert_int_equal(unsetenv("WATCHDOG_PID"), 0);
	assert_int_equal(setenv("WATCHDOG_USEC", "3000000", 1), 0);
	assert_int_equal(service_watchdog_usec(), 3000000);
	/* who asks again hears the same, whatever became of the environment */
	assert_int_equal(unsetenv("WATCHDOG_USEC"), 0);
	assert_int_equal(service_watchdog_usec(), 3000000);
	service_watchdog();
	assert_string_equal(told(), "WATCHDOG=1");
}

static void test_without_a_manager(void **state)
{
	char byte;

	(void)state;
	assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
	service_status("2 workers");
	assert_int_equal(recv(manager, &byte, 1, 0), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_states),
		TEST(test_a_status_is_one_line_of_text),
		TEST(test_a_long_status_is_cut),
		TEST(test_watchdog),
		TEST(test_without_a_manager),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
