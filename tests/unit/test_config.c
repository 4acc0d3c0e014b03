// links: base proto config
/*
 * test_config.c - from text to snapshot.
 *
 * The mistakes are files: each tests/unit/config/X.conf has an X.expected with
 * every line that a user gets to read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <sched.h>
#include <sys/resource.h>

#include "base/log.h"
#include "config/alloc.h"
#include "config/fill.h"
#include "config/files.h"
#include "config/plan.h"

enum { DESCRIPTORS = 1024 };

/* Of the machine: this stands in the place of the C library's. */
static int processors = 4;

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	(void)pid;
	if (processors > (int)size * 8) {
		errno = EINVAL;
		return -1;
	}
	CPU_ZERO_S(size, set);
	for (int i = 0; i < processors; i++)
		CPU_SET_S((size_t)i, size, set);
	return 0;
}

/* --- the golden files --- */

static char *read_whole(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_true(fread(text, 1, 65535, f) < 65535);
	fclose(f);
	return text;
}

static void check_golden(const char *conf)
{
	char *path, *expected, *lines;

	assert_true(asprintf(&path, "%.*s.expected", (int)strcspn(conf, "."), conf) > 0);
	expected = read_whole(path);
	config_unref(parse_file(conf, &lines));
	assert_string_equal(lines, expected);
	free(lines);
	free(expected);
	free(path);
}

static void test_golden(void **state)
{
	glob_t g;

	(void)state;
	assert_int_equal(glob("*.conf", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 30);
	for (size_t i = 0; i < g.gl_pathc; i++)
		check_golden(g.gl_pathv[i]);
	globfree(&g);
}

/* --- values --- */

static const char all_settings[] =
	"workers = 3; log_level = \"debug\"; log_time = \"never\"; runtime_dir = \"/run/x\"; "
	"user = \"root\";\n"
	"bus_size = \"8M\"; bus_lag = \"256K\"; max_rooms = 12; max_connections = 100; "
	"max_head = \"16K\"; health = \"/healthz\";\n"
	"worker_timeout = \"5s\"; shutdown_grace = \"0\"; max_message = \"64K\";\n"
	"max_pending = \"1M\"; slow_consumer = \"drop_newest\"; handshake_timeout = \"250ms\";\n"
	"ping_interval = \"1m\"; ping_timeout = \"2s\"; idle_timeout = \"1h\";\n"
	"message_timeout = \"90s\"; close_timeout = \"1s\"; stall_timeout = \"9s\"; "
	"subprotocols = ( \"a\", \"b\" ); access_log = false;\n"
	"allowed_origins = [ \"https://x.example\" ]; require_subprotocol = true; "
	"compression = { enabled = true; level = 9; threshold = \"1K\"; };\n"
	"listen = (\n"
	"  { address = \"::1\"; port = 443; backlog = 5; },\n"
	"  { unix = \"/run/x.sock\"; mode = \"600\"; }\n"
	");\n"
	"endpoints = (\n"
	"  { path = \"/b\"; behaviour = \"room\"; },\n"
	"  { path = \"/a\"; behaviour = \"echo\"; prefix = \"\\xc3\\xa9: \";\n"
	"    max_message = \"1M\"; max_pending = \"2M\"; slow_consumer = \"close\";\n"
	"    handshake_timeout = \"1s\"; ping_interval = \"0\"; ping_timeout = \"0\";\n"
	"    idle_timeout = \"0\"; message_timeout = \"0\"; close_timeout = \"2s\"; "
	"subprotocols = ( );\n"
	"    allowed_origins = ( \"*\" ); access_log = true; require_subprotocol = false;\n"
	"    compression = { level = 2; server_max_window_bits = 10; }; }\n"
	");\n";

static void test_global(void **state)
{
	struct config *c = parse_good(all_settings);

	(void)state;
	assert_int_equal(c->refs, 1);
	assert_int_equal(c->generation, 7);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->log_time, LOG_TIME_NEVER);
	assert_string_equal(c->runtime_dir, "/run/x");
	assert_string_equal(c->user, "root");
	assert_int_equal(c->bus_size, 8 << 20);
	assert_int_equal(c->bus_lag, (256 << 10) + CONFIG_ENTRY_SPACE);
	assert_int_equal(c->max_rooms, 12);
	assert_int_equal(c->max_connections, 100);
	assert_int_equal(c->max_head, 16 << 10);
	assert_string_equal(c->health, "/healthz");
	assert_int_equal(c->worker_timeout, 5000);
	assert_int_equal(c->shutdown_grace, 0);
	config_unref(c);
}

