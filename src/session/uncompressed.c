/*
 * uncompressed.c - see uncompressed.h.
 */
#include "session/uncompressed.h"

#include <stdlib.h>

#include "base/account.h"
#include "base/bytes.h"
#include "base/counted.h"
#include "proto/frame.h"
#include "session/link.h"
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

static void append(struct uncompressed *u, struct uncompressed_message *m)
{
	account_take(sizeof(*m));
	if (u->count++ == 0)
		STAILQ_INIT(&u->messages);
	STAILQ_INSERT_TAIL(&u->messages, m, next);
}

static void set_bytes(struct uncompressed *u, const struct uncompressed_message *m, bool added)
{
	const size_t len = m->payload.iov_len, told = link_mark_kind(m->as) == LINK_TOLD ? len : 0;

	u->bytes += added ? len : -len;
	u->told += added ? told : -told;
}

bool uncompressed_put(struct uncompressed *u, struct conn *c, uint8_t opcode, uint64_t as,
		      const struct iovec *parts, int count, struct counted *holder)
{
	struct uncompressed_message *m = malloc(sizeof(*m));
	size_t len = bytes_of_parts(parts, count);

	if (!m)
		return false;
	*m = (struct uncompressed_message){ .opcode = opcode, .as = as };
	m->holder = holder ? counted_hold(holder) : copy(parts, count, len);
	if (!m->holder) {
		free(m);
		return false;
	}
	m->payload = (struct iovec){ holder ? parts->iov_base : m->holder->bytes, len };
	append(u, m);
	u->conn = c;
	set_bytes(u, m, true);
	return true;
}

static bool is_gap(const struct uncompressed_message *m)
{
	return m && m->gap.last != 0;
}

/* Of those that there are. */
static struct uncompressed_message *last_of(const struct uncompressed *u)
{
	const size_t offset = offsetof(struct uncompressed_message, next);

	return (struct uncompressed_message *)((char *)u->messages.stqh_last - offset);
}

bool uncompressed_lose(struct uncompressed *u, struct gap lost)
{
	struct uncompressed_message *m = last_of(u);

	if (!is_gap(m)) {
		m = calloc(1, sizeof(*m));
		if (!m)
			return false;
		append(u, m);
	}
	gap_add(&m->gap, lost);
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

static void empty(struct uncompressed *u, struct uncompressed_message *m)
{
	set_bytes(u, m, false);
	counted_release(m->holder);
	m->holder = NULL;
	m->payload = (struct iovec){ 0 };
}

/* It is out of the list. */
static void free_message(struct uncompressed *u, struct uncompressed_message *m)
{
	empty(u, m);
	account_give(sizeof(*m));
	free(m);
}

/* The one behind m (NULL: the first) goes, and there is another. */
static void remove_behind(struct uncompressed *u, struct uncompressed_message *m)
{
	struct uncompressed_message *gone = m ? STAILQ_NEXT(m, next) : STAILQ_FIRST(&u->messages);

	STAILQ_REMOVE(&u->messages, gone, uncompressed_message, next);
	free_message(u, gone);
	u->count--;
}

/* It becomes a gap, and one with those beside it. */
static void leave_gap(struct uncompressed *u, struct uncompressed_message *before,
		      struct uncompressed_message *m, struct gap lost)
{
	struct uncompressed_message *next = STAILQ_NEXT(m, next);

	empty(u, m);
	m->as = 0;
	m->gap = lost;
	if (is_gap(before)) {
		gap_add(&before->gap, lost);
		remove_behind(u, before);
		m = before;
	}
	if (is_gap(next)) {
		gap_add(&m->gap, next->gap);
		remove_behind(u, m);
	}
}

static bool stays(const struct uncompressed_message *m)
{
	return is_gap(m) || m->opcode == WS_CLOSE || link_mark_kind(m->as) == LINK_TOLD;
}

bool uncompressed_drop(struct uncompressed *u, bool but_first, const struct gap_form *told)
{
	struct uncompressed_message *before = NULL,
				    *m = u->count ? STAILQ_FIRST(&u->messages) : NULL;
	struct gap lost = { 0 };

	for (; m && ((!before && but_first) || stays(m)); m = STAILQ_NEXT(m, next))
		before = m;
	if (!m)
		return false;
	turn_spend(TURN_MESSAGE);
	if (told)
		lost = link_mark_gap(m->as, told->newest);
	if (!before)
		end_busy(u);
	if (lost.last)
		leave_gap(u, before, m, lost);
	else if (u->count == 1)
		uncompressed_shift(u);
	else
		remove_behind(u, before);
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
	turn_spend_on_each(u->count, TURN_MESSAGE);
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
