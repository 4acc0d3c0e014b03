/*
 * wide.c - see wide.h.
 */
#include "net/wide.h"

#include "base/account.h"
#include "net/socket.h"
#include "net/transport.h"

static struct transport *all[WIDE_MAX]; /* in the order in which they asked, from `first` on */
static unsigned first, count;

/* The memory that others take for what they have unsent, at most. */
enum { OTHERS = SOCKET_UNSENT_MAX + SOCKET_UNSENT_MAX / 2 };

static struct transport **at(unsigned i)
{
	return &all[(first + i) % WIDE_MAX];
}

size_t wide_excess(const struct transport *t)
{
	size_t unsent = t->wide ? socket_unsent(t->fd) : 0;

	return unsent > OTHERS ? unsent - OTHERS : 0;
}

void wide_forget(struct transport *t)
{
	unsigned i = 0;

	if (!t->wide)
		return;
	while (*at(i) != t)
		i++;
	for (count--; i < count; i++)
		*at(i) = *at(i + 1);
	t->wide = false;
	account_give(WIDE_BYTES);
}

/* Makes a place for one more. */
static bool narrow_first(void)
{
	struct transport *t = count > 0 ? *at(0) : NULL;

	if (!t)
		return false;
	if (wide_excess(t) > 0) {
		/* the others are asked first, next time */
		first = (first + 1) % WIDE_MAX;
		*at(count - 1) = t;
		return false;
	}
	socket_set_unsent(t->fd, SOCKET_UNSENT_MAX);
	wide_forget(t);
	return true;
}

bool wide_ask(struct transport *t, size_t bytes)
{
	unsigned most = bytes / WIDE_BYTES < WIDE_MAX ? (unsigned)(bytes / WIDE_BYTES) : WIDE_MAX;

	if (t->wide || t->tls || (count >= most && !narrow_first()) || count >= most ||
	    socket_set_unsent(t->fd, WIDE_UNSENT) < 0)
		return false;
	*at(count++) = t;
	t->wide = true;
	account_take(WIDE_BYTES);
	return true;
}