static void test_listeners(void **state)
{
	struct config *c = parse_good(all_settings);

	(void)state;
	assert_int_equal(c->listener_count, 2);
	assert_string_equal(c->listeners[0].address, "::1");
	assert_int_equal(c->listeners[0].port, 443);
	assert_int_equal(c->listeners[0].backlog, 5);
	assert_null(c->listeners[0].unix_path);
	assert_int_equal(c->listeners[0].line, 9);
	assert_non_null(strstr(c->listeners[0].file, "/proc/self/fd/"));
	assert_null(c->listeners[1].address);
	assert_string_equal(c->listeners[1].unix_path, "/run/x.sock");
	assert_int_equal(c->listeners[1].mode, 0600);
	assert_int_equal(c->listeners[1].backlog, 4096);
	assert_int_equal(c->listeners[1].line, 10);
	config_unref(c);
}

static void check_limits_of_top(const struct config_limits *l)
{
	assert_int_equal(l->max_message, 65536);
	assert_int_equal(l->max_pending, 1 << 20);
	assert_int_equal(l->slow_consumer, SLOW_CONSUMER_DROP_NEWEST);
	assert_int_equal(l->handshake_timeout, 250);
	assert_int_equal(l->ping_interval, 60000);
	assert_int_equal(l->ping_timeout, 2000);
	assert_int_equal(l->idle_timeout, 3600000);
	assert_int_equal(l->message_timeout, 90000);
	assert_int_equal(l->stall_timeout, 9000);
	assert_int_equal(l->close_timeout, 1000);
	assert_string_equal(l->subprotocols[0], "a");
	assert_string_equal(l->subprotocols[1], "b");
	assert_null(l->subprotocols[2]);
	assert_string_equal(l->allowed_origins[0], "https://x.example");
	assert_null(l->allowed_origins[1]);
	assert_false(l->access_log);
	assert_true(l->require_subprotocol);
	assert_true(l->compression.enabled);
	assert_int_equal(l->compression.level, 9);
	assert_int_equal(l->compression.threshold, 1024);
	assert_int_equal(l->compression.server_max_window_bits, 15);
}

static void check_limits_of_endpoint(const struct config_limits *l)
{
	assert_int_equal(l->max_message, 1 << 20);
	assert_int_equal(l->max_pending, 2 << 20);
	assert_int_equal(l->slow_consumer, SLOW_CONSUMER_CLOSE);
	assert_int_equal(l->handshake_timeout, 1000);
	assert_int_equal(l->ping_interval, 0);
	assert_int_equal(l->ping_timeout, 0);
	assert_int_equal(l->idle_timeout, 0);
	assert_int_equal(l->message_timeout, 0);
	assert_int_equal(l->close_timeout, 2000);
	assert_null(l->subprotocols);
	assert_null(l->allowed_origins);
	assert_true(l->access_log);
	assert_false(l->require_subprotocol);
	/* what its group does not say is as in the group at the top */
	assert_true(l->compression.enabled);
	assert_int_equal(l->compression.level, 2);
	assert_int_equal(l->compression.threshold, 1024);
	assert_int_equal(l->compression.server_max_window_bits, 10);
}

static void check_compression_preset(const struct config_compression *c)
{
	assert_false(c->enabled);
	assert_int_equal(c->level, 1);
	assert_int_equal(c->memory_level, 8);
	assert_int_equal(c->threshold, 64);
	assert_false(c->server_context_takeover);
	assert_false(c->client_context_takeover);
	assert_int_equal(c->server_max_window_bits, 15);
	assert_int_equal(c->client_max_window_bits, 15);
}

