/*
 * running.c - see running.h.
 *
 * A configuration comes into force at the start and with a reload, in the same two steps: what it
 * needs is opened first, which may fail; then it is taken, which cannot.
 */
#include "process/running.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "process/configure.h"
#include "process/shared.h"

struct running running;

/* When certificates were last looked at, seconds since the epoch. */
static int64_t expiry_looked;

void running_begin(bool verbose)
{
	running.verbose = verbose;
	expiry_looked = (int64_t)time(NULL);
}

void running_take(struct config *c)
{
	if (!running.started)
		running.started = config_ref(c);
	config_unref(running.config);
	running.config = c;
	configure_log(c, running.verbose);
}

static const char *path_of(size_t i, void *config)
{
	return ((const struct config *)config)->endpoints[i].path;
}

/* Workers find the labels of endpoints when they get the configuration. */
void running_listen(void)
{
	metrics_label_all(shared.metrics, running.config->endpoint_count, path_of, running.config);
	sockets_commit(&running.sockets, running.config);
	atomic_store(&shared.metrics->certificate_expires, config_first_expiry(running.config));
}

int running_drain(const char *endpoint)
{
	char *copy = strdup(endpoint);

	if (!copy)
		return -1;
	free(running.drained);
	running.drained = copy;
	return 0;
}

void running_undrain(void)
{
	free(running.drained);
	running.drained = NULL;
}

void running_enter(enum phase phase)
{
	if (phase > running.phase)
		running.phase = phase;
}

static void warn_invalid(const char *line, void *arg)
{
	(void)arg;
	log_warning(LOG_OF(CONFIG_WARNING), "%s", line);
}

/*
 * The parser warns at start and at a reload; this is for those who do neither for weeks. By
 * wall time, as certificates have it: a day that a suspended machine has missed is made up for.
 */
void running_tick(void)
{
	int64_t now = (int64_t)time(NULL);

	config_each_invalid(running.config, expiry_looked, now, warn_invalid, NULL);
	expiry_looked = now;
}

void running_end(void)
{
	sockets_close(&running.sockets);
	running_undrain();
	config_unref(running.config);
	config_unref(running.started);
	running.config = running.started = NULL;
}
