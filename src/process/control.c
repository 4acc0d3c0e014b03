/*
 * control.c - see control.h.
 */
#include "process/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union ancillary {
	char bytes[CMSG_SPACE(CONTROL_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int control_pair(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

int control_send(int fd, const struct control_message *m, const int *fds, size_t count)
{
	union ancillary a;
	struct iovec iov = { (void *)m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count > 0) {
		struct cmsghdr *c;

		memset(&a, 0, sizeof(a));
		msg.msg_control = a.bytes;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*m) ? 0 : -1;
}

static void take_fds(struct msghdr *msg, int *fds, size_t *count)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		*count = n;
	}
}

int control_receive(int fd, struct control_message *m, int fds[CONTROL_FDS_MAX], size_t *count)
{
	union ancillary a;
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = a.bytes,
			      .msg_controllen = sizeof(a.bytes) };
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);

	*count = 0;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	take_fds(&msg, fds, count);
	if (n == (ssize_t)sizeof(*m) && !(msg.msg_flags & MSG_CTRUNC))
		return 1;
	while (*count > 0)
		close(fds[--*count]);
	return -1;
}

void control_drain(int fd)
{
	struct control_message m;
	int fds[CONTROL_FDS_MAX];
	size_t count;

	while (control_receive(fd, &m, fds, &count) > 0)
		while (count > 0)
			close(fds[--count]);
}
