/*
 * changes.c - see changes.h.
 *
 * An operator who edited one line looks whether the journal counts one change: so it is told what
 * is different in force, not what is different in the file. What is told ahead of a reload and
 * behind it is made of the same plan.
 */
#include "process/changes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/plan.h"
#include "config/shown.h"
#include "net/socket.h"
#include "process/shared.h"
#include "proto/frame.h"

enum { LINE_SIZE = 1500, VALUE_SHOWN = 100 };

/* --- words --- */

static void __attribute__((format(printf, 3, 4))) add(char *out, size_t size, const char *fmt, ...)
{
	size_t len = strlen(out);
	va_list args;

	va_start(args, fmt);
	vsnprintf(out + len, size - len, fmt, args);
	va_end(args);
}

static const char *name_of(const struct config_listener *l, char out[SOCKET_NAME_MAX])
{
	socket_name(l, (int)l->port, out);
	return out;
}

static const char *date_of(int64_t seconds, char *out, size_t size)
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(out, size, "%F", &tm) == 0)
		snprintf(out, size, "?");
	return out;
}

/* --- who is touched --- */

void changes_count(struct plan *p)
{
	for (size_t i = 0; i < p->count; i++) {
		struct plan_item *item = &p->items[i];
		unsigned label;

		if (item->what != PLAN_ENDPOINT || item->how == PLAN_ADDED)
			continue;
		label = metrics_label_of(shared.metrics, item->endpoint->path);
		if (label != METRICS_OTHER)
			item->connections = (int64_t)metrics_cell_sum(
				shared.metrics, label, offsetof(struct metrics_cell, open));
	}
}

/* --- one line --- */

static unsigned count_all(const struct plan *p, enum plan_what what)
{
	return plan_count(p, what, PLAN_ADDED) + plan_count(p, what, PLAN_CHANGED) +
	       plan_count(p, what, PLAN_REMOVED);
}

static void add_counts(const struct plan *p, enum plan_what what, const char *fmt,
		       char out[CHANGES_MAX])
{
	size_t len = strlen(out);

	snprintf(out + len, CHANGES_MAX - len, fmt, plan_count(p, what, PLAN_ADDED),
		 plan_count(p, what, PLAN_CHANGED), plan_count(p, what, PLAN_REMOVED));
}

/* The name of the row, also where only some of a group differ. */
static void add_names(const struct plan *p, char out[CHANGES_MAX])
{
	const char *between = "; settings changed: ";

	for (size_t i = 0; i < p->count; i++) {
		const struct plan_item *item = &p->items[i];

		if (item->what != PLAN_SETTING || item->restart)
			continue;
		add(out, CHANGES_MAX, "%s%.*s", between, (int)strcspn(item->values[0].key, "."),
		    item->values[0].key);
		between = ", ";
	}
}

void changes_summarize(const struct plan *p, char out[CHANGES_MAX])
{
	unsigned certificates = plan_count(p, PLAN_CERTIFICATE, PLAN_ADDED);

	out[0] = '\0';
	add_counts(p, PLAN_ENDPOINT, "%u endpoints added, %u changed, %u removed", out);
	if (count_all(p, PLAN_LISTENER) > 0)
		add_counts(p, PLAN_LISTENER, "; listeners: %u added, %u changed, %u removed", out);
	if (certificates > 0)
		add(out, CHANGES_MAX, "; %u new certificates", certificates);
	add_names(p, out);
}

/* --- a line for each --- */

static void add_value(char line[LINE_SIZE], const json_t *value)
{
	char *text = json_is_null(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);

	if (!text)
		add(line, LINE_SIZE, "none");
	else if (strlen(text) <= VALUE_SHOWN)
		add(line, LINE_SIZE, "%s", text);
	else
		add(line, LINE_SIZE, "%.*s...", (int)bytes_whole(text, VALUE_SHOWN), text);
	free(text);
}

