/*
 * settings.c - the configuration in force, setting by setting.
 *
 * It is what this process was handed by the master, as all others were: so it is told as it runs,
 * whatever has become of the file. Of two configurations no list is made: a page that would go on
 * with another one is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/paging.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/log.h"
#include "config/config.h"
#include "config/effective.h"
#include "config/shown.h"

/* Where a page begins: the number of its first setting, and above it the generation. */
enum { NUMBER_BITS = 32 };

struct telling {
	struct page page;
	const char *prefix;
};

static json_t *from_of(const struct effective *e)
{
	char line[16], *place;
	json_t *from;

	if (!e->file)
		return json_string("default");
	snprintf(line, sizeof(line), ":%d", e->line);
	place = malloc(strlen(e->file) + sizeof(line));
	from = place ? show_string(strcat(strcpy(place, e->file), line)) : NULL;
	free(place);
	return from;
}

/* The log level may have been changed since, by who runs the daemon. */
static void note_level(json_t *setting)
{
	const char *level = level_word(log_level_now());

	if (strcmp(json_string_value(json_object_get(setting, "value")), level) == 0)
		return;
	json_object_set(setting, "written", json_object_get(setting, "value"));
	json_object_set_new(setting, "value", json_string(level));
}

static json_t *json_of_setting(const struct effective *e)
{
	json_t *written, *value = effective_value(e, &written);
	json_t *setting = json_pack("{s:s, s:o, s:o, s:b}", "key", e->key, "value", value, "from",
				    from_of(e), "reload", e->reload);

	if (written)
		json_object_set_new(setting, "written", written);
	if (strcmp(e->key, "log_level") == 0)
		note_level(setting);
	return setting;
}

static bool add(const struct effective *e, void *arg)
{
	struct telling *t = arg;

	if (strncmp(e->key, t->prefix, strlen(t->prefix)) != 0)
		return true;
	if (!page_has_place(&t->page)) {
		t->page.at = e->number;
		return false;
	}
	page_add(&t->page, json_of_setting(e));
	return true;
}

void config_get(struct request *r)
{
	const char *prefix = request_parameter(r, "prefix");
	struct telling t = { .prefix = prefix ? prefix : "" };
	uint64_t generation = admin.config->generation << NUMBER_BITS;
	bool more;

	if (!page_begin(r, &t.page))
		return;
	if (t.page.at != 0 && t.page.at >> NUMBER_BITS << NUMBER_BITS != generation) {
		json_decref(t.page.entries);
		answer_error(r, 409, "config-changed",
			     "another configuration is in force since; begin anew");
		return;
	}
	more = !effective_each(admin.config, admin.started, (uint32_t)t.page.at, add, &t);
	t.page.at |= generation;
	page_answer(r, &t.page, "config", more);
}
