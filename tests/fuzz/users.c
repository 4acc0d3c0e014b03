/*
 * The file of users.
 *
 * Invariants: each line is a user, wrong, or passed over; names are such as there are, and each is found by
 * its own; a hash is within its bounds, and what it costs is a part of it; who stands in for somebody is one
 * of them, and the same each time; the file that is written of what was read is read as the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "config/crypted.h"
#include "config/tokens.h"
#include "config/users.h"
#include "fuzz.h"

static void note(unsigned line, const char *what, void *arg)
{
	unsigned *last = arg;

	fuzz_require((line > *last || line == 0) && what[0] != '\0');
	*last = line;
}

static void check_name(const char *name)
{
	size_t len = strlen(name);

	fuzz_require(len > 0 && len <= CONFIG_USER_MAX && name[0] != '#' && name[0] != ' ');
	fuzz_require(strchr(name, ':') == NULL && printable_whole(name, len));
}

static void check_hash(const char *hash)
{
	const size_t len = strlen(hash), cost = crypted_cost(hash);

	fuzz_require(len <= CRYPTED_MAX && crypted_check(hash, len) == NULL);
	fuzz_require(cost >= 2 && cost < len &&
		     strspn(hash, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "abcdefghijklmnopqrstuvwxyz$=") == len);
	/* it is nothing without its end, or with more */
	fuzz_require(crypted_check(hash, len - 1) != NULL);
}

static void check(const struct config_users *all)
{
	fuzz_require((all->count == 0) == (all->cost_count == 0));
	fuzz_require(all->lines.count == all->count && all->cost_count <= CONFIG_COSTS_MAX);
	for (size_t i = 0; i < all->count; i++) {
		const struct config_user *u = &all->list[i];

		check_name(u->name);
		check_hash(u->hash);
		fuzz_require(users_find(all, u->name) == u);
		fuzz_require(strcmp(tokens_find_hash(&all->lines, u->line)->name, u->name) == 0);
	}
	fuzz_require((users_stand_in(all, "nobody") != NULL) == (all->count > 0));
	fuzz_require(users_stand_in(all, "nobody") == users_stand_in(all, "nobody"));
}

static void write_all(FILE *f, const struct config_users *all)
{
	for (size_t i = all->count; i-- > 0;)
		fprintf(f, "%s:%s\n", all->list[i].name, all->list[i].hash);
	fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_users a, b;
	unsigned last = 0;
	char *text = NULL;
	size_t len;

	users_parse((const char *)data, size, &a, note, &last);
	check(&a);
	write_all(open_memstream(&text, &len), &a);
	last = 0;
	users_parse(text, len, &b, note, &last);
	fuzz_require(last == 0 && tokens_same(&a.lines, &b.lines));
	users_free(&a);
	users_free(&b);
	free(text);
	return 0;
}