/* An endpoint takes from the top what it does not set; of lists the very one. */
static void test_endpoints(void **state)
{
	struct config *c = parse_good(all_settings);
	const struct config_endpoint *a = &c->endpoints[0], *b = &c->endpoints[1];
	const struct test_opts *opts = a->opts;

	(void)state;
	assert_int_equal(c->endpoint_count, 2);
	assert_string_equal(a->path, "/a");
	assert_ptr_equal(a->behaviour, &echo);
	assert_ptr_equal(a->config, c);
	assert_int_equal(a->line, 14);
	assert_string_equal(opts->prefix.text.data, "\xc3\xa9: ");
	assert_int_equal(opts->prefix.text.len, 4);
	assert_string_equal(b->path, "/b");
	assert_int_equal(b->line, 13);
	assert_string_equal(((const struct test_opts *)b->opts)->prefix.text.data, "");
	assert_true(((const struct test_opts *)b->opts)->include_sender);
	check_limits_of_top(&c->limits);
	check_limits_of_top(&b->limits);
	check_limits_of_endpoint(&a->limits);
	assert_ptr_equal(b->limits.subprotocols, c->limits.subprotocols);
	config_unref(c);
}

/* One for each, as far as there are places for them. */
static void test_workers_by_processors(void **state)
{
	static const struct {
		int processors, workers;
	} rows[] = { { 1, 1 }, { 59, 59 }, { 60, 60 }, { 61, 60 }, { 1024, 60 }, { 2048, 60 } };
	const int were = processors;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct config *c;

		processors = rows[i].processors;
		c = parse_good(LISTEN NO_ENDPOINTS "workers = 0;");
		assert_int_equal(c->workers, rows[i].workers);
		config_unref(c);
	}
	processors = were;
}

static void test_presets(void **state)
{
	struct config *c = parse_good(LISTEN NO_ENDPOINTS);

	(void)state;
	assert_int_equal(c->workers, processors);
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->log_time, LOG_TIME_AUTO);
	assert_null(c->user);
	assert_null(c->runtime_dir);
	assert_int_equal(c->bus_size, 64 << 20);
	assert_int_equal(c->bus_lag, (1 << 20) + CONFIG_ENTRY_SPACE);
	assert_int_equal(c->max_rooms, 65536);
	assert_int_equal(c->max_handshakes, DESCRIPTORS / 8);
	assert_int_equal(c->max_connections, DESCRIPTORS - CONFIG_FD_RESERVE - DESCRIPTORS / 8);
	assert_int_equal(c->worker_timeout, 10000);
	assert_int_equal(c->shutdown_grace, 10000);
	assert_int_equal(c->endpoints[0].limits.max_message, 1 << 20);
	assert_int_equal(c->endpoints[0].limits.max_pending, 4 << 20);
	assert_int_equal(c->endpoints[0].limits.slow_consumer, SLOW_CONSUMER_CLOSE);
	assert_int_equal(c->endpoints[0].limits.handshake_timeout, 10000);
	assert_int_equal(c->endpoints[0].limits.ping_interval, 25000);
	assert_int_equal(c->endpoints[0].limits.ping_timeout, 20000);
	assert_int_equal(c->endpoints[0].limits.idle_timeout, 0);
	assert_int_equal(c->endpoints[0].limits.message_timeout, 120000);
	assert_int_equal(c->endpoints[0].limits.close_timeout, 5000);
	assert_null(c->endpoints[0].limits.subprotocols);
	assert_null(c->endpoints[0].limits.allowed_origins);
	assert_true(c->endpoints[0].limits.access_log);
	assert_false(c->endpoints[0].limits.require_subprotocol);
	check_compression_preset(&c->limits.compression);
	check_compression_preset(&c->endpoints[0].limits.compression);
	assert_null(c->endpoints[0].opts);
	config_unref(c);
}

