/*
 * type.h - the types that a key may have.
 */
#ifndef CONFIG_TYPE_H
#define CONFIG_TYPE_H

#include <libconfig.h>

#include "config/report.h"

/* One key while it is being read. */
struct reading {
	struct config_report *report;
	const struct config_key *key;
	const config_setting_t *setting;
};

/* All that is known of a type. NULL: there is no such thing, or nothing to do. */
struct type {
	const char *expected; /* what the value "must be" */

	/* Reads a preset. false: it is not of the type. NULL: has no presets. */
	bool (*from_text)(const struct config_key *k, const char *text, void *value);
	/* Reads a setting; false after a report. NULL: what holds others (fill.c, groups.c). */
	bool (*from_setting)(const struct reading *rd, void *value);
	/* Whether range and length are as the row says; false after a report. */
	bool (*check)(const struct reading *rd, const void *value);

	/* Of numbers: from text, and as a user would write them (as value.h says). */
	bool (*number)(const char *text, int64_t *v);
	void (*format)(int64_t v, char *out, size_t size);

	const struct storage *storage;
};

const struct type *type_of(const struct config_key *k);

/* Reports that the setting is not what its type expects. */
void type_report_expected(const struct reading *rd, const config_setting_t *at);

#endif
