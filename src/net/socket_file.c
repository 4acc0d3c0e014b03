/*
 * socket_file.c - see socket_file.h.
 *
 * A file is opened for its place alone (O_PATH), which works for sockets, and without
 * following a link; what is done to it goes by that descriptor. To remove one takes a name
 * in its folder, which is open meanwhile.
 */
#include "net/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
	int dir;
	const char *name; /* in it */
	int file; /* opened for its place alone */
	struct stat st; /* of it */
};

static void close_place(const struct place *p)
{
	const int error = errno;

	if (p->file >= 0)
		close(p->file);
	if (p->dir >= 0)
		close(p->dir);
	errno = error;
}

/* Links are followed to the folder, for that is whoever's who wrote the path. */
static int open_place(const char *path, struct place *p)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];

	*p = (struct place){ .dir = -1, .file = -1, .name = slash ? slash + 1 : path };
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		 slash ? path : ".");
	p->dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->dir >= 0)
		p->file = openat(p->dir, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (p->file >= 0 && fstat(p->file, &p->st) == 0)
		return 0;
	close_place(p);
	return -1;
}

static bool is_same(const struct stat *st, dev_t dev, ino_t ino)
{
	return st->st_dev == dev && st->st_ino == ino;
}

static int fail_with(int error)
{
	errno = error;
	return -1;
}

int socket_file_find(const char *path, bool own, struct socket_file *f)
{
	struct place p;

	if (open_place(path, &p) < 0)
		return -1;
	close_place(&p);
	if (!S_ISSOCK(p.st.st_mode) || (own && p.st.st_uid != geteuid()))
		return fail_with(EEXIST);
	*f = (struct socket_file){ p.st.st_dev, p.st.st_ino };
	return 0;
}

/* chmod has no way to say "this descriptor" for such a one but this. */
static void name_of(int fd, char *out, size_t size)
{
	snprintf(out, size, "/proc/self/fd/%d", fd);
}

static int change_rights(const struct place *p, mode_t mode, gid_t group)
{
	char name[32];

	/* what is so already may be another user's */
	if (p->st.st_gid != group && fchownat(p->file, "", (uid_t)-1, group, AT_EMPTY_PATH) < 0)
		return -1;
	if ((p->st.st_mode & 07777) == mode)
		return 0;
	name_of(p->file, name, sizeof(name));
	return chmod(name, mode);
}

int socket_file_set_rights(const char *path, const struct socket_file *f, mode_t mode, gid_t group)
{
	struct place p;
	int r;

	if (open_place(path, &p) < 0)
		return -1;
	r = is_same(&p.st, f->dev, f->ino) ? change_rights(&p, mode, group) : fail_with(ENOENT);
	close_place(&p);
	return r;
}

/* What stands there now, a moment later, may be put there by the folder's owner: his loss. */
static int remove_from(const struct place *p)
{
	struct stat now;

	if (fstatat(p->dir, p->name, &now, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_same(&now, p->st.st_dev, p->st.st_ino))
		return 0;
	return unlinkat(p->dir, p->name, 0);
}

void socket_file_remove(const char *path, const struct socket_file *f)
{
	struct place p;

	if (open_place(path, &p) < 0)
		return;
	if (is_same(&p.st, f->dev, f->ino))
		remove_from(&p);
	close_place(&p);
}

/* Whether somebody accepts on it; a refusal tells a stale file. */
static bool is_in_use(const struct place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool stale;

	if (fd < 0)
		return true;
	name_of(p->file, a.sun_path, sizeof(a.sun_path));
	stale = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED;
	close(fd);
	return !stale;
}

static int clear_place(const struct place *p)
{
	if (!S_ISSOCK(p->st.st_mode))
		return fail_with(EEXIST);
	if (is_in_use(p))
		return fail_with(EADDRINUSE);
	/* Others remove what the kernel lets them. */
	if (geteuid() == 0 && p->st.st_uid != 0)
		return fail_with(EEXIST);
	return remove_from(p);
}

int socket_file_make_way(const char *path)
{
	struct place p;
	int r;

	if (open_place(path, &p) < 0)
		return errno == ENOENT ? 0 : -1;
	r = clear_place(&p);
	close_place(&p);
	return r;
}