/* A room of default size fits the default bus, and the lag never exceeds a quarter. */
static void test_lag_is_clamped(void **state)
{
	struct config *c =
		parse_good(LISTEN "bus_size = \"1M\"; bus_lag = \"256K\";"
				  "max_message = \"200K\";"
				  "endpoints = ( { path = \"/\"; behaviour = \"room\"; } );");

	(void)state;
	assert_int_equal(c->bus_lag, 256 << 10);
	assert_true(config_uses_bus(c));
	config_unref(c);
}

static void test_runtime_dir_of_service_manager(void **state)
{
	struct config *c;

	(void)state;
	setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
	c = parse_good(LISTEN NO_ENDPOINTS);
	assert_string_equal(c->runtime_dir, "/run/one");
	config_unref(c);
	c = parse_good("runtime_dir = \"/run/own\";" LISTEN NO_ENDPOINTS);
	assert_string_equal(c->runtime_dir, "/run/own");
	config_unref(c);
	unsetenv("RUNTIME_DIRECTORY");
}

/* --- JSON --- */

static void check_json(const char *value, const char *json)
{
	char *text = alloc_format(LISTEN "endpoints = ( { path = \"/\"; behaviour = \"notify\";"
					 "message = %s; } );",
				  value);
	struct config *c = parse_good(text);
	const struct test_opts *opts = c->endpoints[0].opts;

	assert_string_equal(opts->message.text.data, json);
	assert_int_equal(opts->message.text.len, strlen(json));
	config_unref(c);
	free(text);
}

static void test_json(void **state)
{
	(void)state;
	check_json("{ type = \"info\"; message = \"Welcome to the real-time era!\"; }",
		   "{\"type\": \"info\", \"message\": \"Welcome to the real-time era!\"}");
	check_json("{ z = 1; a = { }; m = ( ); }", "{\"z\": 1, \"a\": {}, \"m\": []}");
	check_json("( 1, \"x\", true, False, [ 1, 2 ], { b = 0x10; } )",
		   "[1, \"x\", true, false, [1, 2], {\"b\": 16}]");
	check_json("9223372036854775807L", "9223372036854775807");
	check_json("-2147483648", "-2147483648");
	check_json("( 0.1, 1.0, -2.5e3, 1e300 )", "[0.1, 1.0, -2500.0, 1e300]");
	check_json("0.30000000000000004", "0.30000000000000004");
	check_json("{ x = 7.6; y = 0.30000000000000004; z = [ 7.6 ]; }",
		   "{\"x\": 7.6, \"y\": 0.30000000000000004, \"z\": [7.6]}");
	check_json("\"a\\\"\\n\\x01\" \"b\"", "\"a\\\"\\n\\u0001b\"");
	check_json("\"\xe2\x82\xac\"", "\"\xe2\x82\xac\"");
}

static void test_message_is_text_or_json(void **state)
{
	struct config *c = parse_good(
		LISTEN
		"endpoints = ( { path = \"/a\"; behaviour = \"oneshot\"; message = \"\\\"\"; },"
		"{ path = \"/b\"; behaviour = \"oneshot\"; message = { a = 1; }; },"
		"{ path = \"/c\"; behaviour = \"oneshot\"; message = \"\"; code = 4999; } );");

	(void)state;
	assert_string_equal(((struct test_opts *)c->endpoints[0].opts)->message.text.data, "\"");
	assert_string_equal(((struct test_opts *)c->endpoints[1].opts)->message.text.data,
			    "{\"a\": 1}");
	assert_string_equal(((struct test_opts *)c->endpoints[2].opts)->message.text.data, "");
	assert_int_equal(((struct test_opts *)c->endpoints[2].opts)->code, 4999);
	config_unref(c);
}

/* --- looking up and comparing --- */

