/*
 * parse.h - what the parts of the parser share.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include <libconfig.h>

#include "config/config.h"
#include "config/fill.h"
#include "config/report.h"

/* A snapshot with what only this layer needs of it. */
struct snapshot {
	struct config config; /* first: the one is cast to the other */
	char **files; /* NULL-terminated; what the listeners and endpoints name */
};

struct parse {
	struct config_source *source;
	const struct behaviour *const *behaviours;
	struct config_errors *errors;
	struct snapshot *snapshot;
	struct config *config; /* of the snapshot */
	struct config_report top;
};

/* Where a setting stands, as the snapshot names it. */
void parse_place(const struct parse *p, const config_setting_t *s, const char **file, int *line);

/*
 * The list of groups of a name. NULL: it is missing, which is reported with an
 * example of one, or it is something else, which was.
 */
const config_setting_t *parse_list(struct parse *p, const char *name, const char *example);

/*
 * The next element from *index on that is a group; reports to r those that are none,
 * as noun and number. NULL: the end.
 */
const config_setting_t *parse_next_group(struct config_report *r, const config_setting_t *list,
					 const char *noun, int *index);

/*
 * Reports each setting of r->group that is in neither table, with the nearest
 * known one or where it belongs. scope: `a listener`, `sink` ... b NULL: which
 * behaviour it is is not known, so the keys of any will do.
 */
void unknown_report(const struct parse *p, struct config_report *r, const char *scope,
		    const struct config_key *keys, const struct config_key *more);

/* The groups of `listen` and of `endpoints`; report what is wrong. */
void listen_parse(struct parse *p);
void endpoints_parse(struct parse *p);
void listener_free(struct config_listener *l);

/* What the rows of a listener's group `tls` cannot say; r is of the listener. */
void tls_parse(struct parse *p, struct config_report *r, struct config_tls *t);
void tls_free(struct config_tls *t);

/* Reports what OpenSSL does not know in the lists of ciphers and curves; r is of the group `tls`. */
void ciphers_check(struct config_report *r, const struct config_tls *t);

void endpoint_free(struct config_endpoint *e);

/* The checks of limits at the top (p->top) or of an endpoint. */
void limits_check(struct config_report *r, struct config_limits *l);

/* What depends on the machine: numbers that stand for "as many as there are", the user. */
void machine_resolve(struct parse *p);

/* Whether there are files enough for what the listeners and workers need: behind both. */
void machine_check_files(struct parse *p);

#endif
