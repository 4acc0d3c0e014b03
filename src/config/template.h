/*
 * template.h - texts of settings that have placeholders: "{user}: ".
 *
 * A text is parsed once, when a configuration is read, and written for a connection by its values. A
 * placeholder is "{", a name of a..z and "_", and "}"; "{{name}" says "{name}", and every other brace
 * stands for itself. What is put in is data: nothing in it is a placeholder.
 */
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/key.h"

struct config_endpoint;
struct config_report;

enum {
	TEMPLATE_PLACEHOLDERS_MAX = 64, /* of one text */
	TEMPLATE_KEPT_MAX =
		8000, /* bytes of one that is kept for each connection (CONFIG_TEMPLATE) */
	TEMPLATE_PEER_MAX = 64,
	TEMPLATE_CONN_MAX = 16,
};

enum template_value { TEMPLATE_OF_PATH, TEMPLATE_PEER, TEMPLATE_CONN, TEMPLATE_USER };

struct config_placeholder {
	size_t at; /* where in the text its value is put */
	enum template_value value;
	char *name; /* of the path's; else NULL */
};

/*
 * Parses t->written, of row k of r's group, which is that of an endpoint whose path is good, and whose
 * access is known. Where it asks for what nobody knows, or may become too long, that is reported, and t
 * is not to be used.
 */
void template_parse(struct config_report *r, const struct config_key *k,
		    const struct config_endpoint *e, struct config_template *t);
/*
 * The same of a text whose placeholders are all taken for those of a path, of whichever endpoint; and
 * whether an endpoint, whose path is good, has one of that name.
 */
void template_parse_path(const char *text, struct config_template *t);
bool template_path_has(const struct config_endpoint *e, const char *name);
void template_free(struct config_template *t);

/* What is known of a connection; lent. */
struct template_values {
	const struct config_endpoint *endpoint;
	const char *name; /* the path that led there: config_route_name */
	const char *peer, *conn; /* as the log has them */
	const char *user; /* NULL: nobody knows */
};

/* How long a text is with these values, and the text, for which out has so many bytes. */
size_t template_size(const struct config_template *t, const struct template_values *v);
void template_write(const struct config_template *t, const struct template_values *v, char *out);

#endif
