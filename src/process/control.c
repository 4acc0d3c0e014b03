/*
 * control.c - see control.h.
 *
 * Descriptors go with the first byte of a frame, and one call reads of one frame at most. So those
 * that come while a frame does are its own, and their number must be what its header says.
 *
 * A frame is put in the queue and sent from there, so that one that goes out in pieces needs no
 * memory in between. It has copies of its descriptors, for what it was made of may be closed while
 * it waits.
 *
 * Some say how things are to be from now on, and may be said as often as somebody likes: of each kind
 * only the last waits, so that they never fill the queue of a worker that stands still. Its turn is
 * that of who comes last, for what it is about may be in between. There is memory for them beforehand:
 * what was begun so can be taken back whatever has run out.
 */
#include "process/control.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

/* Memory of `newest` ones: of each kind one that waits, and one that has gone out in part. */
enum { SPARES = 3 };

struct control_waiting {
	struct control_waiting *next;
	bool spare; /* not to be freed with the frame */
	size_t size, sent; /* bytes */
	size_t fd_count;
	int fds[CONTROL_FDS_MAX];
	struct {
		struct control_header head;
		unsigned char body[CONTROL_BODY_MAX];
	} bytes;
};

union ancillary {
	char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

/* What a frame of each type has: a body of so many bytes, descriptors from fewest to most. */
static const struct control_kind {
	const char *name; /* NULL: there is no such type */
	uint32_t length, fewest, most;
	bool newest; /* the next one of the type says all that there is to say; no descriptors */
} kinds[CONTROL_TYPES] = {
	[CONTROL_PREPARE] = { "prepare", sizeof(struct control_prepare), 1, 1 },
	[CONTROL_COMMIT] = { "commit", sizeof(struct control_decision), 0, CONFIG_LISTENERS_MAX },
	[CONTROL_ABORT] = { "abort", sizeof(struct control_decision), 0, 0 },
	[CONTROL_ADOPT] = { "adopt", sizeof(struct control_adopt), 0, CONFIG_LISTENERS_MAX },
	[CONTROL_RELEASE] = { "release", sizeof(struct control_release), 0, 0 },
	[CONTROL_STOP] = { "stop", sizeof(struct control_stop), 0, 0 },
	[CONTROL_ADMIN_RELOAD] = { "admin-reload", sizeof(struct control_admin_reload), 1,
				   1 + CONFIG_ADMIN_SOCKETS_MAX },
	[CONTROL_ANSWER] = { "answer", sizeof(struct control_answer), 1, 1 },
	[CONTROL_LOG_LEVEL] = { "log-level", sizeof(struct control_log_level), 0, 0, true },
	[CONTROL_ASK_LOG_LEVEL] = { "ask-log-level", sizeof(struct control_log_level), 0, 0 },
	[CONTROL_DRAIN] = { "drain", sizeof(struct control_drain), 0, 0, true },
	[CONTROL_ASK_DRAIN] = { "ask-drain", sizeof(struct control_ask_drain), 0, 0 },
	[CONTROL_DRAINED] = { "drained", sizeof(struct control_drained), 0, 0 },
	[CONTROL_ASK_RELOAD] = { "ask-reload", sizeof(struct control_ask_reload), 0, 0 },
	[CONTROL_READY] = { "ready", sizeof(struct control_ready), 0, 0 },
	[CONTROL_PREPARED] = { "prepared", sizeof(struct control_prepared), 0, 0 },
	[CONTROL_RELOADED] = { "reloaded", sizeof(struct control_reloaded), 0, 0 },
};

int control_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

void control_init(struct control *c, int fd, uint32_t reads)
{
	*c = (struct control){ .fd = fd, .reads = reads };
	c->last = &c->first;
}

/* --- sending --- */

static void close_all(int *fds, size_t *count)
{
	while (*count > 0)
		if (fds[--*count] >= 0)
			close(fds[*count]);
}

static void keep_spare(struct control *c, struct control_waiting *w)
{
	*w = (struct control_waiting){ .spare = true, .next = c->spare };
	c->spare = w;
}

/* The first of the queue is done with. */
static void drop_first(struct control *c)
{
	struct control_waiting *w = c->first;

	c->first = w->next;
	if (!c->first)
		c->last = &c->first;
	c->waiting--;
	close_all(w->fds, &w->fd_count);
	if (w->spare)
		keep_spare(c, w);
	else
		free(w);
}

static void drop_all(struct control *c)
{
	while (c->first)
		drop_first(c);
}

static ssize_t send_some(int fd, const struct control_waiting *w)
{
	union ancillary a;
	struct iovec iov = { (char *)&w->bytes + w->sent, w->size - w->sent };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (w->sent == 0 && w->fd_count > 0) {
		struct cmsghdr *m;

		memset(&a, 0, sizeof(a));
		msg.msg_control = a.bytes;
		msg.msg_controllen = CMSG_SPACE(w->fd_count * sizeof(int));
		m = CMSG_FIRSTHDR(&msg);
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(w->fd_count * sizeof(int));
		memcpy(CMSG_DATA(m), w->fds, w->fd_count * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Nobody will ever read it. */
static bool is_final(int error)
{
	return error == EPIPE || error == ECONNRESET || error == ENOTCONN;
}

/* -1: the other side is gone; errno is set. */
static int flush(struct control *c)
{
	while (c->first) {
		ssize_t n = send_some(c->fd, c->first);
		int error = errno;

		if (n < 0 && is_final(error)) {
			drop_all(c);
			errno = error;
			return -1;
		}
		if (n < 0) {
			if (error == EAGAIN && c->writable)
				event_add(c->writable, NULL);
			return 0;
		}
		c->first->sent += (size_t)n;
		if (c->first->sent == c->first->size)
			drop_first(c);
	}
	return 0;
}

void control_flush(struct control *c)
{
	flush(c);
}

static int keep_fds(struct control_waiting *w, const int *fds, size_t fd_count)
{
	for (; w->fd_count < fd_count; w->fd_count++) {
		w->fds[w->fd_count] = fcntl(fds[w->fd_count], F_DUPFD_CLOEXEC, 0);
		if (w->fds[w->fd_count] < 0)
			return -1;
	}
	return 0;
}

/* Takes out of the queue the one whose place is taken by the next of this type. NULL: none waits. */
static struct control_waiting *take_needless(struct control *c, enum control_type type)
{
	struct control_waiting **at = &c->first, *w;

	while ((w = *at) && (w->bytes.head.type != type || w->sent > 0))
		at = &w->next;
	if (!w)
		return NULL;
	*at = w->next;
	if (c->last == &w->next)
		c->last = at;
	c->waiting--;
	return w;
}

static struct control_waiting *take_spare(struct control *c)
{
	struct control_waiting *w = c->spare;

	if (w)
		c->spare = w->next;
	return w;
}

/* NULL: errno is set. */
static struct control_waiting *take_memory(struct control *c, enum control_type type)
{
	struct control_waiting *w = kinds[type].newest ? take_needless(c, type) : NULL;

	if (!w && kinds[type].newest)
		w = take_spare(c);
	if (w || c->waiting < CONTROL_QUEUE_MAX)
		return w ? w : calloc(1, sizeof(*w));
	errno = ENOBUFS;
	return NULL;
}

static struct control_waiting *make_frame(struct control *c, enum control_type type, uint32_t id,
					  const void *body)
{
	struct control_waiting *w = take_memory(c, type);

	if (!w)
		return NULL;
	w->next = NULL;
	w->bytes.head =
		(struct control_header){ .type = type, .id = id, .length = kinds[type].length };
	memcpy(w->bytes.body, body, kinds[type].length);
	w->size = sizeof(w->bytes.head) + kinds[type].length;
	return w;
}

int control_send(struct control *c, enum control_type type, uint32_t id, const void *body,
		 const int *fds, size_t fd_count)
{
	struct control_waiting *w = make_frame(c, type, id, body);

	if (!w)
		return -1;
	w->bytes.head.fd_count = (uint32_t)fd_count;
	if (keep_fds(w, fds, fd_count) < 0) {
		int error = errno;

		close_all(w->fds, &w->fd_count);
		free(w);
		errno = error;
		return -1;
	}
	*c->last = w;
	c->last = &w->next;
	c->waiting++;
	return flush(c);
}

/* --- reading --- */

/* false: there are more than a frame may have. */
static bool take_fds(struct control *c, struct msghdr *msg)
{
	bool fit = !(msg->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *m = CMSG_FIRSTHDR(msg); m; m = CMSG_NXTHDR(msg, m)) {
		size_t n = (m->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (m->cmsg_level != SOL_SOCKET || m->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(m) + i * sizeof(int), sizeof(int));
			if (c->fd_count < CONTROL_FDS_MAX) {
				c->fds[c->fd_count++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* Reads at most size bytes. CONTROL_FRAME: some. */
static enum control_verdict receive(struct control *c, void *to, size_t size)
{
	union ancillary a;
	struct iovec iov = { to, size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = a.bytes,
			      .msg_controllen = sizeof(a.bytes) };
	ssize_t n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONTROL_MORE;
	if (n <= 0)
		return c->got == 0 ? CONTROL_ENDED : CONTROL_BAD;
	c->got += (size_t)n;
	return take_fds(c, &msg) ? CONTROL_FRAME : CONTROL_BAD;
}

static const struct control_kind *kind_of(const struct control *c)
{
	uint32_t type = c->head.type;

	if (type >= CONTROL_TYPES || (type & CONTROL_DIRECTION) != c->reads || !kinds[type].name)
		return NULL;
	return &kinds[type];
}

static bool is_sound(const struct control *c)
{
	const struct control_kind *k = kind_of(c);
	const struct control_header *h = &c->head;

	if (!k)
		return h->length <= CONTROL_BODY_MAX && h->fd_count <= CONTROL_FDS_MAX;
	return h->length == k->length && h->fd_count >= k->fewest && h->fd_count <= k->most;
}

static enum control_verdict read_head(struct control *c)
{
	enum control_verdict v = CONTROL_FRAME;

	while (v == CONTROL_FRAME && c->got < sizeof(c->head))
		v = receive(c, (char *)&c->head + c->got, sizeof(c->head) - c->got);
	return v == CONTROL_FRAME && !is_sound(c) ? CONTROL_BAD : v;
}

static enum control_verdict read_body(struct control *c)
{
	const size_t head = sizeof(c->head);
	enum control_verdict v = CONTROL_FRAME;

	while (v == CONTROL_FRAME && c->got < head + c->head.length)
		v = receive(c, (char *)c->body + (c->got - head), head + c->head.length - c->got);
	return v == CONTROL_FRAME && c->fd_count != c->head.fd_count ? CONTROL_BAD : v;
}

static void tell_unknown(struct control *c)
{
	if (!c->unknown_told)
		log_warning(NULL, "a control frame of unknown type %u is passed over, and others",
			    (unsigned)c->head.type);
	c->unknown_told = true;
}

/* The frame before is over: what nobody took of it is closed. */
static void begin_frame(struct control *c)
{
	close_all(c->fds, &c->fd_count);
	c->got = 0;
}

enum control_verdict control_read(struct control *c, struct control_frame *f)
{
	enum control_verdict v;
	int passed = 0;

	if (c->got == sizeof(c->head) + c->head.length)
		begin_frame(c);
	while ((v = read_head(c)) == CONTROL_FRAME && (v = read_body(c)) == CONTROL_FRAME) {
		if (kind_of(c)) {
			*f = (struct control_frame){ .type = c->head.type,
						     .id = c->head.id,
						     .body = c->body,
						     .fds = c->fds,
						     .fd_count = c->fd_count };
			return v;
		}
		tell_unknown(c);
		begin_frame(c);
		if (++passed == CONTROL_A_TURN)
			return CONTROL_MORE;
	}
	if (v == CONTROL_BAD)
		begin_frame(c);
	return v;
}

/* --- the life of an end --- */

static void readable_cb(evutil_socket_t fd, short what, void *arg)
{
	struct control *c = arg;

	(void)fd;
	(void)what;
	c->on_readable(c->arg);
}

static void writable_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	control_flush(arg);
}

static int make_spares(struct control *c)
{
	for (int i = 0; i < SPARES; i++) {
		struct control_waiting *w = malloc(sizeof(*w));

		if (!w)
			return -1;
		keep_spare(c, w);
	}
	return 0;
}

int control_watch(struct control *c, struct event_base *base, void (*readable)(void *arg),
		  void *arg)
{
	c->on_readable = readable;
	c->arg = arg;
	c->readable = event_new(base, c->fd, EV_READ | EV_PERSIST, readable_cb, c);
	c->writable = event_new(base, c->fd, EV_WRITE, writable_cb, c);
	if (!c->readable || !c->writable || make_spares(c) < 0)
		return -1;
	return event_add(c->readable, NULL);
}

void control_listen(struct control *c, bool on)
{
	if (on)
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
}

static void drain(int fd)
{
	struct control c;
	char bytes[4096];

	control_init(&c, fd, 0);
	do {
		close_all(c.fds, &c.fd_count);
		c.got = 0;
	} while (receive(&c, bytes, sizeof(bytes)) == CONTROL_FRAME || c.got > 0);
}

static void forget(struct control *c)
{
	drop_all(c);
	begin_frame(c);
	c->unknown_told = false;
}

void control_reset(struct control *c, int other)
{
	forget(c);
	if (c->writable)
		event_del(c->writable);
	drain(c->fd);
	drain(other);
}

void control_fini(struct control *c)
{
	struct control_waiting *w;

	forget(c);
	while ((w = take_spare(c)))
		free(w);
	if (c->readable)
		event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	c->readable = c->writable = NULL;
}
