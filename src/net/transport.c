/*
 * transport.c - the plain kind and what all kinds share, see transport.h.
 */
#include "net/transport.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/wide.h"

const struct transport_ops *transport_kinds[TRANSPORT_KINDS] = {
	[TRANSPORT_PLAIN] = &transport_plain,
	[TRANSPORT_TLS] = &transport_tls,
};

size_t transport_blocked, transport_held;

int transport_init(struct transport *t, struct event_base *base, int fd, event_callback_fn cb,
		   void *arg)
{
	t->tls = NULL;
	t->kind = TRANSPORT_PLAIN;
	t->fd = fd;
	t->want_write = t->again = t->wide = false;
	if (event_assign(&t->event, base, fd, EV_READ | EV_PERSIST, cb, arg) < 0)
		return -1;
	return event_add(&t->event, NULL);
}

static short wanted(const struct transport *t)
{
	return (short)event_pending(&t->event, EV_READ | EV_WRITE, NULL);
}

void transport_fini(struct transport *t)
{
	transport_blocked -= (wanted(t) & EV_WRITE) != 0;
	event_del(&t->event);
	wide_forget(t);
	transport_ops(t)->fini(t);
	close(t->fd);
}

/* One event with both directions in it is smaller than two, and is rarely changed. */
int transport_want(struct transport *t, bool read, bool write)
{
	struct event *e = &t->event;
	short want = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));

	if (wanted(t) == want)
		return 0;
	transport_blocked -= (wanted(t) & EV_WRITE) != 0;
	event_del(e);
	if (want == 0)
		return 0;
	if (event_assign(e, event_get_base(e), t->fd, (short)(want | EV_PERSIST),
			 event_get_callback(e), event_get_callback_arg(e)) < 0)
		return -1;
	if (event_add(e, NULL) < 0)
		return -1;
	transport_blocked += write;
	/* A call that was due has gone with the old event. */
	if (read && t->again)
		event_active(e, EV_READ, 0);
	return 0;
}

void transport_read_again(struct transport *t)
{
	t->again = true;
	if (event_pending(&t->event, EV_READ, NULL))
		event_active(&t->event, EV_READ, 0);
}

ssize_t transport_peek(struct transport *t, void *buf, size_t n)
{
	return recv(t->fd, buf, n, MSG_PEEK);
}

bool transport_skip(struct transport *t, size_t n)
{
	uint8_t bytes[4096];
	ssize_t got = 1;

	for (; n > 0 && got > 0; n -= (size_t)got)
		got = recv(t->fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes), 0);
	return n == 0;
}

bool transport_peer_ended(const struct transport *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0 && p.revents != 0;
}

static ssize_t plain_read(struct transport *t, void *buf, size_t n)
{
	return recv(t->fd, buf, n, 0);
}

static ssize_t send_parts(int fd, const struct iovec *iov, int count, int flags)
{
	struct msghdr m = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };

	return sendmsg(fd, &m, flags);
}

static ssize_t plain_write(struct transport *t, const struct iovec *iov, int count, bool last)
{
	int flags = transport_send_flags(last);

	if (count == 1)
		return send(t->fd, iov->iov_base, iov->iov_len, flags);
	return send_parts(t->fd, iov, count, flags);
}

static int plain_flush(struct transport *t, bool last)
{
	(void)last;
	t->want_write = false;
	return 0;
}

static size_t plain_held(const struct transport *t)
{
	(void)t;
	return 0;
}

static void plain_shutdown(struct transport *t)
{
	shutdown(t->fd, SHUT_WR);
}

static size_t plain_pending(struct transport *t)
{
	(void)t;
	return 0;
}

static void plain_fini(struct transport *t)
{
	(void)t;
}

const struct transport_ops transport_plain = {
	.read = plain_read,
	.write = plain_write,
	.flush = plain_flush,
	.held = plain_held,
	.shutdown = plain_shutdown,
	.pending = plain_pending,
	.fini = plain_fini,
};
