/*
 * uncompressed.c - see uncompressed.h.
 */
#include "session/uncompressed.h"

#include <stdlib.h>

#include "base/account.h"
#include "base/bytes.h"
#include "base/counted.h"
#include "session/slices.h"
#include "session/turn.h"

/* Those that have turns; and those whose message is long, while enough of these are under way. */
static struct uncompressed_list ready = TAILQ_HEAD_INITIALIZER(ready);
static struct uncompressed_list waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned busy;

static struct counted *copy(const struct iovec *parts, int count, size_t len)
{
	struct counted *block = counted_new(len);

	turn_spend_on(len, TURN_KEEP);
	if (block)
		bytes_copy_parts(block->bytes, parts, count);
	return block;
}

bool uncompressed_put(struct uncompressed *u, struct conn *c, uint8_t opcode,
		      const struct iovec *parts, int count, struct counted *holder)
{
	struct uncompressed_message *m = malloc(sizeof(*m));
	size_t len = bytes_of_parts(parts, count);

	if (!m)
		return false;
	*m = (struct uncompressed_message){ .opcode = opcode };
	m->holder = holder ? counted_hold(holder) : copy(parts, count, len);
	if (!m->holder) {
		free(m);
		return false;
	}
	account_take(sizeof(*m));
	m->payload = (struct iovec){ holder ? parts->iov_base : m->holder->bytes, len };
	if (u->count++ == 0)
		STAILQ_INIT(&u->messages);
	STAILQ_INSERT_TAIL(&u->messages, m, next);
	u->conn = c;
	u->bytes += len;
	return true;
}

static void move_to(struct uncompressed *u, struct uncompressed_list *list)
{
	if (u->list)
		TAILQ_REMOVE(u->list, u, entry);
	if (u->list == &ready)
		turn_counters_serve(LINE_COMPRESS, &u->wait);
	u->list = list;
	if (list)
		TAILQ_INSERT_TAIL(list, u, entry);
	if (list == &ready)
		turn_counters_wait(LINE_COMPRESS, &u->wait);
}

/* Its message is not under way any more: another one may be. */
static void end_busy(struct uncompressed *u)
{
	struct uncompressed *next = TAILQ_FIRST(&waiting);

	if (!u->busy)
		return;
	u->busy = false;
	busy--;
	if (next)
		move_to(next, &ready);
}

/* It is out of the list. */
static void free_message(struct uncompressed *u, struct uncompressed_message *m)
{
	u->bytes -= m->payload.iov_len;
	counted_release(m->holder);
	account_give(sizeof(*m));
	free(m);
}

bool uncompressed_drop(struct uncompressed *u, bool but_first)
{
	struct uncompressed_message *first = u->count > 0 ? STAILQ_FIRST(&u->messages) : NULL, *m;

	if (!first)
		return false;
	if (!but_first) {
		uncompressed_shift(u);
		return true;
	}
	m = STAILQ_NEXT(first, next);
	if (!m)
		return false;
	STAILQ_REMOVE(&u->messages, m, uncompressed_message, next);
	free_message(u, m);
	u->count--;
	return true;
}

void uncompressed_shift(struct uncompressed *u)
{
	struct uncompressed_message *m = STAILQ_FIRST(&u->messages);

	STAILQ_REMOVE_HEAD(&u->messages, next);
	free_message(u, m);
	end_busy(u);
	if (--u->count == 0)
		move_to(u, NULL);
}

void uncompressed_forget(struct uncompressed *u)
{
	while (u->count > 0)
		uncompressed_shift(u);
}

void uncompressed_ready(struct uncompressed *u, bool takes)
{
	if (takes == (u->list != NULL))
		return;
	move_to(u, takes ? &ready : NULL);
	if (!takes)
		end_busy(u);
}

static bool may_go_on(struct uncompressed *u)
{
	if (u->busy || !slices_are_more_for(u->conn, uncompressed_first(u)->payload.iov_len))
		return true;
	if (busy == UNCOMPRESSED_LONG)
		return false;
	u->busy = true;
	busy++;
	return true;
}

struct conn *uncompressed_next(void)
{
	struct uncompressed *u;

	while ((u = TAILQ_FIRST(&ready)) && !may_go_on(u))
		move_to(u, &waiting);
	if (!u)
		return NULL;
	move_to(u, &ready);
	return u->conn;
}

bool uncompressed_any(void)
{
	return !TAILQ_EMPTY(&ready);
}
