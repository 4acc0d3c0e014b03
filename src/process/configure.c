/*
 * configure.c - see configure.h.
 *
 * The configuration says as whom to run, and files are to be read as that user, so that what
 * works at a start works at a reload: so it is read once to learn the user, and then again.
 */
#include "process/configure.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "config/errors.h"
#include "net/tls.h"
#include "process/user.h"
#include "session/listener.h"

void configure_raise_limits(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void note_unusable(const struct config_listener *l, const char *which, const char *why,
			  struct config_errors *e)
{
	errors_add(e, false, (struct config_place){ l->file, (unsigned)l->line, 0 },
		   "%s: tls: OpenSSL cannot use this: %s", which, why);
}

/* What only making it shows, such as a key that is too short for OpenSSL's taste. */
static bool check_listeners(const struct config *c, struct config_errors *e)
{
	bool ok = true;

	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *l = &c->listeners[i];
		const char *why;
		struct listener *made = listener_new(l, NULL, &why);
		char which[48];

		listener_unref(made);
		if (made)
			continue;
		snprintf(which, sizeof(which), "listen %zu", i + 1);
		note_unusable(l, which, why, e);
		ok = false;
	}
	return ok;
}

static bool check_admin(const struct config *c, struct config_errors *e)
{
	bool ok = true;

	for (size_t i = 0; i < c->admin.listener_count; i++) {
		const struct config_listener *l = &c->admin.listeners[i];
		const char *why;
		struct tls_server *made = l->tls.on ? tls_server_new(&l->tls, NULL, &why) : NULL;
		char which[48];

		if (made)
			tls_server_unref(made);
		if (made || !l->tls.on)
			continue;
		snprintf(which, sizeof(which), "admin: listen %zu", i + 1);
		note_unusable(l, which, why, e);
		ok = false;
	}
	return ok;
}

struct config *configure_load(const char *file, uint64_t generation, struct config_source **source,
			      struct config_errors *e)
{
	struct config *c = NULL;

	*source = config_load(file, e);
	if (*source)
		c = config_parse(*source, behaviours, generation, e);
	if (c && !(check_listeners(c, e) & check_admin(c, e))) {
		config_unref(c);
		c = NULL;
	}
	if (!c) {
		config_source_free(*source);
		*source = NULL;
	}
	return c;
}

int configure_become_user(const char *file)
{
	struct config_errors *e;
	struct config_source *source;
	struct config *c;
	int r = 0;

	if (geteuid() != 0)
		return 0;
	e = config_errors_new();
	c = configure_load(file, 1, &source, e);
	if (c && c->user)
		r = user_become(c->user);
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return r;
}

void configure_log(const struct config *c, bool verbose)
{
	log_set_level(verbose ? LOG_DEBUG : c->log_level);
	log_set_time(c->log_time);
	log_set_generation(c->generation);
}

void configure_log_error(bool warning, const char *line, void *arg)
{
	(void)arg;
	if (warning)
		log_warning(LOG_OF(CONFIG_WARNING), "%s", line);
	else
		log_err(LOG_OF(CONFIG_ERROR), "%s", line);
}

bool configure_stays_root(const struct config *c)
{
	return c && !c->user && geteuid() == 0;
}
