/*
 * machine.c - what depends on the machine.
 *
 * Numbers that stand for "as many as there are" are resolved once, here, so
 * that everything behind the snapshot sees plain numbers.
 */
#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <string.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "config/alloc.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/value.h"

enum { MEMORY_MIN = 1024 * 1024 };

static int64_t online_cpus(void)
{
	cpu_set_t set;
	int n;

	/* fails on a machine with more CPUs than the set has room for */
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return CONFIG_WORKERS_MAX;
	n = CPU_COUNT(&set);
	return n < CONFIG_WORKERS_MAX ? n : CONFIG_WORKERS_MAX;
}

static int64_t files_possible(void)
{
	struct rlimit limit = { .rlim_max = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max > INT32_MAX ? INT32_MAX : (int64_t)limit.rlim_max;
}

/* An eighth of the descriptors, or half of what is left for connections at all. */
static int64_t usual_handshakes(int64_t descriptors, int64_t possible)
{
	int64_t half = (possible + 1) / 2, eighth = descriptors / 8;

	return half < eighth ? half : eighth;
}

static void report_too_many(struct parse *p, const char *key, int64_t possible, int64_t wanted,
			    int64_t descriptors)
{
	config_report_error(&p->top, key,
			    "must be at most %lld, not %lld: the limit of open files "
			    "(RLIMIT_NOFILE) is %lld, of which %lld are needed otherwise",
			    (long long)possible, (long long)wanted, (long long)descriptors,
			    (long long)(descriptors - possible));
}

/* Of one worker: all may come to one. Those that are open and those before that share what it has. */
static void resolve_connections(struct parse *p)
{
	int64_t descriptors = files_possible(), possible = descriptors - CONFIG_FD_RESERVE;
	int64_t open = p->snapshot->written.max_connections;
	int64_t before = p->snapshot->written.max_handshakes;

	if (before == 0)
		before = usual_handshakes(descriptors, possible);
	if (possible < 2)
		config_report_error(&p->top, "max_connections",
				    "cannot be met: the limit of open files (RLIMIT_NOFILE) is "
				    "%lld, of which %d are needed otherwise",
				    (long long)descriptors, CONFIG_FD_RESERVE);
	else if (before >= possible)
		report_too_many(p, "max_handshakes", possible - 1, before, descriptors);
	else if (open > possible - before)
		report_too_many(p, "max_connections", possible - before, open, descriptors);
	p->config->max_handshakes = before;
	p->config->max_connections = open != 0 ? open : possible - before;
}

/* A quarter is for what peers make the workers keep; what their buffers in the kernel take is as much. */
static void resolve_memory(struct parse *p)
{
	int64_t wanted = p->snapshot->written.max_memory;

	if (wanted != 0 && wanted < MEMORY_MIN)
		config_report_error(&p->top, "max_memory", "must be 0 or at least 1M");
	p->config->max_memory = wanted != 0 ? wanted : ram_available() / 4 / p->config->workers;
}

/* Who has unpacked the source runs as that user already; asking may block it. */
static void check_user(struct parse *p)
{
	const char *user = p->config->user;

	if (user == NULL || p->source->unpacked)
		return;
	errno = 0;
	if (getpwnam(user) == NULL)
		config_report_error(&p->top, "user", "is \"%s\", who %s%s", user,
				    errno == 0 ? "does not exist" : "cannot be looked up: ",
				    errno == 0 ? "" : strerror(errno));
}

/* systemd may give several directories, with colons between them; the first is ours. */
static void resolve_runtime_dir(struct parse *p)
{
	const char *dirs = getenv("RUNTIME_DIRECTORY"), *written = p->snapshot->written.runtime_dir;

	if (written != NULL && *written != '/')
		config_report_error(&p->top, "runtime_dir", "must be an absolute path, not \"%s\"",
				    written);
	if (written != NULL)
		p->config->runtime_dir = alloc_string(written);
	else if (dirs != NULL && *dirs == '/')
		p->config->runtime_dir = alloc_bytes(dirs, strcspn(dirs, ":"));
}

void machine_resolve(struct parse *p)
{
	int64_t workers = p->snapshot->written.workers;

	p->config->workers = workers != 0 ? workers : online_cpus();
	resolve_memory(p);
	resolve_connections(p);
	resolve_runtime_dir(p);
	check_user(p);
}

/* Each worker has its own socket for an address, but a unix one, which all share. */
static int64_t sockets_needed(const struct config *c)
{
	int64_t n = c->admin.enabled ? (int64_t)c->admin.listener_count : 0;

	for (size_t i = 0; i < c->listener_count; i++)
		n += c->listeners[i].unix_path ? 1 : c->workers;
	return n;
}

/*
 * While a reload is decided the old sockets and the new ones are open. A start for which that
 * is too much would serve and then take no reload.
 */
void machine_check_files(struct parse *p)
{
	int64_t possible = files_possible();
	int64_t needed = CONFIG_FD_MASTER + 2 * sockets_needed(p->config);

	if (p->source->unpacked || possible - CONFIG_FD_RESERVE < 2 || needed <= possible)
		return;
	config_report_error(&p->top, "workers",
			    "and listeners need %lld open files together, and the limit of them "
			    "(RLIMIT_NOFILE) is %lld: raise it (ulimit -n, LimitNOFILE=)",
			    (long long)needed, (long long)possible);
}
