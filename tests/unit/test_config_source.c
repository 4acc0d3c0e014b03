// links: base proto config
/*
 * test_config_source.c - reading files, the map of lines, the way to a worker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pwd.h>
#include <sys/stat.h>

#include "config/files.h"
#include "config/source.h"

/* --- a directory of its own for each test --- */

static int setup(void **state)
{
	static char dir[] = "/tmp/test_config_XXXXXX";

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	*state = mkdtemp(dir);
	return *state != NULL ? chdir(dir) : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	return chdir("/") < 0 ? -1 : system(command);
}

static void put_bytes(const char *name, const void *bytes, size_t len)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void put(const char *name, const char *text)
{
	put_bytes(name, text, strlen(text));
}

static struct config_source *load_good(const char *name)
{
	struct config_errors *e = config_errors_new();
	struct config_source *s = config_load(name, e);

	assert_non_null(s);
	assert_int_equal(config_errors_count(e), 0);
	config_errors_free(e);
	return s;
}

/* Loads what cannot be loaded. */
static void check_refused(const char *name, const char *expected)
{
	struct config_errors *e = config_errors_new();
	struct lines l = { strdup(""), 0 };

	assert_null(config_load(name, e));
	config_errors_each(e, lines_add, &l);
	assert_string_equal(l.text, expected);
	free(l.text);
	config_errors_free(e);
}

static void check_place(const struct config_source *s, unsigned line, const char *file,
			unsigned expected)
{
	struct config_place at = source_place(s, line);

	assert_string_equal(at.file, file);
	assert_int_equal(at.line, expected);
}

/* --- files --- */

static void test_one_file(void **state)
{
	struct config_source *s;

	(void)state;
	put("a", "one\r\ntwo");
	s = load_good("a");
	assert_string_equal(s->text, "one\r\ntwo\n");
	assert_int_equal(s->len, 9);
	check_place(s, 0, "a", 1);
	check_place(s, 1, "a", 1);
	check_place(s, 2, "a", 2);
	check_place(s, 3, "a", 3);
	config_source_free(s);
	put("a", "");
	s = load_good("a");
	check_place(s, 1, "a", 1);
	config_source_free(s);
	config_source_free(NULL);
}

static void test_what_is_no_file(void **state)
{
	(void)state;
	check_refused("absent", "absent: cannot read: No such file or directory\n");
	check_refused("/", "/: cannot read: it is a directory\n");
	check_refused("/dev/zero", "/dev/zero: cannot read: it is not a regular file\n");
	assert_int_equal(mkfifo("fifo", 0600), 0);
	check_refused("fifo", "fifo: cannot read: it is not a regular file\n");
	put_bytes("nul", "a\nb\0c\n", 6);
	check_refused("nul", "nul:2: a NUL byte: this is not a text file\n");
}

static void test_unreadable(void **state)
{
	bool root = geteuid() == 0;
	const struct passwd *pw;
	char expected[256];

	(void)state;
	put("secret", "");
	assert_int_equal(chmod("secret", 0), 0);
	assert_int_equal(chmod(".", 0755), 0);
	/* root reads everything, so be somebody else for a moment */
	if (root)
		assert_int_equal(seteuid(65534), 0);
	pw = getpwuid(geteuid());
	assert_non_null(pw);
	snprintf(expected, sizeof(expected),
		 "secret: cannot read: Permission denied for the user \"%s\"\n", pw->pw_name);
	check_refused("secret", expected);
	if (root)
		assert_int_equal(seteuid(0), 0);
}

