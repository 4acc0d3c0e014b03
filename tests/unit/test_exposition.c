/*
 * What Prometheus is told: every metric in its form, whatever the names of endpoints. With an argument
 * the program prints all of them, for tests/lint/exposition.sh.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/exposition.h"
#include "base/metrics.h"

static struct segment segment;
static struct metrics *m;
static char text[1 << 20];
static size_t len;

static const uint64_t by_label[METRICS_LABELS] = { 77, 78 };

static const struct metrics_facts facts = {
#define METRIC_FACT(field, unit, type, name, help) .field = 1234567,
#define METRIC_ASKED(field, type, name, help) .field = by_label,
#include "base/metrics.def"
	.version = "1.2",
};

static void put(const char *bytes, size_t n, void *arg)
{
	assert_int_equal(bytes[n - 1], '\n');
	assert_true(len + n < sizeof(text));
	memcpy((char *)arg + len, bytes, n);
	len += n;
	((char *)arg)[len] = '\0';
}

static const char *path_of(size_t i, void *paths)
{
	return ((const char **)paths)[i];
}

static void label(const char **paths, size_t count)
{
	metrics_label_all(m, count, path_of, paths);
	for (int slot = 0; slot < 2; slot++) {
		metrics_use(m, slot);
		for (size_t i = 0; i < count; i++)
			metrics_cell_begin(m, metrics_label_of(m, paths[i]));
	}
}

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

static void expose(const struct metrics_facts *f)
{
	len = 0;
	exposition_write(m, f, put, text);
}

/* The lines stand in what was written, one behind the other. */
static void has(const char *lines)
{
	if (!strstr(text, lines))
		fail_msg("this is not there:\n%s", lines);
}

static void test_sums(void **state)
{
	const char *paths[] = { "/a", "/b" };
	unsigned a;

	(void)state;
	label(paths, 2);
	a = metrics_label_of(m, "/a");
	m->cells[0][a].messages_in = 5;
	m->cells[1][a].messages_in = 7;
	m->cells[0][METRICS_OTHER].messages_in = 1;
	m->cells[0][a].bytes_out = 100;
	m->cells[0][a].messages_out = 10;
	m->cells[0][a].others_out = 30;
	m->rows[0].accepted = 3;
	m->rows[1].accepted = 4;
	expose(&facts);
	has("# HELP ignyxd_messages_received_total Messages received.\n"
	    "# TYPE ignyxd_messages_received_total counter\n"
	    "ignyxd_messages_received_total{endpoint=\"other\"} 1\n"
	    "ignyxd_messages_received_total{endpoint=\"/a\"} 12\n"
	    "ignyxd_messages_received_total{endpoint=\"/b\"} 0\n"
	    "# HELP ");
	has("\nignyxd_sent_payload_bytes_total{endpoint=\"/a\"} 50\n");
	has("# TYPE ignyxd_connections gauge\n");
	has("\nignyxd_room_evicted_total{endpoint=\"other\"} 77\n"
	    "ignyxd_room_evicted_total{endpoint=\"/a\"} 78\n"
	    "ignyxd_room_evicted_total{endpoint=\"/b\"} 0\n");
	has("\nignyxd_connections_accepted_total 7\n#");
}

/* What is derived from counters is one: it never goes back, whatever is counted in between. */
static void test_derived(void **state)
{
	const char *paths[] = { "/derived" };
	struct metrics_cell *cell;

	(void)state;
	label(paths, 1);
	cell = &m->cells[0][metrics_label_of(m, "/derived")];
	cell->bytes_out = 1000;
	cell->messages_out = 10;
	expose(&facts);
	has("\nignyxd_sent_payload_bytes_total{endpoint=\"/derived\"} 980\n");
	cell->messages_out = 20; /* and their bytes are still to come */
	expose(&facts);
	has("\nignyxd_sent_payload_bytes_total{endpoint=\"/derived\"} 980\n");
	cell->bytes_out = 1100;
	expose(&facts);
	has("\nignyxd_sent_payload_bytes_total{endpoint=\"/derived\"} 1060\n");
	cell->others_out = 5000;
	m->cells[1][metrics_label_of(m, "/derived")].bytes_out = 7000;
	expose(&facts);
	has("\nignyxd_sent_payload_bytes_total{endpoint=\"/derived\"} 7000\n");
}