/* before: in front of the first one. */
static void add_values(char line[LINE_SIZE], const struct plan_item *item, const char *before)
{
	for (size_t i = 0; i < item->count; i++) {
		if (strlen(line) + 3 * VALUE_SHOWN > LINE_SIZE) {
			add(line, LINE_SIZE, "; and %zu more", item->count - i);
			return;
		}
		add(line, LINE_SIZE, "%s%s ", i == 0 ? before : "; ", item->values[i].key);
		add_value(line, item->values[i].old);
		add(line, LINE_SIZE, " -> ");
		add_value(line, item->values[i].new);
	}
}

static void add_whom(char line[LINE_SIZE], const struct plan_item *item)
{
	if (item->from)
		add(line, LINE_SIZE, "; connections of %s whose paths lead to it",
		    item->from->path);
	else if (item->connections < 0)
		add(line, LINE_SIZE, "; its connections");
	else
		add(line, LINE_SIZE, "; %" PRId64 " connections", item->connections);
}

static bool has_fate(const struct plan_item *item)
{
	if (item->how == PLAN_ADDED)
		return item->from;
	return item->connections >= 0 || item->closes || item->by_path || item->by_access;
}

static void add_fate(char line[LINE_SIZE], const struct plan_item *item)
{
	if (!has_fate(item))
		return;
	add_whom(line, item);
	if (item->closes)
		add(line, LINE_SIZE, " are closed with %d (%s)", WS_CLOSE_SERVICE_RESTART,
		    reason_word(REASON_ENDPOINT_CHANGED));
	else if (item->from)
		add(line, LINE_SIZE, " move to it%s",
		    item->by_access ? " where the client may come in" : "");
	else if (item->by_access)
		add(line, LINE_SIZE, " stay where their clients may still come in");
	else if (item->by_path)
		add(line, LINE_SIZE, " stay where their paths lead to the same behaviour");
	else
		add(line, LINE_SIZE, " stay");
}

static void tell_endpoint(const struct plan_item *item, char line[LINE_SIZE])
{
	static const char *const words[] = { "added", "changed", "removed" };

	add(line, LINE_SIZE, "endpoint %s %s", item->endpoint->path, words[item->how]);
	add_values(line, item, ": ");
	add_fate(line, item);
}

static void tell_listener(const struct plan_item *item, char line[LINE_SIZE])
{
	static const char *const words[] = { "opened", "changed", "closed" };
	char name[SOCKET_NAME_MAX];

	add(line, LINE_SIZE, "listener %s %s", name_of(item->listener, name), words[item->how]);
	add_values(line, item, ": ");
	if (item->files)
		add(line, LINE_SIZE, "; a file that it names has another content");
}

static void tell_certificate(const struct plan_item *item, char line[LINE_SIZE])
{
	char name[SOCKET_NAME_MAX], date[32], *subject = plan_subject(item->certificate);

	add(line, LINE_SIZE, "certificate \"%.400s\" of %s %s, expires %s", subject,
	    name_of(item->listener, name), item->how == PLAN_ADDED ? "added" : "removed",
	    date_of(plan_expiry(item->certificate), date, sizeof(date)));
	free(subject);
}

static void tell_setting(const struct plan_item *item, char line[LINE_SIZE])
{
	add_values(line, item, "setting ");
}

static void (*const tellers[])(const struct plan_item *item, char line[LINE_SIZE]) = {
	[PLAN_ENDPOINT] = tell_endpoint,
	[PLAN_LISTENER] = tell_listener,
	[PLAN_CERTIFICATE] = tell_certificate,
	[PLAN_SETTING] = tell_setting,
};

static void log_item(const struct plan_item *item)
{
	const struct log_fields f = { .event = LOG_EVENT_RELOAD_CHANGE,
				      .endpoint = item->endpoint ? item->endpoint->path : NULL };
	char line[LINE_SIZE] = "";

	tellers[item->what](item, line);
	log_info(&f, "%s", line);
}

