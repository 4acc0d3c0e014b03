/*
 * uptake.c - see uptake.h.
 *
 * In a file of its own, for what TCP tells is only in the kernel's header, which does not go together with
 * that of the C library.
 */
#include "net/uptake.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

bool uptake_look(int fd, struct uptake *u)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);
	int waiting;

	if (ioctl(fd, SIOCOUTQ, &waiting) < 0 || waiting == 0)
		return false;
	/* of a unix socket it is known what the peer has not read, in a kernel that is ours */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0) {
		*u = (struct uptake){ .taken = INT64_MAX - (uint64_t)waiting, .sent = INT64_MAX };
		return true;
	}
	*u = (struct uptake){ .taken = info.tcpi_bytes_acked,
			      .sent = info.tcpi_bytes_acked + (uint64_t)waiting,
			      .silent = info.tcpi_last_ack_recv };
	return true;
}
