/*
 * claims.h - what a token has to say: the settings `required` and `publish` of the group `jwt`.
 *
 * A rule names a claim, perhaps one within others, and the values of which it has to have one. In a
 * value that is text a placeholder of the path stands for what it took. The claim may be a list that
 * has the value, or text with "*", which stands for any characters: so a token opens many rooms. Only
 * what the token says is a pattern, never what a path or a setting does. In `scope` each word is one.
 */
#ifndef CONFIG_CLAIMS_H
#define CONFIG_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/elements.h"
#include "config/errors.h"
#include "config/key.h"

struct config_endpoint;
struct config_report;

enum {
	CLAIMS_RULES_MAX = 64, /* of a setting */
	CLAIMS_VALUES_MAX = 64, /* of a rule */
	CLAIMS_ALL_VALUES_MAX = 1024, /* of a setting */
	CLAIMS_TEXT_MAX = 1024, /* bytes of a value, as written */
	CLAIMS_PLACEHOLDERS_MAX = 4, /* of a value */
	CLAIMS_NESTED_MAX = 8, /* names of a claim within others */
};

struct claims_value {
	json_t *json; /* a number or a boolean; NULL: it is text */
	struct config_template text;
};

struct claims_rule {
	char **path; /* names, the outermost first; NULL-terminated */
	char *shown; /* the same with dots */
	struct claims_value *values;
	size_t count, cap;
};

/* One that values have, and where the first of them is. */
struct claims_placeholder {
	char *name;
	struct config_place at;
	char *label; /* of the report of that group */
	bool told; /* that an endpoint's path does not have it */
	struct claims_placeholder *next;
};

struct claims_rules {
	struct claims_rule *list;
	size_t count, cap;
	size_t value_count; /* of all rules */
	struct claims_placeholder *placeholders; /* no more than a path may have */
	size_t placeholder_count;
};

/* Reads the rules of a setting of r's group, if it is there; what is wrong is reported. */
void claims_read(struct config_report *r, const char *key, struct claims_rules *out);
void claims_free(struct claims_rules *rules);

/*
 * Reports where it is written, and once for all endpoints that have these rules, what they, those of a
 * key, ask of e's path and it does not have.
 */
void claims_check(struct config_report *r, const char *key, const struct claims_rules *rules,
		  const struct config_endpoint *e);

/*
 * The first rule that claims do not keep, for who came to e by a path (config_route), in a look at
 * their token; which is also one with which that takes too much. NULL: none.
 */
const struct claims_rule *claims_broken(const struct claims_rules *rules, const json_t *claims,
					const struct config_endpoint *e, const char *name,
					struct elements_look *look);

#endif
