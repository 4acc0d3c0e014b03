/*
 * The files of users: what is a line of it, which hashes are taken, who stands in for whom.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <crypt.h>

#include "base/secret.h"
#include "config/crypted.h"
#include "config/tokens.h"
#include "config/users.h"

#define DIGITS_43 "0123456789012345678901234567890123456789012"
#define DIGITS_86 DIGITS_43 DIGITS_43
#define DIGITS_53 "012345678901234567890.1234567890123456789012345678901"
#define SALT "$saltsaltsaltsalt$"
#define YESCRYPT "$y$j9T$saltsaltsaltsalt$" DIGITS_43
#define SHA512 "$6$salt$" DIGITS_86
#define BCRYPT "$2b$04$" DIGITS_53
#define NAME_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct config_users all;

struct told {
	unsigned line;
	char what[192];
	int count;
};

static void note(unsigned line, const char *what, void *arg)
{
	struct told *t = arg;

	if (t->count++ > 0)
		return;
	t->line = line;
	snprintf(t->what, sizeof(t->what), "%s", what);
}

static size_t parse(const char *text, struct told *t)
{
	*t = (struct told){ 0 };
	users_free(&all);
	users_parse(text, strlen(text), &all, note, t);
	return all.count;
}

static void test_lines(void **state)
{
	struct told t;

	(void)state;
	assert_int_equal(parse("# a comment\n\n  ben:" YESCRYPT "\nanna maria:" SHA512
			       " \r\nJos\xc3\xa9:" BCRYPT,
			       &t),
			 3);
	assert_int_equal(t.count, 0);
	assert_string_equal(users_find(&all, "anna maria")->hash, SHA512);
	assert_string_equal(users_find(&all, "ben")->hash, YESCRYPT);
	assert_string_equal(users_find(&all, "Jos\xc3\xa9")->hash, BCRYPT);
	assert_null(users_find(&all, "be"));
	assert_null(users_find(&all, "benn"));
	assert_null(users_find(&all, ""));
	assert_null(users_find(&all, NAME_64 NAME_64 "x"));
	assert_int_equal(parse(NAME_64 NAME_64 ":" BCRYPT "\n", &t), 1);
	assert_non_null(users_find(&all, NAME_64 NAME_64));
	assert_int_equal(parse("", &t), 0);
	assert_null(users_find(&all, "ben"));
	assert_null(users_stand_in(&all, "ben"));
}

static void test_wrong_lines(void **state)
{
	static const struct {
		const char *line, *wrong;
	} rows[] = {
		{ "anna", "the line has to be NAME:HASH" },
		{ "anna " BCRYPT, "the line has to be NAME:HASH" },
		{ ":" BCRYPT, "the line has a NAME" },
		{ "anna :" BCRYPT, "the line has a NAME" },
		{ "an\x07na:" BCRYPT, "the line has a NAME" },
		{ "an\xffna:" BCRYPT, "the line has a NAME" },
		{ "an\xc2\x85na:" BCRYPT, "the line has a NAME" },
		{ NAME_64 NAME_64 "x:" BCRYPT, "the line has a NAME" },
		{ "anna:", "the line has a HASH that is none of" },
		{ "anna:secret", "the line has a HASH that is none of" },
		{ "anna: " BCRYPT, "the line has a HASH that is none of" },
		{ "anna:" BCRYPT ":1000", "the line has a HASH" },
		{ "an:na:" BCRYPT, "the line has a HASH that is none of" },
		{ "ben:" SHA512, "the line has the NAME of a line before it" },
	};
	char text[1024];
	struct told t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(text, sizeof(text), "\nben:%s\n%s\nzoe:%s\n", BCRYPT, rows[i].line,
			 YESCRYPT);
		assert_int_equal(parse(text, &t), 2);
		assert_int_equal(t.count, 1);
		assert_int_equal(t.line, 3);
		assert_memory_equal(t.what, rows[i].wrong, strlen(rows[i].wrong));
		assert_null(strstr(t.what, "secret"));
	}
}

static void test_too_many(void **state)
{
	enum { LINE = 80 };
	char *text = malloc((CONFIG_ACCESS_USERS_MAX + 1) * LINE);
	size_t len = 0;
	struct told t;

	(void)state;
	for (int i = 0; i < CONFIG_ACCESS_USERS_MAX; i++)
		len += (size_t)snprintf(text + len, LINE, "u%d:%s\n", i, BCRYPT);
	assert_int_equal(parse(text, &t), CONFIG_ACCESS_USERS_MAX);
	assert_int_equal(t.count, 0);
	snprintf(text + len, LINE, "one:%s\n", BCRYPT);
	assert_int_equal(parse(text, &t), CONFIG_ACCESS_USERS_MAX);
	assert_int_equal(t.line, CONFIG_ACCESS_USERS_MAX + 1);
	assert_non_null(strstr(t.what, "is one more than the 10000"));
	free(text);
}

/* --- hashes --- */

