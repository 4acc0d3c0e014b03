/*
 * socket.c - listening sockets, see socket.h.
 *
 * What accepted sockets are to have - no delay, limits on data that are not sent and
 * that are not acknowledged - is set on the listening socket: Linux hands it down, which
 * saves system calls on every connection.
 */
#include "net/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/config.h"

union address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

static socklen_t make_address(const struct config_listener *l, int port, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (l->unix_path) {
		if (strlen(l->unix_path) >= sizeof(a->un.sun_path)) {
			errno = ENAMETOOLONG;
			return 0;
		}
		a->un.sun_family = AF_UNIX;
		memcpy(a->un.sun_path, l->unix_path, strlen(l->unix_path));
		return sizeof(a->un);
	}
	if (inet_pton(AF_INET, l->address, &a->in.sin_addr) == 1) {
		a->in.sin_family = AF_INET;
		a->in.sin_port = htons((uint16_t)port);
		return sizeof(a->in);
	}
	if (inet_pton(AF_INET6, l->address, &a->in6.sin6_addr) == 1) {
		a->in6.sin6_family = AF_INET6;
		a->in6.sin6_port = htons((uint16_t)port);
		return sizeof(a->in6);
	}
	errno = EINVAL;
	return 0;
}

static int close_with_errno(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

int socket_set_unsent(int fd, int bytes)
{
	return set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

size_t socket_unsent(int fd)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t len = sizeof(memory);
	int64_t kept;
	int unsent, all;

	/* in this order, for what is acknowledged in between is in no later one of them */
	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) < 0 ||
	    ioctl(fd, SIOCOUTQ, &all) < 0 || ioctl(fd, SIOCOUTQNSD, &unsent) < 0 || unsent == 0)
		return 0;
	kept = (int64_t)memory[SK_MEMINFO_WMEM_QUEUED] - (all - unsent);
	return kept > 0 ? (size_t)kept : 0;
}

static int set_tcp(int fd)
{
	if (set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return -1;
	return socket_set_unsent(fd, SOCKET_UNSENT_MAX);
}

static int open_tcp(const union address *a, bool reuse_port)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    (a->sa.sa_family == AF_INET6 && set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) < 0) ||
	    (reuse_port && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) || set_tcp(fd) < 0)
		return close_with_errno(fd);
	return fd;
}

static int port_of(const union address *a)
{
	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return 0;
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

int socket_port(int fd)
{
	union address a;
	socklen_t len = sizeof(a);

	return getsockname(fd, &a.sa, &len) < 0 ? -1 : port_of(&a);
}

static bool is_any(const union address *a)
{
	return a->sa.sa_family == AF_INET ? a->in.sin_addr.s_addr == htonl(INADDR_ANY)
					  : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

static bool same_host(const union address *a, const union address *b)
{
	return a->sa.sa_family == AF_INET
		       ? a->in.sin_addr.s_addr == b->in.sin_addr.s_addr
		       : IN6_ARE_ADDR_EQUAL(&a->in6.sin6_addr, &b->in6.sin6_addr);
}

bool socket_covers(int fd, const struct config_listener *l)
{
	union address a, wanted;
	socklen_t len = sizeof(a);

	if (l->unix_path || l->systemd || l->port == 0 || fd < 0 ||
	    make_address(l, (int)l->port, &wanted) == 0 || getsockname(fd, &a.sa, &len) < 0)
		return false;
	if (a.sa.sa_family != wanted.sa.sa_family || port_of(&a) != l->port)
		return false;
	return is_any(&a) || is_any(&wanted) || same_host(&a, &wanted);
}

int socket_probe(const struct config_listener *l)
{
	union address a;
	socklen_t len = make_address(l, (int)l->port, &a);
	int fd, port;

	if (len == 0 || (fd = open_tcp(&a, false)) < 0)
		return -1;
	if (bind(fd, &a.sa, len) < 0 || listen(fd, 1) < 0 || (port = socket_port(fd)) < 0)
		return close_with_errno(fd);
	close(fd);
	return port;
}

int socket_set_rights(const struct config_listener *l, const struct socket_file *file)
{
	gid_t group = l->group ? (gid_t)l->gid : getegid();

	return socket_file_set_rights(l->unix_path, file, (mode_t)l->mode, group);
}

/* The file has its mode from the moment that it is there. */
static int bind_unix(int fd, const struct config_listener *l, struct socket_file *file)
{
	union address a;
	socklen_t len = make_address(l, 0, &a);
	mode_t before;
	int r;

	if (len == 0 || socket_file_make_way(l->unix_path) < 0)
		return -1;
	before = umask(~(mode_t)l->mode & 0777);
	r = bind(fd, &a.sa, len);
	umask(before);
	return r == 0 ? socket_file_find(l->unix_path, true, file) : -1;
}

static int listen_unix(const struct config_listener *l, struct socket_file *file)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), saved;

	if (fd < 0)
		return -1;
	if (bind_unix(fd, l, file) < 0)
		return close_with_errno(fd);
	/* Nobody can connect before listen, so the group is right in time. */
	if (socket_set_rights(l, file) == 0 && listen(fd, (int)l->backlog) == 0)
		return fd;
	saved = errno;
	socket_file_remove(l->unix_path, file);
	close(fd);
	errno = saved;
	return -1;
}

int socket_listen(const struct config_listener *l, int port, struct socket_file *file)
{
	union address a;
	socklen_t len;
	int fd;

	if (l->unix_path)
		return listen_unix(l, file);
	len = make_address(l, port, &a);
	if (len == 0 || (fd = open_tcp(&a, true)) < 0)
		return -1;
	if (bind(fd, &a.sa, len) < 0 || listen(fd, (int)l->backlog) < 0)
		return close_with_errno(fd);
	return fd;
}

/* Whoever opened it may have taken ListenDatagram= or ListenFIFO= for ListenStream=. */
static bool takes_connections(int fd)
{
	int type = 0, listens = 0;
	socklen_t len = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0)
		return false;
	errno = EPROTOTYPE;
	return type == SOCK_STREAM && listens;
}

int socket_copy(int fd, const struct config_listener *l)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0), flags = own < 0 ? -1 : fcntl(own, F_GETFL);

	if (flags < 0 || !takes_connections(own) || fcntl(own, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    (!l->systemd && listen(own, (int)l->backlog) < 0))
		return own < 0 ? -1 : close_with_errno(own);
	if (socket_port(own) > 0)
		set_tcp(own);
	return own;
}

bool socket_is_shared(const struct config_listener *l)
{
	return l->unix_path || l->systemd;
}

void socket_set_patience(int fd, int64_t ms)
{
	if (socket_port(fd) > 0)
		set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)ms);
}

void socket_name(const struct config_listener *l, int port, char out[SOCKET_NAME_MAX])
{
	if (l->systemd)
		snprintf(out, SOCKET_NAME_MAX, "systemd:%s", l->systemd);
	else if (l->unix_path)
		snprintf(out, SOCKET_NAME_MAX, "unix:%s", l->unix_path);
	else
		snprintf(out, SOCKET_NAME_MAX, strchr(l->address, ':') ? "[%s]:%d" : "%s:%d",
			 l->address, port);
}
