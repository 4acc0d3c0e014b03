/*
 * steered.h - a transport that the test steers: how many bytes it takes, when it fails, what it
 * was given.
 */
#ifndef TESTS_SESSION_STEERED_H
#define TESTS_SESSION_STEERED_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "net/transport.h"

enum { WIRE_MAX = 4 * 1024 * 1024 };

static struct {
	size_t takes; /* bytes that it takes yet; then it is full */
	int write_error, flush_error; /* errno of the next call; 0: none */
	bool holds; /* what it took is not all out */
	bool last; /* the last call said that the end follows */
	bool shut; /* our direction has ended */
	unsigned writes;
	size_t len;
	uint8_t bytes[WIRE_MAX]; /* what it took */
} wire;

static inline ssize_t steered_take(const struct iovec *iov, int count)
{
	size_t had = wire.len;

	for (int i = 0; i < count && wire.takes > 0; i++) {
		size_t n = iov[i].iov_len < wire.takes ? iov[i].iov_len : wire.takes;

		assert_true(wire.len + n <= sizeof(wire.bytes));
		if (n > 0)
			memcpy(wire.bytes + wire.len, iov[i].iov_base, n);
		wire.len += n;
		wire.takes -= n;
	}
	return (ssize_t)(wire.len - had);
}

static inline ssize_t steered_write(struct transport *t, const struct iovec *iov, int count,
				    bool last)
{
	assert_false(wire.shut);
	wire.writes++;
	wire.last = last;
	t->want_write = wire.holds;
	errno = wire.write_error ? wire.write_error : EAGAIN;
	if (wire.write_error || wire.takes == 0)
		return -1;
	return steered_take(iov, count);
}

static inline int steered_flush(struct transport *t, bool last)
{
	wire.last = last;
	t->want_write = wire.holds;
	errno = wire.flush_error ? wire.flush_error : EAGAIN;
	return wire.holds || wire.flush_error ? -1 : 0;
}

static inline size_t steered_held(const struct transport *t)
{
	(void)t;
	return wire.holds ? 100 : 0;
}

static inline void steered_shutdown(struct transport *t)
{
	assert_false(wire.shut);
	assert_false(wire.holds);
	wire.shut = true;
	shutdown(t->fd, SHUT_WR);
}

static inline ssize_t steered_read(struct transport *t, void *buf, size_t n)
{
	return recv(t->fd, buf, n, 0);
}

static inline size_t steered_pending(struct transport *t)
{
	(void)t;
	return 0;
}

static inline void steered_fini(struct transport *t)
{
	(void)t;
}

static const struct transport_ops steered_ops = {
	.read = steered_read,
	.write = steered_write,
	.flush = steered_flush,
	.held = steered_held,
	.shutdown = steered_shutdown,
	.pending = steered_pending,
	.fini = steered_fini,
};

/* From here on t is one; it takes `takes` bytes at first. */
static inline void steer(struct transport *t, size_t takes)
{
	transport_kinds[TRANSPORT_TEST] = &steered_ops;
	t->kind = TRANSPORT_TEST;
	memset(&wire, 0, offsetof(__typeof__(wire), bytes));
	wire.takes = takes;
}

#endif