static void test_size(void **state)
{
	char *text = malloc(SOURCE_BYTES_MAX + 1);
	struct config_source *s;
	const char *why = NULL;

	(void)state;
	memset(text, '\n', SOURCE_BYTES_MAX + 1);
	put_bytes("most", text, SOURCE_BYTES_MAX);
	put_bytes("more", text, SOURCE_BYTES_MAX + 1);
	s = load_good("most");
	/* a list of revoked certificates may be long, and is not the configuration */
	assert_null(source_attach(s, "more", &why));
	assert_string_equal(why, "it is larger than 4 MiB");
	config_source_free(s);
	check_refused("more", "more: cannot read: the configuration is larger than 4 MiB\n");
	/* in all, not each */
	put("both", "@include \"most\"\n");
	check_refused("both", "both:1: cannot include \"most\": the configuration is larger than "
			      "4 MiB\n");
	free(text);
}

/* --- includes --- */

static void test_include_map(void **state)
{
	struct config_source *s;

	(void)state;
	assert_int_equal(mkdir("d", 0700), 0);
	put("main",
	    "m1\n\t @include  \"d/one\"\t# why\nm3\n@include \"d/empty\"\nm5\n@include \"d/one\"");
	put("d/one", "o1\n@include \"two\"\no3");
	put("d/two", "t1\nt2\n");
	put("d/empty", "");
	s = load_good("main");
	assert_string_equal(s->text, "m1\no1\nt1\nt2\no3\nm3\nm5\no1\nt1\nt2\no3\n");
	check_place(s, 1, "main", 1);
	check_place(s, 2, "d/one", 1);
	check_place(s, 3, "d/two", 1);
	check_place(s, 4, "d/two", 2);
	check_place(s, 5, "d/one", 3);
	check_place(s, 6, "main", 3);
	check_place(s, 7, "main", 5);
	check_place(s, 8, "d/one", 1);
	check_place(s, 11, "d/one", 3);
	config_source_free(s);
}

static void test_include_in_comment(void **state)
{
	static const char text[] = "/* a\n@include \"x\"\n*/ # /*\n// @include \"x\"\n\"/*\"\n";
	struct config_source *s;

	(void)state;
	put("main", text);
	s = load_good("main");
	assert_string_equal(s->text, text);
	config_source_free(s);
}

static void test_include_patterns(void **state)
{
	struct config_source *s;

	(void)state;
	/* a directory whose name would be a pattern is taken as it is */
	assert_int_equal(mkdir("d[x]*", 0700), 0);
	put("d[x]*/main",
	    "@include \"*.c\"\n@include \"none*\"\n@include \"none/*\"\n@include \"b.c\"\n");
	put("d[x]*/b.c", "b\n");
	put("d[x]*/a.c", "a\n");
	put("d[x]*/c", "c\n");
	s = load_good("d[x]*/main");
	assert_string_equal(s->text, "a\nb\nb\n");
	check_place(s, 1, "d[x]*/a.c", 1);
	config_source_free(s);
}

static void test_include_absolute(void **state)
{
	char text[128];
	struct config_source *s;

	assert_int_equal(mkdir("d", 0700), 0);
	snprintf(text, sizeof(text), "@include \"%s/other\"", (char *)*state);
	put("d/main", text);
	put("other", "x\n");
	s = load_good("d/main");
	assert_string_equal(s->text, "x\n");
	config_source_free(s);
}

static void test_nesting(void **state)
{
	char name[16], text[32];

	(void)state;
	for (int i = 1; i <= 11; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		snprintf(text, sizeof(text), i < 11 ? "@include \"f%d\"\n" : "end\n", i + 1);
		put(name, text);
	}
	check_refused("f1", "f10:1: cannot include \"f11\": more than 10 files are nested\n");
	config_source_free(load_good("f2"));
}

static void test_cycles(void **state)
{
	(void)state;
	put("self", "@include \"self\"\n");
	check_refused("self", "self:1: cannot include \"self\": it would include itself\n");
	put("a", "\n@include \"b\"\n");
	put("b", "\n\n@include \"./link\"\n");
	assert_int_equal(symlink("a", "link"), 0);
	check_refused("a", "b:3: cannot include \"./link\": it would include itself\n");
}

/* --- to another process --- */

