/*
 * uncompressed.c - see uncompressed.h.
 */
#include "session/uncompressed.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/counted.h"

static TAILQ_HEAD(, uncompressed) ready = TAILQ_HEAD_INITIALIZER(ready);

static struct counted *copy(const struct iovec *parts, int count, size_t len)
{
	struct counted *block = counted_new(len);

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
	m->payload = (struct iovec){ holder ? parts->iov_base : m->holder->bytes, len };
	if (u->count++ == 0)
		STAILQ_INIT(&u->messages);
	STAILQ_INSERT_TAIL(&u->messages, m, next);
	u->conn = c;
	u->bytes += len;
	return true;
}

void uncompressed_shift(struct uncompressed *u)
{
	struct uncompressed_message *m = STAILQ_FIRST(&u->messages);

	STAILQ_REMOVE_HEAD(&u->messages, next);
	u->bytes -= m->payload.iov_len;
	counted_release(m->holder);
	free(m);
	if (--u->count == 0)
		uncompressed_ready(u, false);
}

void uncompressed_forget(struct uncompressed *u)
{
	while (u->count > 0)
		uncompressed_shift(u);
}

void uncompressed_ready(struct uncompressed *u, bool takes)
{
	if (u->listed == takes)
		return;
	u->listed = takes;
	if (takes)
		TAILQ_INSERT_TAIL(&ready, u, entry);
	else
		TAILQ_REMOVE(&ready, u, entry);
}

struct conn *uncompressed_next(void)
{
	struct uncompressed *u = TAILQ_FIRST(&ready);

	if (!u)
		return NULL;
	TAILQ_REMOVE(&ready, u, entry);
	TAILQ_INSERT_TAIL(&ready, u, entry);
	return u->conn;
}

bool uncompressed_any(void)
{
	return !TAILQ_EMPTY(&ready);
}
