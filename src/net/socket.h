/*
 * socket.h - opening listening sockets from their configuration.
 *
 * Every worker has a SO_REUSEPORT socket of its own for an address, so that the
 * kernel spreads connections; a unix socket, for which there is no such thing,
 * is shared by all.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/socket_file.h"

struct config_listener;

enum { SOCKET_NAME_MAX = 160 };

/*
 * Finds out whether another program listens on the address, which SO_REUSEPORT
 * alone would hide. Returns the port (that asked for, or a free one where 0
 * was asked for), or -1 with errno. TCP only.
 */
int socket_probe(const struct config_listener *l) __attribute__((warn_unused_result));

/*
 * Opens, binds and listens; port is what socket_probe returned. A unix socket
 * that nobody listens on is replaced; one in use is EADDRINUSE; *file is then its
 * file. Returns a non-blocking close-on-exec descriptor that the caller owns, or -1 with errno.
 */
int socket_listen(const struct config_listener *l, int port, struct socket_file *file)
	__attribute__((warn_unused_result));

/*
 * Makes a copy of a listening socket that somebody else opened, and of it what
 * socket_listen would have made. Returns it, the caller's to close, or -1 with errno.
 */
int socket_copy(int fd, const struct config_listener *l) __attribute__((warn_unused_result));

/* Whether workers have one socket of it together, which none of them may shut. */
bool socket_is_shared(const struct config_listener *l);

/* The port that a socket is bound to, 0 if it has none; -1: errno is set. */
int socket_port(int fd);

/*
 * Whether a listening socket has connections that l is for, all or some of them, so that it stands
 * in the way of a probe. l: any; those of TCP with a port that is not 0 alone can be covered.
 */
bool socket_covers(int fd, const struct config_listener *l);

/* When TCP gives up a peer of the connections to come, see config.patience; not for unix sockets. */
void socket_set_patience(int fd, int64_t ms);

/*
 * Bytes that the kernel takes beyond what it may send at once. Without it a peer that does not read
 * makes it keep 4 MiB, on top of what we keep. What is on its way does not count, so that a path
 * with a long delay is filled all the same.
 */
enum { SOCKET_UNSENT_MAX = 256 * 1024 };

/* Lets a TCP socket take so many of them. -1: errno is set; it is no TCP socket. */
int socket_set_unsent(int fd, int bytes);
/* What they take of its memory: half as much again, where the peer takes little at once. No TCP socket: 0. */
size_t socket_unsent(int fd);

/* Gives the file of a unix socket its mode and group. -1: errno is set; ENOENT: it is gone. */
int socket_set_rights(const struct config_listener *l, const struct socket_file *file)
	__attribute__((warn_unused_result));

/* How the socket is named in logs: "127.0.0.1:8080", "[::1]:8080", "unix:/run/x", "systemd:ws". */
void socket_name(const struct config_listener *l, int port, char out[SOCKET_NAME_MAX]);

#endif