static void test_find(void **state)
{
	struct config *c = parse_good(LISTEN "endpoints = ("
					     "{ path = \"/b\"; behaviour = \"plain\"; },"
					     "{ path = \"/\xc3\xa9\"; behaviour = \"plain\"; },"
					     "{ path = \"/\"; behaviour = \"plain\"; },"
					     "{ path = \"/b/c\"; behaviour = \"plain\"; } );");

	(void)state;
	assert_string_equal(config_route_name(c, "/")->path, "/");
	assert_string_equal(config_route_name(c, "/b")->path, "/b");
	assert_string_equal(config_route_name(c, "/b/c")->path, "/b/c");
	assert_string_equal(config_route_name(c, "/\xc3\xa9")->path, "/\xc3\xa9");
	assert_null(config_route_name(c, "/B"));
	assert_null(config_route_name(c, "/b/"));
	assert_null(config_route_name(c, ""));
	assert_false(config_uses_bus(c));
	config_unref(c);
}

static struct config *with_endpoints(const char *endpoints)
{
	char *text = alloc_format(LISTEN "endpoints = ( %s );", endpoints);
	struct config *c = parse_good(text);

	free(text);
	return c;
}

struct config_diff {
	unsigned added, changed, removed;
};

static void check_diff(const char *old, const char *new, struct config_diff expected)
{
	struct config *a = with_endpoints(old), *b = with_endpoints(new);
	struct plan *p = plan_new(a, a, b);

	/* the plan keeps both */
	config_unref(a);
	config_unref(b);
	assert_int_equal(plan_count(p, PLAN_ENDPOINT, PLAN_ADDED), expected.added);
	assert_int_equal(plan_count(p, PLAN_ENDPOINT, PLAN_CHANGED), expected.changed);
	assert_int_equal(plan_count(p, PLAN_ENDPOINT, PLAN_REMOVED), expected.removed);
	assert_int_equal(p->count, expected.added + expected.changed + expected.removed);
	plan_free(p);
}

static void test_diff(void **state)
{
	static const char echo_a[] = "{ path = \"/a\"; behaviour = \"echo\"; }";
	static const char *const changed[] = {
		"{ path = \"/a\"; behaviour = \"sink\"; }",
		"{ path = \"/a\"; behaviour = \"echo\"; prefix = \"x\"; }",
		"{ path = \"/a\"; behaviour = \"echo\"; max_message = \"2\"; }",
		"{ path = \"/a\"; behaviour = \"echo\"; access_log = false; }",
		"{ path = \"/a\"; behaviour = \"echo\"; slow_consumer = \"drop_newest\"; }",
		"{ path = \"/a\"; behaviour = \"echo\"; subprotocols = ( \"x\" ); }",
		"{ path = \"/a\"; behaviour = \"echo\"; compression = { level = 2; }; }",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changed) / sizeof(*changed); i++) {
		check_diff(echo_a, changed[i], (struct config_diff){ .changed = 1 });
		check_diff(changed[i], echo_a, (struct config_diff){ .changed = 1 });
		check_diff(changed[i], changed[i], (struct config_diff){ 0 });
	}
	check_diff("{ path = \"/a\"; behaviour = \"echo\"; subprotocols = ( \"x\", \"y\" ); }",
		   "{ path = \"/a\"; behaviour = \"echo\"; subprotocols = ( \"x\" ); }",
		   (struct config_diff){ .changed = 1 });
	check_diff(echo_a, "{ path = \"/a\"; behaviour = \"echo\"; prefix = \"\"; }",
		   (struct config_diff){ 0 });
	check_diff("{ path = \"/a\"; behaviour = \"echo\"; }, { path = \"/c\"; behaviour = "
		   "\"echo\"; },"
		   "{ path = \"/d\"; behaviour = \"echo\"; }",
		   "{ path = \"/e\"; behaviour = \"echo\"; }, { path = \"/c\"; behaviour = "
		   "\"sink\"; },"
		   "{ path = \"/b\"; behaviour = \"echo\"; }, { path = \"/f\"; behaviour = "
		   "\"echo\"; }",
		   (struct config_diff){ .added = 3, .changed = 1, .removed = 2 });
	/* what is behind all others, and alone */
	check_diff("{ path = \"/a\"; behaviour = \"echo\"; }, { path = \"/b\"; behaviour = "
		   "\"echo\"; }",
		   echo_a, (struct config_diff){ .removed = 1 });
	check_diff(echo_a,
		   "{ path = \"/a\"; behaviour = \"echo\"; }, { path = \"/b\"; behaviour = "
		   "\"echo\"; }",
		   (struct config_diff){ .added = 1 });
}

