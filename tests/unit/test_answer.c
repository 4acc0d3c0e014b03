// links: base proto bus config net session behaviours admin process
/*
 * answer.c, reload.c: what a reload would do, as JSON, and that nothing is done.
 */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metrics.h"
#include "config/config.h"
#include "process/configure.h"
#include "process/reload.h"
#include "process/running.h"
#include "process/shared.h"

static char file[] = "/tmp/test_answer.XXXXXX";

static void put(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

#define LISTEN "listen = ( { address = \"127.0.0.1\"; port = 8080; } );\n"
#define ONE                                                                                        \
	LISTEN "endpoints = ( { path = \"/a\"; behaviour = \"echo\"; },\n"                         \
	       "{ path = \"/b\"; behaviour = \"echo\"; } );\n"

static struct segment counted;

static const char *path_of(size_t i, void *arg)
{
	(void)i;
	return arg;
}

/* Three connections of "/a", of two workers; "/b" is not counted by itself. */
static bool count_connections(void)
{
	char a[] = "/a";
	unsigned label;

	shared.metrics = metrics_new(&counted);
	if (!shared.metrics)
		return false;
	metrics_label_all(shared.metrics, 1, path_of, a);
	label = metrics_label_of(shared.metrics, a);
	for (int slot = 0; slot < 2; slot++) {
		metrics_use(shared.metrics, slot);
		metrics_cell_begin(shared.metrics, label);
		metrics_add(&metrics_cells[label].open, (uint64_t)slot + 1);
	}
	return label != METRICS_OTHER;
}

static int set_up(void **state)
{
	struct config_errors *e = config_errors_new();
	struct config_source *source;
	int fd = mkstemp(file);

	(void)state;
	if (fd < 0 || !count_connections())
		return -1;
	close(fd);
	put(ONE);
	running.config = running.started = configure_load(file, 7, &source, e);
	config_source_free(source);
	config_errors_free(e);
	if (!running.config)
		return -1;
	reload_init(file);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	reload_fini();
	config_unref(running.config);
	segment_free(&counted);
	return unlink(file);
}

/* What comes of a file: the JSON, compared as values. */
static void check(const char *text, bool valid, const char *expected)
{
	const struct config *before = running.config;
	json_error_t error;
	json_t *wanted = json_loads(expected, 0, &error), *got;
	bool is_valid;
	char *answer;

	put(text);
	answer = reload_try(&is_valid);
	assert_non_null(answer);
	got = json_loads(answer, 0, &error);
	if (!wanted || !json_equal(got, wanted)) {
		print_error("expected %s\n     got %s\n", expected, answer);
		fail();
	}
	assert_int_equal(is_valid, valid);
	/* nothing has happened */
	assert_ptr_equal(running.config, before);
	assert_int_equal(running.config->generation, 7);
	assert_false(reload_is_active());
	assert_null(reload_answer(&is_valid));
	assert_int_equal(reload_number(), 0);
	assert_string_equal(reload_outcome(), "");
	json_decref(wanted);
	json_decref(got);
	free(answer);
}

static void test_nothing(void **state)
{
	(void)state;
	check(ONE, true,
	      "{\"applied\": false, \"warnings\": [], \"plan\": {\"summary\": "
	      "\"0 endpoints added, 0 changed, 0 removed\", \"endpoints\": [], \"listeners\": [], "
	      "\"certificates\": [], \"settings\": []}}");
}

static void test_everything(void **state)
{
	(void)state;
	check("listen = ( { address = \"127.0.0.1\"; port = 8081; } );\n"
	      "log_level = \"debug\"; bus_size = \"128M\"; compression = { level = 3; };\n"
	      "endpoints = ( { path = \"/a\"; behaviour = \"sink\"; },\n"
	      "{ path = \"/c\"; behaviour = \"echo\"; } );\n",
	      true,
	      "{\"applied\": false, \"warnings\": [], \"plan\": {\"summary\": "
	      "\"1 endpoints added, 1 changed, 1 removed; listeners: 1 added, 0 changed, 1 "
	      "removed; "
	      "settings changed: log_level, compression\","
	      "\"endpoints\": [{\"endpoint\": \"/a\", \"change\": \"changed\", \"settings\": "
	      "[{\"key\": \"behaviour\", \"old\": \"echo\", \"new\": \"sink\"},"
	      " {\"key\": \"compression.level\", \"old\": 1, \"new\": 3}],"
	      "\"connections\": 3, \"then\": \"close\", \"code\": 1012, "
	      "\"reason\": \"endpoint-changed\"},"
	      "{\"endpoint\": \"/b\", \"change\": \"removed\", \"then\": \"close\", \"code\": "
	      "1012, "
	      "\"reason\": \"endpoint-changed\"},"
	      "{\"endpoint\": \"/c\", \"change\": \"added\"}],"
	      "\"listeners\": [{\"listener\": \"127.0.0.1:8081\", \"change\": \"opened\"},"
	      "{\"listener\": \"127.0.0.1:8080\", \"change\": \"closed\", \"then\": \"stay\"}],"
	      "\"certificates\": [],"
	      "\"settings\": [{\"key\": \"log_level\", \"old\": \"info\", \"new\": \"debug\", "
	      "\"restart\": false},"
	      "{\"key\": \"bus_size\", \"old\": \"64M\", \"new\": \"128M\", \"restart\": true},"
	      "{\"key\": \"compression.level\", \"old\": 1, \"new\": 3, \"restart\": false}]}}");
}

static void test_who_stays(void **state)
{
	(void)state;
	check(LISTEN
	      "endpoints = ( { path = \"/a\"; behaviour = \"echo\"; max_message = \"2K\"; },\n"
	      "{ path = \"/b\"; behaviour = \"echo\"; } );\n",
	      true,
	      "{\"applied\": false, \"warnings\": [], \"plan\": {\"summary\": "
	      "\"0 endpoints added, 1 changed, 0 removed\", \"endpoints\": "
	      "[{\"endpoint\": \"/a\", \"change\": \"changed\", \"settings\": [{\"key\": "
	      "\"max_message\", \"old\": \"1M\", \"new\": \"2K\"}], \"connections\": 3, "
	      "\"then\": \"stay\"}],"
	      "\"listeners\": [], \"certificates\": [], \"settings\": []}}");
}

static void test_errors(void **state)
{
	char expected[1024];

	(void)state;
	snprintf(expected, sizeof(expected),
		 "{\"error\": \"config-error\", \"message\": \"2 errors in the configuration\", "
		 "\"warnings\": [], \"errors\": ["
		 "{\"file\": \"%s\", \"line\": 1, \"text\": \"missing setting \\\"endpoints\\\", "
		 "for "
		 "example: endpoints = ( { path = \\\"/ws\\\"; behaviour = \\\"echo\\\"; } );\"},"
		 "{\"file\": \"%s\", \"line\": 2, \"text\": \"unknown setting \\\"workerz\\\" (did "
		 "you mean \\\"workers\\\"?)\"}]}",
		 file, file);
	check(LISTEN "workerz = 1;\n", false, expected);
}

/* As JSON it has no line where the file as a whole is meant. */
static void test_no_file(void **state)
{
	bool valid;
	char *answer;

	(void)state;
	assert_int_equal(rename(file, "/tmp/test_answer.away"), 0);
	answer = reload_try(&valid);
	assert_int_equal(rename("/tmp/test_answer.away", file), 0);
	assert_false(valid);
	assert_non_null(strstr(answer, "\"line\":null"));
	assert_non_null(strstr(answer, "No such file"));
	free(answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),   cmocka_unit_test(test_everything),
		cmocka_unit_test(test_who_stays), cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
