/*
 * runtime.c - see runtime.h. Everything is done relative to the folder's
 * descriptor and follows no links.
 */
#include "process/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define RELOAD_NEW RUNTIME_RELOAD_FILE ".new"

static struct {
	int dir, pid_file; /* -1: not in use */
	unsigned long long count; /* of reloads */
	char *lines;
	size_t len;
} runtime = { -1, -1, 0, NULL, 0 };

static int fail(const char *dir, const char *what)
{
	log_err(NULL, "runtime_dir %s: %s: %s", dir, what, strerror(errno));
	return -1;
}

static int write_pid(void)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	return ftruncate(runtime.pid_file, 0) == 0 &&
			       pwrite(runtime.pid_file, text, (size_t)n, 0) == n
		       ? 0
		       : -1;
}

static void write_outcome(const char *state)
{
	int fd = openat(runtime.dir, RELOAD_NEW,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (runtime.dir < 0)
		return;
	if (fd < 0 || dprintf(fd, "%llu %s\n", runtime.count, state) < 0 ||
	    write(fd, runtime.lines ? runtime.lines : "", runtime.len) != (ssize_t)runtime.len ||
	    renameat(runtime.dir, RELOAD_NEW, runtime.dir, RUNTIME_RELOAD_FILE) < 0)
		log_warning(NULL, "cannot write the outcome of the reload to runtime_dir: %s",
			    strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void forget_lines(void)
{
	free(runtime.lines);
	runtime.lines = NULL;
	runtime.len = 0;
}

int runtime_open(const char *dir)
{
	if (!dir)
		return 0;
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return fail(dir, "cannot make it");
	runtime.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runtime.dir < 0)
		return fail(dir, "cannot open it");
	runtime.pid_file = openat(runtime.dir, RUNTIME_PID_FILE,
				  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (runtime.pid_file < 0)
		return fail(dir, "cannot write " RUNTIME_PID_FILE);
	if (flock(runtime.pid_file, LOCK_EX | LOCK_NB) < 0) {
		fail(dir, errno == EWOULDBLOCK ? "another ignyxd uses it" : "cannot lock it");
		/* The files are the other's. */
		close(runtime.pid_file);
		close(runtime.dir);
		runtime.pid_file = runtime.dir = -1;
		return -1;
	}
	if (write_pid() < 0)
		return fail(dir, "cannot write " RUNTIME_PID_FILE);
	write_outcome("applied");
	return 0;
}

void runtime_close(void)
{
	if (runtime.dir < 0)
		return;
	unlinkat(runtime.dir, RUNTIME_RELOAD_FILE, 0);
	unlinkat(runtime.dir, RUNTIME_PID_FILE, 0);
	close(runtime.pid_file);
	close(runtime.dir);
	runtime.pid_file = runtime.dir = -1;
	forget_lines();
}

void runtime_reload_begin(void)
{
	if (runtime.dir < 0)
		return;
	forget_lines();
	runtime.count++;
	write_outcome("running");
}

void runtime_reload_line(const char *line)
{
	size_t n = strlen(line);
	char *p;

	if (runtime.dir < 0)
		return;
	p = realloc(runtime.lines, runtime.len + n + 1);
	if (!p)
		return;
	memcpy(p + runtime.len, line, n);
	p[runtime.len + n] = '\n';
	runtime.lines = p;
	runtime.len += n + 1;
}

void runtime_reload_end(bool applied, const char *summary)
{
	if (runtime.dir < 0)
		return;
	runtime_reload_line(summary);
	write_outcome(applied ? "applied" : "refused");
	forget_lines();
}
