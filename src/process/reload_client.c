/*
 * reload_client.c - see reload_client.h.
 *
 * The outcome file has a count, which moves when a reload begins. The one that
 * answers our signal is the next after the count we saw: a reload that was running
 * then may have read the configuration before it was edited.
 *
 * Root asks as well, and the files are those of a user whom root need not trust. So
 * nothing that they say is acted on: whom to signal is told by the kernel, who knows who
 * holds the lock of the pid file, and must run as that file's owner.
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
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "process/runtime.h"

/* Seconds, bytes, milliseconds. */
enum { WAIT_MAX = 90, HEARD_MAX = 1, OUTCOME_MAX = 65536, LOOK_EVERY = 1000 };

/* Descriptors of the folder, an inotify instance that watches it, and its pid file or -1. */
struct place {
	int dir, watch, pid_file;
};

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

/* The same, for who returns a descriptor. */
static int none(const char *what, const char *detail)
{
	complain(what, detail);
	return -1;
}

/* A file of ours, not one that would block or have no end. -1: errno is set. */
static int open_file(int dir, const char *name, struct stat *st)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (fstat(fd, st) == 0 && S_ISREG(st->st_mode))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

static int read_file(int dir, const char *name, char *out, size_t size)
{
	struct stat st;
	int fd = open_file(dir, name, &st);
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

/* 0: nobody whom this process could see; -1: errno is set. */
static pid_t lock_holder(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &l) < 0)
		return -1;
	return l.l_type == F_UNLCK ? 0 : l.l_pid;
}

static bool runs_as(pid_t pid, uid_t uid)
{
	char name[32], text[4096], *at;
	unsigned real, effective;

	snprintf(name, sizeof(name), "/proc/%ld/status", (long)pid);
	if (read_file(AT_FDCWD, name, text, sizeof(text)) < 0)
		return false;
	at = strstr(text, "\nUid:");
	return at && sscanf(at, "\nUid: %u %u", &real, &effective) == 2 && real == uid &&
	       effective == uid;
}

/* Still holding it behind the opening, the process is the one that was opened. */
static int open_holder(int fd, const struct stat *st)
{
	pid_t pid = lock_holder(fd);
	int process;

	if (pid <= 0)
		return none("no daemon runs with this runtime_dir", "");
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process < 0)
		return none("cannot find the daemon: ", strerror(errno));
	if (lock_holder(fd) == pid && st->st_nlink == 1 && runs_as(pid, st->st_uid))
		return process;
	close(process);
	return none(RUNTIME_PID_FILE " in runtime_dir is locked by a process that does not run as "
				     "the file's owner: that is no ignyxd",
		    "");
}

/* A file without a lock is left over; one that could not be opened left errno. -1: told. */
static int open_daemon(int pid_file, const struct stat *st)
{
	if (pid_file < 0 && errno == ENOENT)
		return none("no daemon runs with this runtime_dir", "");
	if (pid_file < 0)
		return none("cannot read " RUNTIME_PID_FILE " in runtime_dir: ", strerror(errno));
	return open_holder(pid_file, st);
}

/* The service manager knows it. -1: told. */
static int open_main(long pid)
{
	int process = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);

	if (process < 0)
		complain("cannot find the daemon: ", strerror(errno));
	return process;
}

/* For the service manager what came of it stands in the daemon's log, which gets our words too. */
static bool daemon_tells(void)
{
	return getenv("MAINPID") != NULL;
}

/* It can act on no terminal, whoever wrote it. */
static void print_text(const struct outcome *o, FILE *to)
{
	const char *lines = strchr(o->text, '\n');

	for (const char *p = lines ? lines + 1 : ""; *p; p++)
		fputc((unsigned char)*p < ' ' && *p != '\n' ? '?' : *p, to);
}

/* Not of the clock on the wall, which may be set meanwhile. */
static time_t seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

/* The daemon could not write the outcome, and says so with its lock. */
static bool is_lost(int pid_file)
{
	struct flock l = {
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = RUNTIME_TOLD_BYTE, .l_len = 1
	};

	return pid_file >= 0 && fcntl(pid_file, F_GETLK, &l) == 0 && l.l_type == F_UNLCK;
}

static int wait_for(const struct place *in, int process, unsigned long long count,
		    struct outcome *o)
{
	/* a process can be read from when it has ended */
	struct pollfd p[] = { { .fd = in->watch, .events = POLLIN },
			      { .fd = process, .events = POLLIN } };
	/* until it has our signal the lock is of an earlier reload */
	time_t heard = seconds() + HEARD_MAX, until = seconds() + WAIT_MAX;
	char events[4096];

	while (seconds() < until) {
		if (read_outcome(in->dir, o) == 0 && o->count >= count &&
		    strcmp(o->state, "running") != 0) {
			bool applied = strcmp(o->state, "applied") == 0;

			if (!daemon_tells())
				print_text(o, applied ? stdout : stderr);
			return applied ? 0 : 1;
		}
		if (p[1].revents)
			return complain("the daemon ended during the reload; see its log", "");
		if (seconds() > heard && is_lost(in->pid_file))
			return complain("the daemon cannot write to runtime_dir what came of the "
					"reload; see its log",
					"");
		if (poll(p, 2, LOOK_EVERY) > 0 && p[0].revents &&
		    read(in->watch, events, sizeof(events)) < 0)
			break;
	}
	return complain("the daemon did not say in time what came of the reload; see its log", "");
}

static int request(const struct place *in, int process)
{
	static struct outcome o;
	unsigned long long next;

	if (read_outcome(in->dir, &o) < 0)
		return complain("cannot read the outcome file in runtime_dir: ", strerror(errno));
	next = o.count + 1;
	if (syscall(SYS_pidfd_send_signal, process, SIGHUP, NULL, 0) < 0)
		return complain("cannot signal the daemon: ", strerror(errno));
	return wait_for(in, process, next, &o);
}

static int find_and_request(struct place *in, long main_pid)
{
	struct stat st;
	int process, r = 1;

	in->pid_file = open_file(in->dir, RUNTIME_PID_FILE, &st);
	process = main_pid > 0 ? open_main(main_pid) : open_daemon(in->pid_file, &st);
	if (process >= 0) {
		r = request(in, process);
		close(process);
	}
	if (in->pid_file >= 0)
		close(in->pid_file);
	return r;
}

int reload_client(const char *runtime_dir, long main_pid)
{
	struct place in;
	int r;

	if (!runtime_dir)
		return complain("to reload with -r set \"runtime_dir\" in the configuration and "
				"restart the daemon, or send it SIGHUP",
				"");
	in.dir = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in.dir < 0) {
		fprintf(stderr, "ignyxd: runtime_dir %s: %s\n", runtime_dir, strerror(errno));
		return 1;
	}
	in.watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (in.watch < 0 ||
	    inotify_add_watch(in.watch, runtime_dir, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		r = complain("cannot watch runtime_dir: ", strerror(errno));
	else
		r = find_and_request(&in, main_pid);
	if (in.watch >= 0)
		close(in.watch);
	close(in.dir);
	return r;
}