/* "KEY OLD NEW;" for each setting that differs, as JSON; the endpoint's path in front. */
static void check_values(const char *old, const char *new, bool closes, const char *expected)
{
	struct config *a = with_endpoints(old), *b = with_endpoints(new);
	struct plan *p = plan_new(a, a, b);
	char *got = alloc_string("");

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *item = &p->items[i];

		assert_int_equal(item->closes, closes);
		for (size_t k = 0; k < item->count; k++) {
			char *x = json_dumps(item->values[k].old, JSON_ENCODE_ANY);
			char *y = json_dumps(item->values[k].new, JSON_ENCODE_ANY);
			char *more = alloc_format("%s%s %s %s %s;", got, item->endpoint->path,
						  item->values[k].key, x, y);

			free(x);
			free(y);
			free(got);
			got = more;
		}
	}
	assert_string_equal(got, expected);
	free(got);
	plan_free(p);
	config_unref(a);
	config_unref(b);
}

#define ECHO(more) "{ path = \"/a\"; behaviour = \"echo\"; " more " }"

#define OTHER "{ path = \"/b\"; behaviour = \"echo\"; }"

static void test_values_that_differ(void **state)
{
	(void)state;
	check_values(ECHO(""), ECHO("max_message = \"2K\"; idle_timeout = \"90s\";"), false,
		     "/a max_message \"1M\" \"2K\";/a idle_timeout \"0\" \"90s\";");
	check_values(ECHO("access_log = false;"), ECHO("subprotocols = ( \"x\", \"y\" );"), false,
		     "/a subprotocols [] [\"x\", \"y\"];/a access_log false true;");
	check_values(ECHO(""), ECHO("compression = { enabled = true; level = 3; };"), false,
		     "/a compression.enabled false true;/a compression.level 1 3;");
	check_values(ECHO("slow_consumer = \"drop_newest\";"),
		     ECHO("max_connections_per_address = 4; prefix = \"\\n\";"), false,
		     "/a max_connections_per_address 0 4;"
		     "/a slow_consumer \"drop_newest\" \"close\";/a prefix \"\" \"\\n\";");
	/* what is of the behaviour that was cannot be compared */
	check_values(ECHO("prefix = \"x\";"), "{ path = \"/a\"; behaviour = \"sink\"; }", true,
		     "/a behaviour \"echo\" \"sink\";");
	check_values(ECHO("") "," OTHER, OTHER, true, "");
	check_values(OTHER, ECHO("") "," OTHER, false, "");
}

/* Where a daemon is asked that runs: by an absolute path alone, for it runs in another folder. */
static void check_runtime_dir(const char *text, const char *expected)
{
	struct config_errors *e = config_errors_new();
	char path[64], *dir;
	int fd = text_file(text, strlen(text), path);

	dir = config_find_runtime_dir(path, e);
	if (expected)
		assert_string_equal(dir, expected);
	else
		assert_null(dir);
	free(dir);
	close(fd);
	config_errors_free(e);
}

static void test_runtime_dir(void **state)
{
	(void)state;
	check_runtime_dir("runtime_dir = \"/run/x\"; workers = \"wrong\";", "/run/x");
	check_runtime_dir("runtime_dir = \"run/x\";", NULL);
	check_runtime_dir("runtime_dir = 1;", NULL);
	check_runtime_dir("workers = 1;", NULL);
	check_runtime_dir("workers = ;", NULL);
}

