/*
 * Words that change together, whoever dies between two of them.
 *
 * What rooms keep has sums: of a room, of its group, of all. Each entry changes them all, and an
 * author may be killed between any two stores. So all new values are written down before the
 * first of them is stored; `count` says that they are there. Who finds the author dead stores them
 * all again, which may be done any number of times. Nobody else changes any of them meanwhile, for
 * that needs the lock. Without a count they mean nothing, and may be half written.
 *
 * As a place is taken from memory, it is bounded: it is one of struct bus_keeping's own words.
 */
#include "bus/bus_internal.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)
/* Release, so that the compiler keeps the order of the steps. */
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_release)

static _Atomic uint64_t *word_at(struct bus *b, uint64_t at)
{
	return (_Atomic uint64_t *)b->keeping + at;
}

void bus_ledger_put(struct bus *b, unsigned *n, _Atomic uint64_t *word, uint64_t value)
{
	struct bus_ledger *l = &b->keeping->ledger;

	STORE(l->words[*n].at, (uint64_t)(word - word_at(b, 0)));
	STORE(l->words[*n].value, value);
	(*n)++;
}

static bool store_all(struct bus *b, uint64_t n)
{
	struct bus_ledger *l = &b->keeping->ledger;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t at = LOAD(l->words[i].at);

		if (at >= b->keeping_words)
			return false;
		STORE(*word_at(b, at), LOAD(l->words[i].value));
	}
	STORE(l->count, 0);
	return true;
}

void bus_ledger_commit(struct bus *b, unsigned n)
{
	STORE(b->keeping->ledger.count, n);
	store_all(b, n);
}

bool bus_ledger_redo(struct bus *b)
{
	uint64_t n = LOAD(b->keeping->ledger.count);

	return n <= BUS_LEDGER_WORDS && store_all(b, n);
}
