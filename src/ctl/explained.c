/*
 * explained.c - see explained.h.
 *
 * Who judges is the daemon's program, as it would: it is run in the place of this one. The token goes to
 * it by stdin, never by its command line, where every user of the machine can read it.
 */
#include "ctl/explained.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/arguments.h"
#include "ctl/ask.h"
#include "ctl/trouble.h"

static int open_token(const char *file)
{
	int fd;

	if (strcmp(file, "-") == 0)
		return 0;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || dup2(fd, STDIN_FILENO) < 0) {
		trouble("%s: %s", file, strerror(errno));
		return -1;
	}
	return 0;
}

/* Beside this program, or where it is installed: in another folder than this one. */
static void run_daemon(char *const *argv)
{
	static const char *const places[] = { "ignyxd", "../sbin/ignyxd" };
	char own[PATH_MAX], path[PATH_MAX + 32];
	const ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	own[n > 0 ? n : 0] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(*places); i++) {
		snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - own), own, places[i]);
		execv(path, argv);
	}
	execvp("ignyxd", argv);
	trouble("ignyxd, which is to judge the token, cannot be run: %s", strerror(errno));
}

int explained_token(const struct arguments *a)
{
	const char *endpoint = a->option[OPTION_CHECK_ENDPOINT],
		   *config = a->option[OPTION_CHECK_CONFIG];
	const char *argv[] = {
		"ignyxd", "--explain-token", endpoint, config ? "-c" : NULL, config ? config : NULL,
		NULL
	};

	if (!endpoint || a->count > 2) {
		trouble("token check takes FILE, or -, and --endpoint PATH");
		return CTL_USAGE;
	}
	if (open_token(a->words[1]) < 0)
		return CTL_FAILED;
	fflush(stdout);
	run_daemon((char *const *)argv);
	return CTL_FAILED;
}
