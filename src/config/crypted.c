/*
 * crypted.c - see crypted.h.
 *
 * Whoever writes a file chooses what each attempt costs, and whoever connects how many there are. So the
 * parameters are bounded, and a hash that nobody could be let in by, as crypt makes none such, is an
 * error here rather than a riddle later.
 */
#include "config/crypted.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
	ROUNDS_MIN = 1000,
	ROUNDS_MAX = 1000000, /* of SHA-512 and SHA-256 */
	BCRYPT_MIN = 4,
	BCRYPT_MAX = 14,
	YESCRYPT_MIB = 64,
	SALT_MAX = 16, /* of SHA-512 and SHA-256 */
	YESCRYPT_SALT_MAX = 86,
};

/* The digits of all of them, in the order of their values where those count. */
static const char digits[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* What is left of a hash. */
struct rest {
	const char *p, *end;
};

static int value_of(const struct rest *r)
{
	const char *at = r->p < r->end && *r->p != '\0' ? strchr(digits, *r->p) : NULL;

	return at != NULL ? (int)(at - digits) : -1;
}

static size_t skip_digits(struct rest *r)
{
	const char *from = r->p;

	while (value_of(r) >= 0)
		r->p++;
	return (size_t)(r->p - from);
}

static bool skip(struct rest *r, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
		return false;
	r->p += n;
	return true;
}

/* A salt of at most so many digits, and a digest of so many, and nothing behind it. */
static bool is_rest(struct rest *r, size_t salt, size_t digest)
{
	size_t n = skip_digits(r);

	return n > 0 && n <= salt && skip(r, "$") && skip_digits(r) == digest && r->p == r->end;
}

/* A number without zeros ahead of it; -1: it is none, or a very large one. */
static long take_number(struct rest *r)
{
	const char *from = r->p;
	long n = 0;

	for (; r->p < r->end && *r->p >= '0' && *r->p <= '9' && n <= INT32_MAX; r->p++)
		n = n * 10 + (*r->p - '0');
	return r->p == from || *from == '0' ? -1 : n;
}

/* --- the kinds --- */

static const char *check_sha(struct rest *r, size_t digest)
{
	if (skip(r, "rounds=")) {
		long rounds = take_number(r);

		if (rounds > ROUNDS_MAX)
			return "has a HASH of more than 1000000 rounds, which would take too long "
			       "to check";
		if (rounds < ROUNDS_MIN || !skip(r, "$"))
			return "has a HASH whose \"rounds=\" is none of 1000 to 1000000";
	}
	return is_rest(r, SALT_MAX, digest) ? NULL : "has a HASH of SHA that is not whole";
}

static const char *check_sha512(struct rest *r)
{
	return check_sha(r, 86);
}

static const char *check_sha256(struct rest *r)
{
	return check_sha(r, 43);
}

/* Two digits. -1: they are none. */
static int take_cost(struct rest *r)
{
	const char *p = r->p;

	if (r->end - p < 2 || p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	r->p += 2;
	return (p[0] - '0') * 10 + p[1] - '0';
}

/* The salt has 128 bits, of which two are in its last digit. */
static bool is_bcrypt(const struct rest *r)
{
	struct rest all = *r;

	return skip_digits(&all) == 53 && all.p == all.end && strchr(".Oeu", r->p[21]) != NULL;
}

static const char *check_bcrypt(struct rest *r)
{
	int cost = take_cost(r);

	if (cost > BCRYPT_MAX)
		return "has a HASH of bcrypt with a cost of more than 14, which would take too "
		       "long to check";
	if (cost < BCRYPT_MIN || !skip(r, "$") || !is_bcrypt(r))
		return "has a HASH of bcrypt that is not whole";
	return NULL;
}

/*
 * The form "j", the logarithm of N, and r, each less 1 and in one digit, as larger ones are out of
 * bounds anyway: checking takes N times r times 128 bytes.
 */
static const char *check_yescrypt(struct rest *r)
{
	int n, size;

	if (!skip(r, "j"))
		return "has a HASH of yescrypt with parameters that \"ignyxctl password\" and "
		       "passwd(1) do not use";
	n = value_of(r);
	r->p += n >= 0;
	size = value_of(r);
	r->p += size >= 0;
	if (n > 40 || size > 47 ||
	    (n >= 0 && size >= 0 &&
	     ((uint64_t)2 << n) * (unsigned)(size + 1) > YESCRYPT_MIB * 8192))
		return "has a HASH of yescrypt that takes more than 64 MiB to check";
	if (n < 0 || size < 0 || !skip(r, "$") || !is_rest(r, YESCRYPT_SALT_MAX, 43))
		return "has a HASH of yescrypt that is not whole, or has parameters that are not "
		       "known here";
	return NULL;
}

static const struct kind {
	const char *prefix;
	const char *(*check)(struct rest *r);
} kinds[] = {
	{ "$y$", check_yescrypt }, { "$6$", check_sha512 },  { "$5$", check_sha256 },
	{ "$2b$", check_bcrypt },  { "$2y$", check_bcrypt }, { "$2a$", check_bcrypt },
};

const char *crypted_check(const char *p, size_t len)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct rest r = { p, p + len };

		if (skip(&r, kinds[i].prefix))
			return kinds[i].check(&r);
	}
	return "has a HASH that is none of yescrypt ($y$), SHA-512 ($6$), SHA-256 ($5$) and bcrypt "
	       "($2b$): \"ignyxctl password\" makes one";
}

/* Up to the "$" behind the parameters; SHA has none where they are the usual ones. */
size_t crypted_cost(const char *hash)
{
	const char *behind = strchr(hash + 1, '$') + 1;

	if (hash[2] == '$' && hash[1] != 'y' && strncmp(behind, "rounds=", 7) != 0)
		return (size_t)(behind - hash);
	return (size_t)(strchr(behind, '$') - hash);
}
