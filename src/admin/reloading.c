/*
 * reloading.c - what the master does for all: a reload, or what one would do; a drain.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/asking.h"
#include "admin/numbers.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "config/config.h"
#include "session/leaving.h"

enum { MILLION = 1000000, DAY = 24 * 60 * 60 };

static int ask_reload(uint32_t id, const void *dry_run)
{
	return admin.reload(id, dry_run != NULL);
}

void reload_post(struct request *r)
{
	asking_begin(r, ask_reload, request_parameter(r, "dry-run"));
}

static int ask_drain(uint32_t id, const void *drain)
{
	return admin.drain(id, drain);
}

/* A number with a fraction, of the parameter; false: it is none, and that is answered. */
static bool fraction_parameter(struct request *r, const char *name, double most, double *value)
{
	const char *text = request_parameter(r, name);
	char *end;

	if (!text)
		return true;
	*value = strtod(text, &end);
	if (text[strspn(text, "0123456789.")] == '\0' && *text && !*end && *value <= most)
		return true;
	answer_error(r, 400, "bad-parameter", "\"%s\" has to be a number from 0 to %.0f", name,
		     most);
	return false;
}

static bool read_order(struct request *r, uint32_t *order)
{
	static const char *const words[LEAVING_ORDERS] = { "oldest", "newest", "random" };
	const char *text = request_parameter(r, "order");

	for (uint32_t i = 0; text && i < LEAVING_ORDERS; i++)
		if (strcmp(text, words[i]) == 0) {
			*order = i;
			return true;
		}
	if (text)
		answer_error(r, 400, "bad-parameter",
			     "\"order\" has to be oldest, newest or random");
	return !text;
}

static bool read_endpoint(struct request *r, struct admin_drain *d)
{
	const char *path = request_parameter(r, "endpoint");
	const struct config *c = admin.config;

	d->generation = c->generation;
	for (size_t i = 0; path && i < c->endpoint_count; i++)
		if (strcmp(c->endpoints[i].path, path) == 0)
			d->endpoint = i + 1;
	if (path && d->endpoint == 0)
		answer_error(r, 404, "not-found", "there is no such endpoint");
	return !path || d->endpoint != 0;
}

/* What is asked for; false: it cannot be, and that is answered. */
static bool read_drain(struct request *r, struct admin_drain *d)
{
	double over = -1, share = 0;

	if (!fraction_parameter(r, "over", DAY, &over) ||
	    !fraction_parameter(r, "share", 1, &share) || !read_order(r, &d->order) ||
	    !read_endpoint(r, d))
		return false;
	d->over = over < 0 ? -1 : (int64_t)(over * 1000 + 0.5);
	d->share = (uint32_t)(share * MILLION + 0.5);
	if (d->share > 0 || !request_parameter(r, "share"))
		return true;
	answer_error(r, 400, "bad-parameter", "\"share\" has to be above 0, and at most 1");
	return false;
}

void drain_post(struct request *r)
{
	struct admin_drain d = { .on = true };

	if (read_drain(r, &d))
		asking_begin(r, ask_drain, &d);
}

void undrain_post(struct request *r)
{
	asking_begin(r, ask_drain, &(struct admin_drain){ .on = false });
}
