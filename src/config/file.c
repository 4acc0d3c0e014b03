/*
 * file.c - see file.h.
 */
#include "config/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/alloc.h"

/* Space for more; no copy of what may be a key is left behind. */
static char *grow(char *bytes, size_t len, size_t *cap)
{
	char *more;

	if (*cap - len > 4096)
		return bytes;
	*cap = 2 * (len + 4096) + 1;
	more = alloc_zero(*cap, 1);
	if (len != 0)
		memcpy(more, bytes, len);
	alloc_free_secret(bytes, len);
	return more;
}

const char *file_read(int fd, size_t max, const char *too_large, char **bytes, size_t *len)
{
	size_t cap = 0;

	*bytes = NULL;
	*len = 0;
	for (;;) {
		ssize_t n;

		*bytes = grow(*bytes, *len, &cap);
		n = read(fd, *bytes + *len, cap - *len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return strerror(errno);
		if (n == 0)
			return NULL;
		*len += (size_t)n;
		if (*len > max)
			return too_large;
	}
}

/* Why a file cannot be opened; who may not is told, for root is not who the daemon is then. */
static const char *open_error(int error)
{
	static char text[256];
	const struct passwd *pw;

	if (error != EACCES)
		return strerror(error);
	pw = getpwuid(geteuid());
	if (pw == NULL)
		return strerror(error);
	snprintf(text, sizeof(text), "%s for the user \"%s\"", strerror(error), pw->pw_name);
	return text;
}

int file_open(const char *name, struct stat *st, const char **why)
{
	/* non-blocking, or opening a FIFO waits for a writer */
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0) {
		*why = open_error(errno);
		return -1;
	}
	if (fstat(fd, st) < 0)
		*why = strerror(errno);
	else if (S_ISDIR(st->st_mode))
		*why = "it is a directory";
	else if (!S_ISREG(st->st_mode))
		*why = "it is not a regular file";
	else
		return fd;
	close(fd);
	return -1;
}

char *file_beside(const char *file, const char *name)
{
	const char *slash = strrchr(file, '/');

	if (*name == '/' || slash == NULL)
		return alloc_string(name);
	return alloc_format("%.*s%s", (int)(slash - file) + 1, file, name);
}