static void test_hashes(void **state)
{
	static const char *const good[] = {
		YESCRYPT,
		SHA512,
		BCRYPT,
		"$5$rounds=1000$s$" DIGITS_43,
		"$6$rounds=1000000" SALT DIGITS_86,
		"$2a$14$" DIGITS_53,
		"$2y$10$" DIGITS_53,
		"$y$jBT$s$" DIGITS_43,
		"$y$j75$" DIGITS_86 "$" DIGITS_43,
	};
	static const struct {
		const char *hash, *wrong;
	} bad[] = {
		{ "", "none of" },
		{ "*", "none of" },
		{ "!" SHA512, "none of" },
		{ "$1$saltsalt$0123456789012345678901", "none of" },
		{ "$apr1$saltsalt$0123456789012345678901", "none of" },
		{ "0123456789012", "none of" },
		{ "$7$C6..../....SodiumChloride$" DIGITS_43, "none of" },
		{ "$gy$j9T$s$" DIGITS_43, "none of" },
		{ "$2x$10$" DIGITS_53, "none of" },
		{ "$6$", "not whole" },
		{ "$6$$" DIGITS_86, "not whole" },
		{ "$6$saltsaltsaltsalts$" DIGITS_86, "not whole" },
		{ "$6$salt$" DIGITS_43, "not whole" },
		{ "$6$salt$" DIGITS_86 "0", "not whole" },
		{ "$6$sa!t$" DIGITS_86, "not whole" },
		{ "$5$salt$" DIGITS_86, "not whole" },
		{ "$6$rounds=999" SALT DIGITS_86, "\"rounds=\"" },
		{ "$6$rounds=" SALT DIGITS_86, "\"rounds=\"" },
		{ "$6$rounds=05000" SALT DIGITS_86, "\"rounds=\"" },
		{ "$6$rounds=5000x" SALT DIGITS_86, "\"rounds=\"" },
		{ "$6$rounds=-5000" SALT DIGITS_86, "\"rounds=\"" },
		{ "$6$rounds=1000001" SALT DIGITS_86, "1000000 rounds" },
		{ "$5$rounds=999999999" SALT DIGITS_43, "1000000 rounds" },
		{ "$5$rounds=99999999999999999999999999" SALT DIGITS_43, "1000000 rounds" },
		{ "$2b$03$" DIGITS_53, "bcrypt that is not whole" },
		{ "$2b$4$" DIGITS_53, "bcrypt that is not whole" },
		{ "$2b$10$" DIGITS_53 "0", "bcrypt that is not whole" },
		{ "$2b$10$" DIGITS_43, "bcrypt that is not whole" },
		{ "$2b$10$0123456789012345678901234567890123456789012345678901x", "bcrypt" },
		{ "$2b$15$" DIGITS_53, "cost of more than 14" },
		{ "$2b$20$" DIGITS_53, "cost of more than 14" },
		{ "$y$jBT$s$" DIGITS_43 "x", "not whole" },
		{ "$y$jCT$s$" DIGITS_43, "64 MiB" },
		{ "$y$jzT$s$" DIGITS_43, "64 MiB" },
		{ "$y$j9z$s$" DIGITS_43, "64 MiB" },
		{ "$y$jA./.$s$" DIGITS_43, "not whole" },
		{ "$y$j9T..$s$" DIGITS_43, "not whole" },
		{ "$y$j9$s$" DIGITS_43, "not whole" },
		{ "$y$j$s$" DIGITS_43, "not whole" },
		{ "$y$.9T$s$" DIGITS_43, "do not use" },
		{ "$y$j9T$$" DIGITS_43, "not whole" },
		{ "$y$j9T$s$" DIGITS_86, "not whole" },
		{ "$y$j9T$" DIGITS_86 "0$" DIGITS_43, "not whole" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_null(crypted_check(good[i], strlen(good[i])));
		assert_true(strlen(good[i]) <= CRYPTED_MAX);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *wrong = crypted_check(bad[i].hash, strlen(bad[i].hash));

		assert_non_null(wrong);
		assert_non_null(strstr(wrong, bad[i].wrong));
	}
}

/* What is cut anywhere, or has a NUL, is none, and is not read beyond its end. */
static void test_cut_hashes(void **state)
{
	static const char *const whole[] = { YESCRYPT, "$6$rounds=5000" SALT DIGITS_86, BCRYPT };

	(void)state;
	for (size_t i = 0; i < sizeof(whole) / sizeof(*whole); i++)
		for (size_t n = 0; n < strlen(whole[i]); n++) {
			char *p = malloc(n + 1);

			memcpy(p, whole[i], n);
			p = realloc(p, n > 0 ? n : 1);
			assert_non_null(crypted_check(p, n));
			free(p);
			p = malloc(strlen(whole[i]));
			memcpy(p, whole[i], strlen(whole[i]));
			p[n] = '\0';
			assert_non_null(crypted_check(p, strlen(whole[i])));
			free(p);
		}
}

/* What this machine's library makes is taken, and costs what was asked for. */
static void test_made_hashes(void **state)
{
	static const struct {
		const char *prefix;
		unsigned long count;
		const char *cost;
	} rows[] = {
		{ "$y$", 1, "$y$j75" },  { "$y$", 5, "$y$j9T" },
		{ "$6$", 0, "$6$" },     { "$6$", 1000, "$6$rounds=1000" },
		{ "$5$", 0, "$5$" },     { "$2b$", 4, "$2b$04" },
		{ "$2y$", 5, "$2y$05" }, { "$2a$", 4, "$2a$04" },
	};
	static struct crypt_data data;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (int k = 0; k < 8; k++) {
			char setting[CRYPT_GENSALT_OUTPUT_SIZE];
			const char *hash;

			assert_non_null(crypt_gensalt_rn(rows[i].prefix, rows[i].count, NULL, 0,
							 setting, sizeof(setting)));
			hash = crypt_rn("secret", setting, &data, sizeof(data));
			assert_non_null(hash);
			assert_null(crypted_check(hash, strlen(hash)));
			assert_int_equal(crypted_cost(hash), strlen(rows[i].cost));
			assert_memory_equal(hash, rows[i].cost, strlen(rows[i].cost));
		}
}

/* --- who stands in --- */

#define SLOW "$2b$12$" DIGITS_53

static void test_stand_ins(void **state)
{
	struct told t;
	int slow = 0;
	bool was_slow[64];
	char name[16];

	(void)state;
	/* of one cost whoever has it, and of several the same one each time */
	parse("a:" BCRYPT "\nb:" BCRYPT "\n", &t);
	assert_int_equal(all.cost_count, 1);
	assert_string_equal(users_stand_in(&all, "x")->hash, BCRYPT);
	parse("a:" BCRYPT "\nb:" SLOW "\nc:" BCRYPT "\n", &t);
	assert_int_equal(all.cost_count, 2);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		was_slow[i] = strcmp(users_stand_in(&all, name)->hash, SLOW) == 0;
		slow += was_slow[i];
	}
	assert_true(slow > 0 && slow < 64);
	/* whoever else comes or goes, as long as the costs stay */
	parse("z:" SLOW "\nc:" BCRYPT "\ny:" BCRYPT "\n", &t);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		assert_int_equal(strcmp(users_stand_in(&all, name)->hash, SLOW) == 0, was_slow[i]);
	}
}

