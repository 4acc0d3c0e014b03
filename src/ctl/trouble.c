/*
 * trouble.c - see trouble.h. Whoever reads one of these sentences wants to go on, not to learn how
 * sockets work: each names the path, and what to do next.
 */
#include "ctl/trouble.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/ctl.h"

void trouble(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("ignyxctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

void *trouble_if_null(void *p)
{
	if (p)
		return p;
	trouble("out of memory");
	exit(CTL_FAILED);
}

static char *sentence(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *sentence(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	return trouble_if_null(n < 0 ? NULL : s);
}

static char *user_name(uid_t id)
{
	const struct passwd *pw = getpwuid(id);

	return pw ? sentence("%s", pw->pw_name) : sentence("%u", (unsigned)id);
}

static char *group_name(gid_t id)
{
	const struct group *g = getgrgid(id);

	return g ? sentence("%s", g->gr_name) : sentence("%u", (unsigned)id);
}

/* Whom a file is for by its mode, where each needs these bits (of "others") of it. */
static char *owners(const struct stat *st, mode_t bits)
{
	char *user = user_name(st->st_uid), *group = group_name(st->st_gid), *text;

	if (st->st_mode & bits << 3)
		text = sentence("is for user %s and members of group %s", user, group);
	else
		text = sentence("is for user %s alone", user);
	free(user);
	free(group);
	return text;
}

char *trouble_owners(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? owners(&st, 2) : sentence("is not to be seen");
}

/* The first folder of the path that we may not go through; NULL: there is none. */
static char *closed_folder(const char *path)
{
	for (const char *p = path; (p = strchr(p + 1, '/')) != NULL;) {
		char *folder = sentence("%.*s", (int)(p - path), path);

		if (access(folder, X_OK) < 0 && errno == EACCES)
			return folder;
		free(folder);
	}
	return NULL;
}

static char *no_right(const char *path)
{
	char *folder = closed_folder(path), *whom, *text;
	struct stat st;

	if (folder && stat(folder, &st) == 0)
		whom = owners(&st, 1);
	else
		whom = trouble_owners(path);
	text = sentence("you may not use %s: %s %s; ask as root, or as one of those", path,
			folder ? folder : "it", whom);
	free(folder);
	free(whom);
	return text;
}

char *trouble_socket(const char *path, int error)
{
	switch (error) {
	case EACCES:
	case EPERM:
		return no_right(path);
	case ENOENT:
		return sentence(
			"there is no %s: does ignyxd run (systemctl status ignyxd)? Does its "
			"configuration turn admin off, or have another path (then: -s)?",
			path);
	case ECONNREFUSED:
		return sentence("nobody answers at %s: does ignyxd run (systemctl status ignyxd)? "
				"What is in its log (journalctl -u ignyxd)?",
				path);
	case ENAMETOOLONG:
		return sentence("%s is too long for a socket: 107 bytes are the most", path);
	default:
		return sentence("cannot connect to %s: %s", path, strerror(error));
	}
}
