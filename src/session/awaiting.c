/*
 * awaiting.c - see awaiting.h.
 */
#include "session/awaiting.h"

#include <stddef.h>

#include "session/conn_internal.h"
#include "session/opening.h"
#include "session/session.h"

enum { CHAINS = 256 };

TAILQ_HEAD(awaited_list, awaited);

static struct awaited_list chains[CHAINS];
static struct awaited_list answered = TAILQ_HEAD_INITIALIZER(answered);
static uint64_t last; /* number */

/* A chain is a list from its first use on. */
static struct awaited_list *chain_of(uint64_t id)
{
	struct awaited_list *chain = &chains[id % CHAINS];

	if (!chain->tqh_last)
		TAILQ_INIT(chain);
	return chain;
}

uint64_t awaiting_begin(struct conn *c, awaiting_cancel_fn *cancel)
{
	struct awaited *a = &c->opening->awaited;

	*a = (struct awaited){ .conn = c, .id = ++last, .cancel = cancel };
	TAILQ_INSERT_TAIL(chain_of(a->id), a, entry);
	return a->id;
}

bool awaiting_is(const struct conn *c)
{
	return c->opening && c->opening->awaited.conn;
}

void awaiting_end(struct conn *c)
{
	struct awaited *a;

	if (!awaiting_is(c))
		return;
	a = &c->opening->awaited;
	TAILQ_REMOVE(a->cancel ? chain_of(a->id) : &answered, a, entry);
	a->conn = NULL;
	if (a->cancel)
		a->cancel(a->id);
}

struct conn *awaiting_find(uint64_t id)
{
	struct awaited *a;

	TAILQ_FOREACH (a, chain_of(id), entry)
		if (a->id == id)
			return a->conn;
	return NULL;
}

void awaiting_answer(struct conn *c, enum reason why)
{
	struct awaited *a = &c->opening->awaited;

	TAILQ_REMOVE(chain_of(a->id), a, entry);
	a->cancel = NULL;
	a->why = why;
	TAILQ_INSERT_TAIL(&answered, a, entry);
	session.chores = true;
}

struct conn *awaiting_next(enum reason *why)
{
	struct awaited *a = TAILQ_FIRST(&answered);
	struct conn *c = a ? a->conn : NULL;

	if (!c)
		return NULL;
	*why = a->why;
	awaiting_end(c);
	return c;
}

bool awaiting_some_answered(void)
{
	return !TAILQ_EMPTY(&answered);
}
