/*
 * transport.h - the bytes of one connection, plain or encrypted.
 *
 * A transport owns its descriptor and its one libevent event; what is above it
 * reads and writes without knowing which kind it is.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

struct transport;

struct transport_ops {
	/*
	 * As recv and sendmsg: bytes moved, 0 at the end of the stream, -1 with errno (EAGAIN: wait).
	 * last: the end follows what is written now, so that they may leave together. A write may
	 * move less than it was given although there is space for more.
	 */
	ssize_t (*read)(struct transport *t, void *buf, size_t n);
	ssize_t (*write)(struct transport *t, const struct iovec *iov, int count, bool last);
	/* Sends what counts as written and is not: 0, or -1 with errno (EAGAIN: wait). */
	int (*flush)(struct transport *t, bool last);
	/* Bytes that count as written and are not sent. */
	size_t (*held)(const struct transport *t);
	/* Ends the outgoing direction. */
	void (*shutdown)(struct transport *t);
	/* Bytes, or the end, that were received and wait inside, for which no event will come. */
	size_t (*pending)(struct transport *t);
	/* Frees what the kind holds; not the descriptor. */
	void (*fini)(struct transport *t);
};

enum transport_kind { TRANSPORT_PLAIN, TRANSPORT_TLS, TRANSPORT_TEST, TRANSPORT_KINDS };

struct transport {
	struct event event;
	void *tls; /* of TRANSPORT_TLS */
	int fd;
	uint8_t kind; /* enum transport_kind */
	bool want_write : 1; /* the last call waits until it can be written */
	bool again : 1; /* it is to be read once more, whatever the socket says */
	bool wide : 1; /* of wide.h */
	uint16_t stamp; /* of who uses it, and nothing to what is here */
};

/*
 * Of all in this process: how many are to be called when they can be written, which those are whose
 * peer takes less than it is sent; and the bytes that they hold.
 */
extern size_t transport_blocked, transport_held;

/* By kind. That of tests is theirs to set. */
extern const struct transport_ops *transport_kinds[TRANSPORT_KINDS];
extern const struct transport_ops transport_plain, transport_tls;

/* Whether a call that failed so is to be made again later. */
static inline bool transport_is_temporary(int error)
{
	return error == EAGAIN || error == EINTR || error == ENOBUFS;
}

/* How its bytes are sent: the last ones wait for the end, which follows. */
static inline int transport_send_flags(bool last)
{
	return MSG_NOSIGNAL | (last ? MSG_MORE : 0);
}

/* Not kept in each transport, of which there are very many. */
static inline const struct transport_ops *transport_ops(const struct transport *t)
{
	return transport_kinds[t->kind];
}

/*
 * Begins a plain one: takes over fd and calls cb(fd, EV_READ and/or EV_WRITE, arg) as wanted; at
 * first, when it is readable. -1: no memory; fd is then still the caller's.
 */
int transport_init(struct transport *t, struct event_base *base, int fd, event_callback_fn cb,
		   void *arg);

/* Closes the descriptor. */
void transport_fini(struct transport *t);

/*
 * Ahead of the first byte that is read, of a plain one: looks at what is there and leaves it, as
 * recv; takes n bytes out that were looked at (false: they are not there).
 */
ssize_t transport_peek(struct transport *t, void *buf, size_t n);
bool transport_skip(struct transport *t, size_t n);

/* Whether the peer has ended its direction, or the connection, whatever there is still to be read. */
bool transport_peer_ended(const struct transport *t);

/* What to be called for. -1: no memory. */
int transport_want(struct transport *t, bool read, bool write);

/*
 * Calls once more for what waits inside: in the next turn, or when reading is wanted again.
 */
void transport_read_again(struct transport *t);

#endif