/* Of costs without end some count for nothing. */
static void test_many_costs(void **state)
{
	char text[100 * 140] = "";
	size_t len = 0;
	struct told t;

	(void)state;
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, 140, "u%d:$6$rounds=%d$s$%s\n", i, 1000 + i,
					DIGITS_86);
	assert_int_equal(parse(text, &t), 100);
	assert_int_equal(all.cost_count, CONFIG_COSTS_MAX);
	assert_non_null(users_stand_in(&all, "x"));
}

/* --- what is told of changes --- */

static void test_changes(void **state)
{
	struct config_users old;
	struct told t;

	(void)state;
	parse("a:" BCRYPT "\nb:" BCRYPT "\n", &t);
	old = all;
	all = (struct config_users){ .count = 0 };
	parse("b:" BCRYPT "\na:" BCRYPT "\n", &t);
	assert_true(tokens_same(&old.lines, &all.lines));
	parse("b:" BCRYPT "\na:" SLOW "\n", &t);
	assert_false(tokens_same(&old.lines, &all.lines));
	assert_null(tokens_find_hash(&old.lines, users_find(&all, "a")->line));
	assert_string_equal(tokens_find_hash(&old.lines, users_find(&all, "b")->line)->name, "b");
	users_free(&old);
}

static int begin(void **state)
{
	(void)state;
	return secret_draw();
}

static int end(void **state)
{
	(void)state;
	users_free(&all);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),      cmocka_unit_test(test_wrong_lines),
		cmocka_unit_test(test_too_many),   cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_cut_hashes), cmocka_unit_test(test_made_hashes),
		cmocka_unit_test(test_stand_ins),  cmocka_unit_test(test_many_costs),
		cmocka_unit_test(test_changes),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
