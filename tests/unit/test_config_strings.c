// links: base proto config
/*
 * test_config_strings.c - lists that endpoints have from the top are there once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <malloc.h>

#include "config/alloc.h"
#include "config/files.h"
#include "config/strings.h"

enum { MANY = 250, LONG = 200 };

/* `key = ( "BEGIN000...END", ... );` of so many strings of some 200 bytes. */
static void write_list(FILE *f, const char *key, const char *begin, const char *end, int count)
{
	fprintf(f, "%s = ( ", key);
	for (int i = 0; i < count; i++)
		fprintf(f, "%s\"%s%0*d%s\"", i > 0 ? ", " : "", begin, LONG, i, end);
	fputs(" );\n", f);
}

static void write_networks(FILE *f, const char *key)
{
	fprintf(f, "%s = ( ", key);
	for (int i = 0; i < MANY; i++)
		fprintf(f, "%s\"10.0.%d.0/24\"", i > 0 ? ", " : "", i);
	fputs(" ); ", f);
}

/* Every list that an endpoint may have from the top, and so many endpoints. */
static struct config *with_endpoints(int count)
{
	char *text, *lines;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	struct config *c;

	fputs(LISTEN, f);
	write_list(f, "hosts", "a", ".test", MANY);
	fprintf(f, "subprotocols = ( \"%0*d\" ); access = {\n", LONG / 2, 1);
	write_list(f, "origins", "https://a", ".test", MANY);
	fputs("networks = { ", f);
	write_networks(f, "allow");
	write_networks(f, "deny");
	fputs("}; }; endpoints = (\n", f);
	for (int i = 0; i < count; i++)
		fprintf(f, "%s{ path = \"/%d\"; behaviour = \"plain\"; }", i > 0 ? ",\n" : "", i);
	fputs(" );\n", f);
	fclose(f);
	c = parse_bytes(text, len, &lines);
	assert_string_equal(lines, "");
	free(lines);
	assert_non_null(c);
	free(text);
	return c;
}

static size_t taken(void)
{
	const struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* Bytes that a snapshot with so many endpoints has. */
static size_t size_with(int count)
{
	const size_t before = taken();
	struct config *c = with_endpoints(count);
	const size_t size = taken() - before;

	config_unref(c);
	return size;
}

/* The lists have 150 KiB; an endpoint's own settings have some two. */
static void test_memory(void **state)
{
	size_t few, many;

	(void)state;
	size_with(1); /* what is made once in a process */
	few = size_with(10);
	many = size_with(110);
	assert_true(many - few < (size_t)100 * 8 * 1024);
}

static void test_the_same_list(void **state)
{
	struct config *c = parse_good(
		LISTEN "hosts = ( \"a.test\" ); allowed_origins = ( \"https://a.test\" );"
		       "access = { networks = { allow = ( \"10.0.0.0/8\" ); }; };"
		       "endpoints = ("
		       " { path = \"/a\"; behaviour = \"plain\"; },"
		       " { path = \"/b\"; behaviour = \"plain\"; hosts = ( \"b.test\" );"
		       "   access = { origins = ( \"https://b.test\" ); }; },"
		       " { path = \"/c\"; behaviour = \"plain\"; hosts = ( \"*\" );"
		       "   allowed_origins = ( \"*\" );"
		       "   access = { networks = { allow = ( \"*\" ); }; }; },"
		       " { path = \"/d\"; behaviour = \"plain\"; } );");
	const struct config_limits *top = &c->limits, *a = &c->endpoints[0].limits,
				   *b = &c->endpoints[1].limits, *any = &c->endpoints[2].limits,
				   *d = &c->endpoints[3].limits;

	(void)state;
	assert_ptr_equal(a->hosts, top->hosts);
	assert_ptr_equal(d->hosts, top->hosts);
	assert_ptr_equal(a->allowed_origins, top->allowed_origins);
	assert_ptr_equal(a->access.networks.allow, top->access.networks.allow);
	/* who has one of his own, or none, takes it from nobody */
	assert_string_equal(b->hosts[0], "b.test");
	assert_null(b->allowed_origins);
	assert_string_equal(b->access.origins[0], "https://b.test");
	assert_null(any->hosts);
	assert_null(any->allowed_origins);
	assert_null(any->access.networks.allow);
	assert_string_equal(top->hosts[0], "a.test");
	assert_string_equal(top->allowed_origins[0], "https://a.test");
	assert_string_equal(d->access.networks.allow[0], "10.0.0.0/8");
	config_unref(c);
}

static void test_holders(void **state)
{
	char **list = strings_new(2);

	(void)state;
	list[0] = alloc_string("a");
	assert_null(list[2]);
	assert_ptr_equal(strings_share(list), list);
	strings_drop(list);
	assert_string_equal(list[0], "a");
	strings_drop(list);
	assert_null(strings_share(NULL));
	strings_drop(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_the_same_list),
		cmocka_unit_test(test_holders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
