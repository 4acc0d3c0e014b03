/*
 * reload_client.c - see reload_client.h.
 *
 * The outcome file has a count, which moves when a reload begins. The one that
 * answers our signal is the next after the count we saw: a reload that was running
 * then may have read the configuration before it was edited.
 */
#include "process/reload_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "process/runtime.h"

enum { WAIT_MAX = 90, OUTCOME_MAX = 65536, LOOK_EVERY = 1000 };

struct outcome {
	unsigned long long count;
	char state[16];
	char text[OUTCOME_MAX];
};

static int complain(const char *what, const char *detail)
{
	fprintf(stderr, "ignyxd: %s%s\n", what, detail);
	return 1;
}

static int read_file(int dir, const char *name, char *out, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -1;
	out[n] = '\0';
	return 0;
}

static int read_outcome(int dir, struct outcome *o)
{
	if (read_file(dir, RUNTIME_RELOAD_FILE, o->text, sizeof(o->text)) < 0)
		return -1;
	return sscanf(o->text, "%llu %15s", &o->count, o->state) == 2 ? 0 : -1;
}

/*
 * The daemon holds a lock on its pid file: a file without one is left over. 0: no daemon;
 * -1: there is a file that cannot be read.
 */
static long read_pid(int dir)
{
	int fd = openat(dir, RUNTIME_PID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	char text[32];

	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	close(fd);
	if (!held || read_file(dir, RUNTIME_PID_FILE, text, sizeof(text)) < 0)
		return 0;
	return strtol(text, NULL, 10);
}

static bool gone(long pid)
{
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void print_text(const struct outcome *o, FILE *to)
{
	const char *lines = strchr(o->text, '\n');

	if (lines)
		fputs(lines + 1, to);
}

static int wait_for(int dir, int watch, long pid, unsigned long long count, struct outcome *o)
{
	struct pollfd p = { .fd = watch, .events = POLLIN };
	time_t until = time(NULL) + WAIT_MAX;
	char events[4096];

	while (time(NULL) < until) {
		if (read_outcome(dir, o) == 0 && o->count >= count &&
		    strcmp(o->state, "running") != 0) {
			bool applied = strcmp(o->state, "applied") == 0;

			print_text(o, applied ? stdout : stderr);
			return applied ? 0 : 1;
		}
		if (gone(pid))
			return complain("the daemon ended during the reload; see its log", "");
		if (poll(&p, 1, LOOK_EVERY) > 0 && read(watch, events, sizeof(events)) < 0)
			break;
	}
	return complain("the daemon did not say in time what came of the reload; see its log", "");
}

static int request(int dir, int watch, long pid)
{
	static struct outcome o;
	unsigned long long next;

	if (pid <= 0)
		pid = read_pid(dir);
	if (pid < 0)
		return complain("cannot read " RUNTIME_PID_FILE " in runtime_dir: ",
				strerror(errno));
	if (pid == 0)
		return complain("no daemon runs with this runtime_dir", "");
	if (read_outcome(dir, &o) < 0)
		return complain("cannot read the outcome file in runtime_dir: ", strerror(errno));
	next = o.count + 1;
	if (kill((pid_t)pid, SIGHUP) < 0)
		return complain("cannot signal the daemon: ", strerror(errno));
	return wait_for(dir, watch, pid, next, &o);
}

int reload_client(const char *runtime_dir, long main_pid)
{
	int dir, watch, r;

	if (!runtime_dir)
		return complain("to reload with -r set \"runtime_dir\" in the configuration and "
				"restart the daemon, or send it SIGHUP",
				"");
	dir = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		fprintf(stderr, "ignyxd: runtime_dir %s: %s\n", runtime_dir, strerror(errno));
		return 1;
	}
	watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch < 0 || inotify_add_watch(watch, runtime_dir, IN_MOVED_TO) < 0)
		r = complain("cannot watch runtime_dir: ", strerror(errno));
	else
		r = request(dir, watch, main_pid);
	if (watch >= 0)
		close(watch);
	close(dir);
	return r;
}