/* Of what we show to clients, over all listeners; what only clients show does not count. */
static void test_first_expiry(void **state)
{
	struct config_validity one[] = { { .key = "client_ca", .expires = 100 },
					 { .key = "certificate", .expires = 300 } };
	struct config_validity two[] = { { .key = "certificate", .expires = 200 },
					 { .key = "certificate", .expires = 400 },
					 { .key = "crl", .expires = 50 } };
	struct config_listener l[] = {
		{ .tls = { .validity = one, .validity_count = 2 } },
		{ .tls = { .validity = two, .validity_count = 3 } },
	};
	struct config c = { .listeners = l, .listener_count = 2 };

	(void)state;
	assert_int_equal(config_first_expiry(&c), 200);
	c.listener_count = 1;
	assert_int_equal(config_first_expiry(&c), 300);
	c.listener_count = 0;
	assert_int_equal(config_first_expiry(&c), 0);
}

/* Those of a reload from old to new that need a restart, in the daemon that started with started. */
static void note_restarts(struct config *old, const struct config *started, struct config *new,
			  char *out)
{
	struct plan *p = plan_new(old, started, new);

	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].restart)
			strcat(strcat(out, p->items[i].values[0].key), " ");
	plan_free(p);
}

static void test_restart_keys(void **state)
{
	struct config *a = parse_good(LISTEN NO_ENDPOINTS), *b = parse_good(all_settings);
	char keys[256] = "";

	(void)state;
	note_restarts(b, a, b, keys);
	assert_string_equal(keys, "user runtime_dir bus_size bus_lag max_rooms ");
	*keys = '\0';
	note_restarts(a, b, b, keys);
	assert_string_equal(keys, "");
	config_unref(a);
	config_unref(b);
}

/* --- the admin interface --- */

static void test_admin_by_default(void **state)
{
	struct config *c = parse_good(LISTEN NO_ENDPOINTS);

	(void)state;
	assert_false(c->admin.enabled);
	assert_null(c->admin.socket);
	config_unref(c);
	c = parse_good("runtime_dir = \"/run/x\";" LISTEN NO_ENDPOINTS);
	assert_true(c->admin.enabled);
	assert_string_equal(c->admin.socket, "/run/x/admin.sock");
	assert_int_equal(c->admin.mode, 0660);
	assert_int_equal(c->admin.max_body, 1 << 20);
	/* nobody's, and not root's */
	assert_int_equal(c->admin.gid, CONFIG_NO_GID);
	assert_int_equal(c->admin.read_gid, CONFIG_NO_GID);
	config_unref(c);
}

static void test_admin(void **state)
{
	struct config *c =
		parse_good("admin = { unix = \"/x.sock\"; group = \"root\"; mode = \"600\"; };"
			   "runtime_dir = \"/run/x\";" LISTEN NO_ENDPOINTS);

	(void)state;
	assert_string_equal(c->admin.socket, "/x.sock");
	assert_int_equal(c->admin.gid, 0);
	assert_int_equal(c->admin.read_gid, CONFIG_NO_GID);
	assert_int_equal(c->admin.mode, 0600);
	config_unref(c);
	c = parse_good(
		"runtime_dir = \"/run/x\"; admin = { enabled = false; };" LISTEN NO_ENDPOINTS);
	assert_false(c->admin.enabled);
	assert_null(c->admin.socket);
	config_unref(c);
}

static void test_ref(void **state)
{
	struct config *c = parse_good(LISTEN NO_ENDPOINTS);

	(void)state;
	assert_ptr_equal(config_ref(c), c);
	config_unref(c);
	assert_string_equal(config_route_name(c, "/")->path, "/");
	config_unref(c);
	config_unref(NULL);
}

/* --- the tables --- */