void changes_log(const struct plan *p)
{
	size_t told = 0, more = 0;

	for (size_t i = 0; i < p->count; i++) {
		/* a warning of its own tells of those, with each reload until the restart */
		if (p->items[i].restart)
			continue;
		if (told++ < CHANGES_LINES)
			log_item(&p->items[i]);
		else
			more++;
	}
	if (more > 0)
		log_info(LOG_OF(RELOAD_CHANGE), "and %zu more changes", more);
}

/* --- JSON --- */

static json_t *values_json(const struct plan_item *item)
{
	json_t *list = json_array();

	for (size_t i = 0; i < item->count; i++)
		json_array_append_new(list, json_pack("{s:s, s:O, s:O}", "key", item->values[i].key,
						      "old", item->values[i].old, "new",
						      item->values[i].new));
	return list;
}

static json_t *endpoint_json(const struct plan_item *item)
{
	static const char *const words[] = { "added", "changed", "removed" };
	json_t *j = json_pack("{s:o, s:s}", "endpoint", show_string(item->endpoint->path), "change",
			      words[item->how]);

	if (item->how == PLAN_CHANGED)
		json_object_set_new(j, "settings", values_json(item));
	if (item->connections >= 0)
		json_object_set_new(j, "connections", json_integer(item->connections));
	if (item->from)
		json_object_set_new(j, "from", show_string(item->from->path));
	if (item->closes)
		json_object_update_new(j, json_pack("{s:s, s:i, s:s}", "then", "close", "code",
						    WS_CLOSE_SERVICE_RESTART, "reason",
						    reason_word(REASON_ENDPOINT_CHANGED)));
	else if (item->from)
		json_object_set_new(j, "then",
				    json_string(item->by_access ? "move-by-access" : "move"));
	else if (item->how != PLAN_ADDED)
		json_object_set_new(j, "then",
				    json_string(item->by_access ? "by-access"
						: item->by_path ? "by-path"
								: "stay"));
	return j;
}

static json_t *listener_json(const struct plan_item *item)
{
	static const char *const words[] = { "opened", "changed", "closed" };
	char name[SOCKET_NAME_MAX];
	json_t *j = json_pack("{s:o, s:s}", "listener", show_string(name_of(item->listener, name)),
			      "change", words[item->how]);

	if (item->how != PLAN_ADDED)
		json_object_set_new(j, "then", json_string("stay"));
	if (item->how == PLAN_CHANGED)
		json_object_update_new(j, json_pack("{s:o, s:b}", "settings", values_json(item),
						    "files", item->files));
	return j;
}

static json_t *certificate_json(const struct plan_item *item)
{
	char name[SOCKET_NAME_MAX], *subject = plan_subject(item->certificate);
	json_t *j = json_pack("{s:o, s:o, s:o, s:s, s:I}", "subject", show_string(subject), "file",
			      show_string(item->certificate->certificate), "listener",
			      show_string(name_of(item->listener, name)), "change",
			      item->how == PLAN_ADDED ? "added" : "removed", "expires",
			      (json_int_t)plan_expiry(item->certificate));

	free(subject);
	return j;
}

/* Of a group each that differs is one. */
static void append_settings(json_t *list, const struct plan_item *item)
{
	json_t *values = values_json(item), *each;
	size_t i;

	json_array_foreach(values, i, each)
		json_object_set_new(each, "restart", json_boolean(item->restart));
	json_array_extend(list, values);
	json_decref(values);
}

static json_t *list_json(const struct plan *p, enum plan_what what,
			 json_t *(*make)(const struct plan_item *item))
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].what == what && make)
			json_array_append_new(list, make(&p->items[i]));
		else if (p->items[i].what == what)
			append_settings(list, &p->items[i]);
	return list;
}

json_t *changes_json(const struct plan *p)
{
	char summary[CHANGES_MAX];

	changes_summarize(p, summary);
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "summary", summary, "endpoints",
			 list_json(p, PLAN_ENDPOINT, endpoint_json), "listeners",
			 list_json(p, PLAN_LISTENER, listener_json), "certificates",
			 list_json(p, PLAN_CERTIFICATE, certificate_json), "settings",
			 list_json(p, PLAN_SETTING, NULL));
}
