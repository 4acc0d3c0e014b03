/* tcp_pair.h - a connection of TCP, both ends of which are the test's. */
#ifndef UNIT_TCP_PAIR_H
#define UNIT_TCP_PAIR_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Returns the end that was accepted, which is non-blocking; *peer has room for little. */
static inline int tcp_pair(int *peer)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd, few = 4096;
	socklen_t len = sizeof(a);

	*peer = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	setsockopt(*peer, SOL_SOCKET, SO_RCVBUF, &few, sizeof(few));
	assert_int_equal(connect(*peer, (struct sockaddr *)&a, len), 0);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

#endif
