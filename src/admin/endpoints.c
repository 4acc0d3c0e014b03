/*
 * endpoints.c - the endpoints that there are, and what was counted for them.
 *
 * Those beyond the first thousand have no counts of their own (base/metrics.h).
 */
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/paging.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/metrics.h"
#include "config/config.h"

static json_int_t sum(unsigned label, size_t field)
{
	return (json_int_t)metrics_cell_sum(admin.metrics, label, field);
}

static void add_counts(json_t *o, unsigned label)
{
	static const struct {
		const char *name;
		size_t field;
	} fields[] = {
		{ "connections", offsetof(struct metrics_cell, open) },
		{ "opened", offsetof(struct metrics_cell, opened) },
		{ "refused", offsetof(struct metrics_cell, refused) },
		{ "messages_received", offsetof(struct metrics_cell, messages_in) },
		{ "messages_sent", offsetof(struct metrics_cell, messages_out) },
		{ "bytes_received", offsetof(struct metrics_cell, bytes_in) },
		{ "bytes_sent", offsetof(struct metrics_cell, bytes_out) },
		{ "dropped", offsetof(struct metrics_cell, dropped) },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		json_object_set_new(o, fields[i].name, json_integer(sum(label, fields[i].field)));
	json_object_set_new(
		o, "closed",
		json_integer(sum(label, fields[1].field) - sum(label, fields[0].field)));
}

static json_t *json_of_endpoint(const struct config_endpoint *e)
{
	unsigned label = metrics_label_of(admin.metrics, e->path);
	json_t *o = json_pack("{s:o, s:s}", "endpoint", json_of_text(e->path, strlen(e->path)),
			      "behaviour", e->behaviour_name);

	if (o && label != METRICS_OTHER)
		add_counts(o, label);
	return o;
}

void endpoints_get(struct request *r)
{
	const struct config *c = admin.config;
	struct page page;

	if (!page_begin(r, &page))
		return;
	for (; page.at < c->endpoint_count && page_has_place(&page); page.at++)
		page_add(&page, json_of_endpoint(&c->endpoints[page.at]));
	page_answer(r, &page, "endpoints", page.at < c->endpoint_count);
}
