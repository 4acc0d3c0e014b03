/*
 * command.c - see command.h.
 *
 * Neither command is the daemon: they share with it how a configuration is read, so that what is
 * said here of a file is what the daemon would say, and the files by which it is found.
 */
#include "process/command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "process/configure.h"
#include "process/master.h"
#include "process/reload_client.h"
#include "process/runtime.h"

static void print_error(bool warning, const char *line, void *arg)
{
	(void)arg;
	fprintf(stderr, "%s%s\n", warning ? "warning: " : "", line);
}

int command_check(const struct master_options *options)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *c;
	size_t n;

	configure_raise_limits();
	if (configure_become_user(options->file) < 0)
		return MASTER_FAILED;
	e = config_errors_new();
	c = configure_load(options->file, 1, &source, e);
	if (configure_stays_root(c))
		print_error(true,
			    "checked as root, who may read all files: check as the user that "
			    "the daemon runs as",
			    NULL);
	config_errors_each(e, print_error, NULL);
	n = config_errors_count(e);
	if (c)
		printf("%s: configuration is valid\n", options->file);
	else
		fprintf(stderr, "%s: %zu error%s\n", options->file, n, n == 1 ? "" : "s");
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return c ? MASTER_OK : MASTER_FAILED;
}

/* That of the unit that comes with the program. */
#define UNIT_RUNTIME_DIR "/run/ignyxd"

static bool is_in_use(const char *dir)
{
	char file[PATH_MAX];

	snprintf(file, sizeof(file), "%s/" RUNTIME_PID_FILE, dir);
	return access(file, F_OK) == 0;
}

/* Of the service, if that runs. With -c the file that is meant may be of another daemon. */
static char *unit_runtime_dir(bool file_given)
{
	if (!is_in_use(UNIT_RUNTIME_DIR))
		return NULL;
	fprintf(stderr, file_given ? "ignyxd: a daemon runs with " UNIT_RUNTIME_DIR
				     "; to reload that one, leave -c out\n"
				   : "ignyxd: reloading the daemon of " UNIT_RUNTIME_DIR "\n");
	return file_given ? NULL : strdup(UNIT_RUNTIME_DIR);
}

/*
 * Where the daemon keeps its pid file: the configuration says (NULL: it does not), or the service
 * manager, also when the file was edited to say something else, which needs a restart. Who asks by
 * hand has nothing from the service manager, but its daemon is where the unit has it.
 */
static char *runtime_dir(const char *configured, bool file_given)
{
	const char *env = getenv("RUNTIME_DIRECTORY");
	char *dir = env ? strndup(env, strcspn(env, ":")) : NULL;

	if (!configured || (dir && is_in_use(dir) && !is_in_use(configured)))
		return dir ? dir : unit_runtime_dir(file_given);
	free(dir);
	return strdup(configured);
}

/*
 * What else is in the file is the daemon's to judge: it has other limits and rights than this
 * process. Only where nothing says where the daemon is, what is wrong with the file is told here.
 */
int command_reload(const struct master_options *options)
{
	const char *pid = getenv("MAINPID");
	struct config_errors *e = config_errors_new();
	char *configured = config_find_runtime_dir(options->file, e);
	char *dir = runtime_dir(configured, options->file_given);
	int r = MASTER_FAILED;

	if (dir || config_errors_count(e) == 0) {
		r = reload_client(dir, pid ? strtol(pid, NULL, 10) : 0);
	} else {
		config_errors_each(e, print_error, NULL);
		fprintf(stderr, "%s has errors (%zu): the daemon was not asked to reload\n",
			options->file, config_errors_count(e));
	}
	free(configured);
	free(dir);
	config_errors_free(e);
	return r;
}