static void check_same(const struct config_source *a, const struct config_source *b)
{
	assert_string_equal(a->text, b->text);
	assert_int_equal(a->len, b->len);
	for (unsigned line = 0; line <= a->lines + 1; line++) {
		struct config_place at = source_place(a, line);

		check_place(b, line, at.file, at.line);
	}
}

static struct config_source *with_includes(void)
{
	put("main", LISTEN "\n@include \"rest\"\nworkers = 2;\n@include \"rest2\"\n");
	put("rest", "max_rooms = 5;\n" NO_ENDPOINTS "\n");
	put("rest2", "log_level = \"debug\";\n");
	return load_good("main");
}

static void test_pack(void **state)
{
	struct config_source *s = with_includes(), *copy;
	struct config_errors *e = config_errors_new();
	struct config *c;
	size_t len;
	void *bytes = config_source_pack(s, &len);

	(void)state;
	copy = config_source_unpack(bytes, len);
	assert_non_null(copy);
	check_same(s, copy);
	config_source_free(s);
	free(bytes);
	c = config_parse(copy, test_behaviours, 1, e);
	assert_non_null(c);
	/* the snapshot outlives what it was made of */
	config_source_free(copy);
	config_errors_free(e);
	assert_string_equal(c->endpoints[0].file, "rest");
	assert_int_equal(c->endpoints[0].line, 2);
	assert_string_equal(c->listeners[0].file, "main");
	config_unref(c);
}

/* What is not there by then is not looked for on the disk, where it may be another by now. */
static void test_attached(void **state)
{
	struct config_source *s, *copy;
	const struct source_attachment *a;
	const char *why = NULL;
	size_t len;
	void *bytes;

	(void)state;
	put("main", NO_ENDPOINTS "\n");
	put("one", "first");
	put("two", "second");
	s = load_good("main");
	assert_non_null(source_attach(s, "two", &why));
	a = source_attach(s, "one", &why);
	assert_int_equal(a->len, 5);
	assert_memory_equal(a->bytes, "first", 5);
	bytes = config_source_pack(s, &len);
	copy = config_source_unpack(bytes, len);
	a = source_attach(copy, "two", &why);
	assert_int_equal(a->len, 6);
	assert_memory_equal(a->bytes, "second", 6);
	assert_null(source_attach(copy, "main", &why));
	assert_string_equal(why, "it did not come with the configuration");
	free(bytes);
	config_source_free(s);
	config_source_free(copy);
}

/* Bytes that were damaged on the way are refused or harmless, never followed. */
static void test_unpack_damaged(void **state)
{
	struct config_source *s = with_includes();
	size_t len;
	unsigned char *bytes = config_source_pack(s, &len), *damaged = malloc(len);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		/* of its own, so that reading beyond it is seen */
		unsigned char *part = malloc(cut + 1);

		memcpy(part, bytes, cut);
		assert_null(config_source_unpack(part, cut));
		free(part);
	}
	for (size_t i = 0; i < len * 4; i++) {
		struct config_source *u;

		memcpy(damaged, bytes, len);
		damaged[i / 4] ^= (unsigned char)(1u << (i % 4 * 2));
		u = config_source_unpack(damaged, len);
		for (unsigned line = 0; u != NULL && line < 10; line++)
			assert_non_null(source_place(u, line).file);
		config_source_free(u);
	}
	free(damaged);
	free(bytes);
	config_source_free(s);
}

static void test_unpack_foreign(void **state)
{
	unsigned char zero[64] = { 0 };

	(void)state;
	assert_null(config_source_unpack(zero, sizeof(zero)));
	assert_null(config_source_unpack("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unreadable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_size, setup, teardown),
		cmocka_unit_test_setup_teardown(test_include_map, setup, teardown),
		cmocka_unit_test_setup_teardown(test_include_in_comment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_include_patterns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_include_absolute, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nesting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cycles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pack, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attached, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unpack_damaged, setup, teardown),
		cmocka_unit_test(test_unpack_foreign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
