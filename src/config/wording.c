/*
 * wording.c - what an endpoint says: texts of its behaviour's settings, and whether what is published
 * in its rooms is JSON.
 */
#include <libconfig.h>
#include <stdlib.h>

#include "behaviour.h"
#include "config/fill.h"
#include "config/parse.h"
#include "config/path.h"
#include "config/template.h"

static bool is_template(const struct config_key *k)
{
	return k->type == CONFIG_TEMPLATE || k->type == CONFIG_JSON || k->type == CONFIG_MESSAGE;
}

/* What they may ask for is up to the path, and to who is let in. */
static void parse_templates(struct config_report *r, struct config_endpoint *e)
{
	char why[PATH_WHY_MAX];

	if (e->path == NULL || *e->path != '/' || !path_placeholders_good(e->path, why))
		return;
	for (const struct config_key *k = e->behaviour->keys; k->name != NULL; k++) {
		struct config_template *t = key_value(k, e->opts);

		if (!is_template(k))
			continue;
		template_parse(r, k, e, t);
		if (k->type == CONFIG_TEMPLATE && t->count > 0)
			e->kept = t;
	}
}

/* --- data --- */

/* The row of what its behaviour puts ahead of messages. NULL: nothing is. */
static const struct config_key *find_prefix(const struct config_endpoint *e)
{
	const struct config_key *k = e->opts != NULL ? e->behaviour->keys : NULL;

	for (; k != NULL && k->name != NULL; k++) {
		const struct config_template *t = key_value(k, e->opts);

		if (k->type == CONFIG_TEMPLATE && t->written.len > 0)
			return k;
	}
	return NULL;
}

static void resolve_data(struct config_report *r, struct config_endpoint *e)
{
	const struct behaviour *b = e->behaviour;
	const struct config_key *prefix = find_prefix(e);

	if (b->json_rooms && config_setting_get_member(r->group, "data") == NULL)
		e->room.data = DATA_JSON;
	if (e->room.data == DATA_JSON && e->has_room && prefix != NULL)
		config_report_error(r, "data",
				    "is \"json\", and there is a \"%s\": with that before it a "
				    "JSON value is none",
				    prefix->name);
	e->reads_json = b->json != NULL &&
			(b->json_member != NULL ||
			 (e->room.data == DATA_JSON && e->room.publish == PUBLISH_MEMBERS));
}

void wording_check(struct config_report *r, struct config_endpoint *e)
{
	if (e->opts != NULL)
		parse_templates(r, e);
	resolve_data(r, e);
}
