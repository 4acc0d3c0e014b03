/*
 * socket_file.h - the file of a unix socket: by what it is, not by where a path leads.
 *
 * Who may write to its folder can put another file, or a link, in its place at any
 * time. Nothing here changes or removes a file but the one that is meant. The
 * inode of a socket that is open is not given to another file.
 */
#ifndef NET_SOCKET_FILE_H
#define NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

struct socket_file {
	dev_t dev;
	ino_t ino;
};

/*
 * Notes the socket at the path. own: it must be this user's. -1: errno is set; EEXIST: it is
 * something else, such as a link.
 */
int socket_file_find(const char *path, bool own, struct socket_file *f)
	__attribute__((warn_unused_result));

/* Gives it mode and group. -1: errno is set; ENOENT: it is not there any more. */
int socket_file_set_rights(const char *path, const struct socket_file *f, mode_t mode, gid_t group)
	__attribute__((warn_unused_result));

/* Removes it, if it is there still. */
void socket_file_remove(const char *path, const struct socket_file *f);

/*
 * Removes a socket that nobody listens on. -1: errno is set; EADDRINUSE: somebody does;
 * EEXIST: it is something else, or root would remove what another user has left.
 */
int socket_file_make_way(const char *path) __attribute__((warn_unused_result));

#endif
