/*
 * as_json.h - a setting of any shape as JSON.
 */
#ifndef CONFIG_AS_JSON_H
#define CONFIG_AS_JSON_H

#include "config/report.h"

/*
 * The JSON text of a setting, on one line: a group becomes an object with its
 * members in order, a list or an array an array. false: it cannot be written
 * as JSON, which is reported; key is the one it belongs to.
 */
bool json_text(const config_setting_t *s, struct config_text *out, const char *key,
	       struct config_report *r);

#endif