/* What an operator may have in a path does not end its label. */
static void test_paths_are_escaped(void **state)
{
	const char *paths[] = { "/q\"\\{}\n", "/\xc3\xa4" };

	(void)state;
	label(paths, 2);
	expose(&facts);
	has("ignyxd_connections{endpoint=\"/q\\\"\\\\{}\\\\x0a\"} 0\n"
	    "ignyxd_connections{endpoint=\"/\\\\xc3\\\\xa4\"} 0\n");
}

static void test_ends(void **state)
{
	(void)state;
	metrics_use(m, 3);
	m->rows[3].ends[metrics_code(1001)][REASON_PEER_CLOSED] = 2;
	m->rows[3].ends[metrics_code(4711)][REASON_DONE] = 5;
	m->rows[3].refused[REASON_BAD_ORIGIN] = 6;
	m->deaths[METRICS_STUCK] = 8;
	m->reloads[METRICS_APPLIED] = 9;
	expose(&facts);
	has("counter\nignyxd_connections_closed_total{initiator=\"client\",code=\"1001\","
	    "reason=\"peer-closed\"} 2\n"
	    "ignyxd_connections_closed_total{initiator=\"server\",code=\"other\","
	    "reason=\"done\"} 5\n#");
	has("counter\nignyxd_connections_refused_total{reason=\"bad-origin\"} 6\n#");
	has("\nignyxd_worker_restarts_total{cause=\"stuck\"} 8\n");
	has("\nignyxd_reloads_total{result=\"refused\"} 0\n"
	    "ignyxd_reloads_total{result=\"applied\"} 9\n");
}

static void test_histogram(void **state)
{
	(void)state;
	metrics_use(m, 0);
	metrics_time(&m->rows[0].round_trip, 100);
	metrics_time(&m->rows[0].round_trip, 2000000);
	metrics_use(m, 1);
	metrics_time(&m->rows[1].round_trip, 40000000);
	expose(&facts);
	has("# TYPE ignyxd_ping_round_trip_seconds histogram\n"
	    "ignyxd_ping_round_trip_seconds_bucket{le=\"0.0001\"} 1\n"
	    "ignyxd_ping_round_trip_seconds_bucket{le=\"0.00025\"} 1\n");
	has("{le=\"1\"} 1\nignyxd_ping_round_trip_seconds_bucket{le=\"2.5\"} 2\n");
	has("{le=\"30\"} 2\nignyxd_ping_round_trip_seconds_bucket{le=\"+Inf\"} 3\n"
	    "ignyxd_ping_round_trip_seconds_sum 42.000100\n"
	    "ignyxd_ping_round_trip_seconds_count 3\n");
}

static void test_facts(void **state)
{
	struct metrics_facts some = facts;

	(void)state;
	metrics_use(m, 0)->files = 17;
	metrics_use(m, SLOT_ADMIN);
	metrics_row_of_master(m)->files = 18;
	some.bus_age = METRICS_UNKNOWN;
	expose(&some);
	has("\nignyxd_bus_capacity_bytes 1234567\n");
	has("\nignyxd_start_time_seconds 1234.567\n");
	has("\nignyxd_build_info{version=\"1.2\"} 1\n");
	has("\nignyxd_open_descriptors{process=\"worker-0\"} 17\n"
	    "ignyxd_open_descriptors{process=\"admin\"} 0\n"
	    "ignyxd_open_descriptors{process=\"master\"} 18\n#");
	assert_null(strstr(text, "bus_oldest_age"));
}

/* Everything that there is, with every counter set. */
static int print_all(void)
{
	const char *paths[] = { "/chat", "/q\"\\ \xff" };

	if (begin(NULL) < 0)
		return EXIT_FAILURE;
	label(paths, 2);
	metrics_use(m, 5);
	for (uint64_t *p = (uint64_t *)&m->rows[5]; p < (uint64_t *)&m->rows[6]; p++)
		*p = 1;
	for (int i = 0; i < 3; i++)
		m->cells[0][i].open = m->cells[0][i].bytes_in = (uint64_t)i + 1;
	expose(&facts);
	fputs(text, stdout);
	end(NULL);
	return EXIT_SUCCESS;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sums), TEST(test_derived),   TEST(test_paths_are_escaped),
		TEST(test_ends), TEST(test_histogram), TEST(test_facts),
	};

	(void)argv;
	return argc > 1 ? print_all() : cmocka_run_group_tests(tests, NULL, NULL);
}