/* A default is a value of its type and range, or there is none and that is meant. */
static void check_row(const char *scope, const struct config_key *k, void *arg)
{
	static const char *const none[] = { "user",       "runtime_dir",  "subprotocols",
					    "address",    "port",         "allowed_origins",
					    "unix",       "compression",  "tls",
					    "curves",     "ciphersuites", "client_ca",
					    "crl",        "systemd",      "trusted",
					    "group",      "health",       "admin",
					    "read_group", "tokens",       "listen",
					    "access",     "origins",      "networks",
					    "allow",      "deny",         "client_certificates",
					    "hosts",      "jwt",          "users",
					    NULL };
	/* names that others have as well, with a preset or without one */
	static const char *const none_of_jwt[] = { "keys",     "key",      "algorithms", "issuer",
						   "audience", "required", "publish",    "cookie",
						   "query",    NULL };
	const char *const *names = strcmp(scope, "jwt") == 0 ? none_of_jwt : none;
	union {
		int64_t number;
		int choice;
		char *string;
		struct config_text text;
		char group[1024];
	} value;
	struct config_key row = *k;
	bool may_be_none = k->required;

	memset(&value, 0, sizeof(value));
	row.offset = 0;
	for (size_t i = 0; names[i] != NULL; i++)
		may_be_none = may_be_none || strcmp(names[i], k->name) == 0;
	assert_true((k->preset != NULL) != may_be_none);
	assert_true(fill_preset(&row, &value));
	if (k->min != k->max && k->preset != NULL && k->type != CONFIG_TEXT &&
	    k->type != CONFIG_TEMPLATE && k->type != CONFIG_STRING)
		assert_true(value.number >= k->min && value.number <= k->max);
	fill_free((struct key_object){ (const struct config_key[]){ row, { 0 } }, &value });
	++*(size_t *)arg;
}

static void test_tables(void **state)
{
	size_t rows = 0;

	(void)state;
	config_each_key(test_behaviours, check_row, &rows);
	/*
	 * admin has 8, its listeners 3 with those of tls; the limits are 24, the 8 of compression, the 9
	 * of access and the 15 of its jwt; a listener's 12, 10 of tls, and 2; rooms have 14
	 */
	assert_int_equal(rows, 26 + 8 + 15 + 56 + 24 + 5 + 56 + 10 + 14);
}

/* --- anything at all --- */

/* Whatever the bytes, there is a snapshot or an error (parse_file checks it), and no crash. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(all_settings); len += 3) {
		struct config *c = parse_bytes(all_settings, len, NULL);

		/* the last bracket closes the last list */
		assert_true(len >= strlen(all_settings) - 2 || c == NULL);
		config_unref(c);
	}
}

static void test_damaged_anywhere(void **state)
{
	static const char damage[] = "\"(){}[]=;,@#/*\\\n\0\x80L.9";
	char text[sizeof(all_settings)];

	(void)state;
	for (size_t i = 0; i + 1 < sizeof(text); i++) {
		memcpy(text, all_settings, sizeof(text));
		text[i] = damage[i % (sizeof(damage) - 1)];
		config_unref(parse_bytes(text, sizeof(text) - 1, NULL));
	}
}

static int setup(void **state)
{
	struct rlimit limit = { DESCRIPTORS, DESCRIPTORS };
	char *here = strdup(__FILE__), *dir = alloc_format("%s/config", dirname(here));
	int rc = chdir(dir);

	(void)state;
	if (rc < 0)
		fprintf(stderr, "%s: %s\n", dir, strerror(errno));
	free(here);
	free(dir);
	unsetenv("RUNTIME_DIRECTORY");
	return rc < 0 ? -1 : setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_global),
		cmocka_unit_test(test_listeners),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_presets),
		cmocka_unit_test(test_workers_by_processors),
		cmocka_unit_test(test_lag_is_clamped),
		cmocka_unit_test(test_runtime_dir_of_service_manager),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_message_is_text_or_json),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_values_that_differ),
		cmocka_unit_test(test_runtime_dir),
		cmocka_unit_test(test_first_expiry),
		cmocka_unit_test(test_restart_keys),
		cmocka_unit_test(test_admin_by_default),
		cmocka_unit_test(test_admin),
		cmocka_unit_test(test_ref),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_damaged_anywhere),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
