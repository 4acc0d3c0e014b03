// links: base proto config
/*
 * test_config_effective.c - each setting that is in force, with its value and where it was set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <sys/stat.h>

#include "config/alloc.h"
#include "config/effective.h"
#include "config/files.h"
#include "person.h"

/* --- a folder with a certificate --- */

static char dir[] = "/tmp/test_config_XXXXXX";

static void write_text(const char *name, const char *text)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	struct person p = person_make((struct wish){ .name = "a" });
	FILE *x, *key;

	(void)state;
	if (!mkdtemp(dir) || chdir(dir) < 0)
		return -1;
	x = fopen("a.pem", "w");
	key = fopen("a.key", "w");
	assert_int_equal(PEM_write_X509(x, p.x), 1);
	assert_int_equal(PEM_write_PrivateKey(key, p.key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(x);
	fclose(key);
	person_end(&p);
	return chmod("a.key", 0600);
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return chdir("/") < 0 ? -1 : system(command);
}

static struct config *parse_named(const char *name, const char *text)
{
	struct config *c;

	write_text(name, text);
	c = parse_file(name, NULL);
	assert_non_null(c);
	return c;
}

/* --- every row there is --- */

#define LISTENERS                                                                                  \
	"listen = ( { address = \"127.0.0.1\"; port = 1; tls = { certificates = (\n"               \
	"  { certificate = \"a.pem\"; key = \"a.key\"; } ); }; },\n"                               \
	"  { address = \"127.0.0.1\"; port = 2; } );\n"

static const char of_all_kinds[] = LISTENERS
	"admin = { tokens = \"tokens\"; listen = ( { address = \"::1\"; port = 3; tls = {\n"
	"  certificates = ( { certificate = \"a.pem\"; key = \"a.key\"; } ); }; } ); };\n"
	"endpoints = ( { path = \"/a\"; behaviour = \"echo\"; },\n"
	"  { path = \"/b\"; behaviour = \"room\"; },\n"
	"  { path = \"/c\"; behaviour = \"oneshot\"; message = \"x\"; },\n"
	"  { path = \"/d\"; behaviour = \"notify\"; message = \"x\"; },\n"
	"  { path = \"/e\"; behaviour = \"sink\"; },\n"
	"  { path = \"/f\"; behaviour = \"plain\"; } );\n";

struct told {
	const struct config_key *rows[1024];
	size_t count;
};

static bool note_row(const struct effective *e, void *arg)
{
	struct told *t = arg;
	json_t *written, *value = effective_value(e, &written);

	assert_int_equal(e->number, t->count);
	assert_true(strlen(e->key) >= strlen(e->row->name));
	assert_non_null(value);
	json_decref(value);
	json_decref(written);
	t->rows[t->count++] = e->row;
	return true;
}

/* A group is told by what is in it. Whatever needs a restart is at the top: so it is compared. */
static void find_row(const char *scope, const struct config_key *k, void *arg)
{
	const struct told *t = arg;
	bool found = k->group != NULL;

	for (size_t i = 0; i < t->count && !found; i++)
		found = t->rows[i] == k;
	if (!found)
		fail_msg("%s of \"%s\" is not told", k->name, scope);
	assert_true(!k->restart || *scope == '\0');
}

static void test_every_row(void **state)
{
	struct config *c;
	struct told t = { .count = 0 };

	(void)state;
	write_text("tokens", "# none yet\n");
	c = parse_named("all.conf", of_all_kinds);
	assert_true(effective_each(c, c, 0, note_row, &t));
	config_each_key(test_behaviours, find_row, &t);
	config_unref(c);
}

/* --- what is said of each --- */

static const char started[] = "bus_size = \"32M\";\n"
			      "max_rooms = 5; runtime_dir = \"/run/x\";\n"
			      "listen = ( );\n"
			      "endpoints = ( );\n";

static const char now[] = "bus_size = \"16M\"; ping_interval = \"1m\";\n"
			  "compression = { level = 4;\n"
			  "  threshold = \"1K\"; };\n"
			  "max_connections_per_address = 9;\n"
			  "workers = 3;\n"
			  "admin = { unix = \"/run/y\"; };\n" LISTENERS "endpoints = (\n"
			  "  { path = \"/z\"; behaviour = \"echo\"; prefix = \"x://u:p@h\";\n"
			  "    compression = {\n"
			  "      level = 5; }; },\n"
			  "@include \"more.conf\"\n"
			  ");\n";

static const char more[] = "\n{ path = \"/a\"; behaviour = \"sink\"; ping_interval = \"2m\"; }\n";

static const struct row {
	const char *key, *value, *written, *file;
	int line; /* 0: the default */
	bool restart;
} rows[] = {
	{ "workers", "3", NULL, "now.conf", 5, false },
	{ "user", "null", NULL, NULL, 0, true },
	{ "runtime_dir", "\"/run/x\"", NULL, "started.conf", 2, true },
	{ "bus_size", "\"32M\"", NULL, "started.conf", 1, true },
	{ "max_rooms", "5", NULL, "started.conf", 2, true },
	{ "bus_lag", "\"1M\"", NULL, NULL, 0, true },
	{ "log_level", "\"info\"", NULL, NULL, 0, false },
	{ "ping_interval", "\"1m\"", NULL, "now.conf", 1, false },
	{ "max_connections_per_address", "9", NULL, "now.conf", 4, false },
	{ "compression.level", "4", NULL, "now.conf", 2, false },
	{ "compression.threshold", "\"1K\"", NULL, "now.conf", 3, false },
	{ "compression.memory_level", "8", NULL, NULL, 0, false },
	{ "admin.unix", "\"/run/y\"", NULL, "now.conf", 6, false },
	{ "admin.group", "null", NULL, NULL, 0, false },
	{ "listen[0].port", "1", NULL, "now.conf", 7, false },
	{ "listen[0].tls.certificates[0].key", "\"a.key\"", NULL, "now.conf", 8, false },
	{ "listen[0].tls.verify", "\"none\"", NULL, NULL, 0, false },
	{ "listen[1].port", "2", NULL, "now.conf", 9, false },
	{ "listen[1].tls", "null", NULL, NULL, 0, false },
	/* in the order of the text, whatever they are sorted by */
	{ "endpoints[0].path", "\"/z\"", NULL, "now.conf", 11, false },
	{ "endpoints[0].ping_interval", "\"1m\"", NULL, "now.conf", 1, false },
	/* not from the one at the top */
	{ "endpoints[0].max_connections_per_address", "0", NULL, NULL, 0, false },
	{ "endpoints[0].compression.level", "5", NULL, "now.conf", 13, false },
	{ "endpoints[0].compression.threshold", "\"1K\"", NULL, "now.conf", 3, false },
	{ "endpoints[0].compression.memory_level", "8", NULL, NULL, 0, false },
	{ "endpoints[0].prefix", "\"x://u:***@h\"", NULL, "now.conf", 11, false },
	{ "endpoints[1].path", "\"/a\"", NULL, "more.conf", 2, false },
	{ "endpoints[1].ping_interval", "\"2m\"", NULL, "more.conf", 2, false },
	{ "endpoints[1].compression.level", "4", NULL, "now.conf", 2, false },
	{ "endpoints[1].log", "true", NULL, NULL, 0, false },
};

enum { ROWS = sizeof(rows) / sizeof(*rows) };

static void check_row(const struct row *r, const struct effective *e)
{
	json_t *written, *value = effective_value(e, &written);
	char *text = json_dumps(value, JSON_ENCODE_ANY);

	assert_string_equal(text, r->value);
	assert_null(written);
	assert_int_equal(e->line, r->line);
	assert_int_equal(e->file != NULL, r->file != NULL);
	if (r->file != NULL)
		assert_string_equal(e->file, r->file);
	assert_int_equal(e->reload, !r->restart);
	free(text);
	json_decref(value);
}

static bool compare(const struct effective *e, void *arg)
{
	size_t *found = arg;

	for (size_t i = 0; i < ROWS; i++)
		if (strcmp(rows[i].key, e->key) == 0) {
			check_row(&rows[i], e);
			++*found;
		}
	return true;
}

static void test_what_is_said(void **state)
{
	struct config *before, *c;
	size_t found = 0;

	(void)state;
	write_text("more.conf", more);
	before = parse_named("started.conf", started);
	c = parse_named("now.conf", now);
	assert_true(effective_each(c, before, 0, compare, &found));
	assert_int_equal(found, ROWS);
	config_unref(c);
	config_unref(before);
}

/* --- what is written for something else --- */

static bool find_workers(const struct effective *e, void *arg)
{
	json_t *written, *value;

	if (strcmp(e->key, "workers") != 0)
		return true;
	value = effective_value(e, &written);
	assert_int_equal(json_integer_value(value), *(const int64_t *)arg);
	assert_int_equal(json_integer_value(written), 0);
	assert_true(json_is_integer(written));
	json_decref(value);
	json_decref(written);
	return false;
}

static void test_written_otherwise(void **state)
{
	struct config *c = parse_good(LISTEN NO_ENDPOINTS);

	(void)state;
	assert_true(c->workers > 0);
	assert_false(effective_each(c, c, 0, find_workers, &c->workers));
	config_unref(c);
}

/* --- lists, from one on --- */

static bool is_listen(const struct effective *e, void *arg)
{
	json_t *written, *value;
	int *found = arg;

	if (strcmp(e->key, "listen") != 0)
		return true;
	value = effective_value(e, &written);
	assert_true(json_is_array(value));
	assert_int_equal(json_array_size(value), 0);
	json_decref(value);
	++*found;
	return true;
}

static void test_an_empty_list(void **state)
{
	struct config *c = parse_named("started.conf", started);
	int found = 0;

	(void)state;
	effective_each(c, c, 0, is_listen, &found);
	assert_int_equal(found, 1);
	config_unref(c);
}

struct numbers {
	size_t first, count;
};

static bool count_three(const struct effective *e, void *arg)
{
	struct numbers *n = arg;

	if (n->count++ == 0)
		n->first = e->number;
	return n->count < 3;
}

static void test_from_a_number_on(void **state)
{
	struct config *c = parse_named("all.conf", of_all_kinds);
	struct numbers n = { 0, 0 };

	(void)state;
	assert_false(effective_each(c, c, 50, count_three, &n));
	assert_int_equal(n.first, 50);
	assert_int_equal(n.count, 3);
	n = (struct numbers){ 0, 0 };
	assert_true(effective_each(c, c, 100000, count_three, &n));
	assert_int_equal(n.count, 0);
	config_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),        cmocka_unit_test(test_what_is_said),
		cmocka_unit_test(test_an_empty_list),    cmocka_unit_test(test_written_otherwise),
		cmocka_unit_test(test_from_a_number_on),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
