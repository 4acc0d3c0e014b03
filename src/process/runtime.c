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
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define RELOAD_NEW RUNTIME_RELOAD_FILE ".new"

/* Bytes that the outcome file has on its file system whatever is in it: a block. */
enum { OUTCOME_KEPT = 4096 };

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

static int write_new(const char *state)
{
	int fd = openat(runtime.dir, RELOAD_NEW,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	bool ok =
		fd >= 0 &&
		(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, OUTCOME_KEPT) == 0 || errno == EOPNOTSUPP) &&
		dprintf(fd, "%llu %s\n", runtime.count, state) > 0 &&
		write(fd, runtime.lines ? runtime.lines : "", runtime.len) ==
			(ssize_t)runtime.len &&
		renameat(runtime.dir, RELOAD_NEW, runtime.dir, RUNTIME_RELOAD_FILE) == 0;
	int error = errno;

	if (fd >= 0)
		close(fd);
	if (!ok)
		unlinkat(runtime.dir, RELOAD_NEW, 0);
	errno = error;
	return ok ? 0 : -1;
}

/* In the block that the file in place has, as much as that holds. */
static int overwrite(const char *state)
{
	char text[OUTCOME_KEPT];
	int fd = openat(runtime.dir, RUNTIME_RELOAD_FILE, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	int most = (int)sizeof(text) - 64,
	    len = runtime.len < (size_t)most ? (int)runtime.len : most;
	int n = snprintf(text, sizeof(text), "%llu %s\n%.*s%s", runtime.count, state, len,
			 runtime.lines ? runtime.lines : "",
			 len == most ? "... see the log\n" : "");
	bool ok = fd >= 0 && pwrite(fd, text, (size_t)n, 0) == n && ftruncate(fd, n) == 0;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : -1;
}

/* Who waits for the outcome is told it on a full file system, too. */
static int write_outcome(const char *state)
{
	if (write_new(state) == 0 || overwrite(state) == 0)
		return 0;
	log_warning(NULL, "cannot write the outcome of the reload to runtime_dir: %s",
		    strerror(errno));
	return -1;
}

/* What else is locked stays so. */
static void set_told(bool told)
{
	struct flock byte = { .l_type = told ? F_WRLCK : F_UNLCK,
			      .l_whence = SEEK_SET,
			      .l_start = RUNTIME_TOLD_BYTE,
			      .l_len = 1 };

	fcntl(runtime.pid_file, F_SETLK, &byte);
}

static void forget_lines(void)
{
	free(runtime.lines);
	runtime.lines = NULL;
	runtime.len = 0;
}

/* By the kernel's own book, so that who wants to signal us need not believe what is in the file. */
static int lock(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(runtime.pid_file, F_SETLK, &whole);
}

/* Whether the name still leads to the file that is open. */
static bool is_in_place(void)
{
	struct stat open, named;

	return fstat(runtime.pid_file, &open) == 0 &&
	       fstatat(runtime.dir, RUNTIME_PID_FILE, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

/* What is wrong with the file, which may have been there. NULL: nothing. */
static const char *check_pid_file(void)
{
	struct stat st;

	if (fstat(runtime.pid_file, &st) < 0)
		return strerror(errno);
	if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
		return "it is not a file of its own; remove it";
	return st.st_uid == geteuid() ? NULL : "it belongs to another user; remove it";
}

static int open_pid_file(const char *dir)
{
	const char *wrong;

	/* non-blocking, for there may be a FIFO */
	runtime.pid_file =
		openat(runtime.dir, RUNTIME_PID_FILE,
		       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
	if (runtime.pid_file < 0)
		return fail(dir, "cannot write " RUNTIME_PID_FILE);
	wrong = check_pid_file();
	if (wrong)
		log_err(NULL, "runtime_dir %s: cannot use " RUNTIME_PID_FILE ": %s", dir, wrong);
	return wrong ? -1 : 0;
}

/* Who ends meanwhile removes the file; a lock of that one would be worth nothing. */
static int take_pid_file(const char *dir)
{
	for (;;) {
		if (open_pid_file(dir) < 0)
			return -1;
		if (lock() < 0)
			return fail(dir, errno == EAGAIN || errno == EACCES
						 ? "another ignyxd uses it"
						 : "cannot lock it");
		if (is_in_place())
			return 0;
		close(runtime.pid_file);
	}
}

static void close_files(void)
{
	if (runtime.pid_file >= 0)
		close(runtime.pid_file);
	close(runtime.dir);
	runtime.pid_file = runtime.dir = -1;
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
	if (take_pid_file(dir) < 0) {
		/* The files are another's. */
		close_files();
		return -1;
	}
	if (write_pid() < 0)
		return fail(dir, "cannot write " RUNTIME_PID_FILE);
	/* of an earlier run, which may hold anything */
	unlinkat(runtime.dir, RUNTIME_RELOAD_FILE, 0);
	return write_new("applied") == 0 ? 0 : fail(dir, "cannot write " RUNTIME_RELOAD_FILE);
}

void runtime_close(void)
{
	if (runtime.dir < 0)
		return;
	if (is_in_place()) {
		unlinkat(runtime.dir, RUNTIME_RELOAD_FILE, 0);
		unlinkat(runtime.dir, RUNTIME_PID_FILE, 0);
	}
	close_files();
	forget_lines();
}

void runtime_reload_begin(void)
{
	if (runtime.dir < 0)
		return;
	forget_lines();
	runtime.count++;
	set_told(true);
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
	if (write_outcome(applied ? "applied" : "refused") < 0)
		set_told(false);
	forget_lines();
}
