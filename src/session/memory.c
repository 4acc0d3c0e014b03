/*
 * memory.c - see memory.h.
 *
 * Those that keep more than a little stand in a list. Nothing is done with it while the sum is
 * within bounds, so what they keep is asked for only then: a round through the list finds who has
 * most, in as many turns as that takes. Who has little by now leaves the list on the way.
 */
#include "session/memory.h"

#include "base/account.h"
#include "base/metrics.h"
#include "config/config.h"
#include "session/conn_internal.h"
#include "session/session.h"
#include "session/turn.h"

TAILQ_HEAD(memory_list, memory_entry);

static struct memory_list all = TAILQ_HEAD_INITIALIZER(all);
static size_t count;

/* What a round has found up to now. */
struct largest {
	struct conn *conn; /* NULL: nobody */
	size_t bytes;
};

static struct {
	size_t left; /* connections that it has yet to look at; 0: there is none */
	struct largest slow, message;
	bool leaving; /* one is dead, and what it has comes back soon */
} search;

static size_t bytes_in(const struct conn *c)
{
	return ws_decoder_bytes(&c->decoder) + park_bytes(c);
}

/* What is put off because our compressor is behind is no sign of a slow consumer. */
static size_t bytes_out(const struct conn *c)
{
	size_t n = link_unsent(&c->link);

	if (output_waits(c) && !output_is_behind(c))
		n += uncompressed_memory(&c->deflate->waiting);
	return n;
}

static bool is_listed(const struct conn *c)
{
	return c->extra && c->extra->memory.conn;
}

void memory_note(struct conn *c)
{
	struct memory_entry *m;

	if (is_listed(c) || c->state_now == CONN_DEAD ||
	    (bytes_out(c) <= MEMORY_LEAST && bytes_in(c) <= MEMORY_LEAST) || !conn_need_extra(c))
		return;
	m = &c->extra->memory;
	m->conn = c;
	TAILQ_INSERT_TAIL(&all, m, entry);
	count++;
}

void memory_forget(struct conn *c)
{
	if (!is_listed(c))
		return;
	TAILQ_REMOVE(&all, &c->extra->memory, entry);
	c->extra->memory.conn = NULL;
	count--;
	if (search.left > count)
		search.left = count;
	if (search.slow.conn == c)
		search.slow.conn = NULL;
	if (search.message.conn == c)
		search.message.conn = NULL;
}

static void compare(struct largest *l, struct conn *c, size_t bytes)
{
	if (bytes <= MEMORY_LEAST || (l->conn && bytes <= l->bytes))
		return;
	l->conn = c;
	l->bytes = bytes;
}

/* At the next one, which then stands behind the others. */
static void look(void)
{
	struct memory_entry *m = TAILQ_FIRST(&all);
	struct conn *c = m->conn;
	size_t out = bytes_out(c), in = bytes_in(c);

	search.left--;
	turn_spend(TURN_LOOK);
	metrics_beat();
	search.leaving |= c->state_now == CONN_DEAD;
	if (out <= MEMORY_LEAST && in <= MEMORY_LEAST) {
		memory_forget(c);
		return;
	}
	TAILQ_REMOVE(&all, m, entry);
	TAILQ_INSERT_TAIL(&all, m, entry);
	if (c->state_now == CONN_DEAD)
		return;
	compare(&search.slow, c, out);
	compare(&search.message, c, in);
}

static bool is_too_much(void)
{
	return account_bytes > (uint64_t)session.config->max_memory;
}

bool memory_search(struct conn **found, bool *slow)
{
	*found = NULL;
	if (!is_too_much() || count == 0) {
		search.left = 0;
		return false;
	}
	if (search.left == 0) {
		search.left = count;
		search.slow.conn = search.message.conn = NULL;
		search.leaving = false;
	}
	while (search.left > 0 && !turn_is_over())
		look();
	if (search.left > 0 || search.leaving)
		return true;
	*slow = search.slow.conn != NULL;
	*found = *slow ? search.slow.conn : search.message.conn;
	return true;
}
