/*
 * parse.h - what the parts of the parser share.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include <libconfig.h>

#include "config/config.h"
#include "config/fill.h"
#include "config/report.h"
#include "config/tables.h"

struct tokens_form;

struct parse {
	struct config_source *source;
	const struct behaviour *const *behaviours;
	struct config_errors *errors;
	struct snapshot *snapshot;
	struct config *config; /* of the snapshot */
	const struct config_group *tables; /* of the top level, and so of all below */
	unsigned elements; /* of lists, so far */
	void *shapes; /* of paths with placeholders: a tsearch tree, see endpoint.c */
	bool bus_is_wrong; /* which is reported: endpoints are not compared with it */
	struct config_report top;
};

/* Where a setting stands, as the snapshot names it. */
void parse_place(const struct parse *p, const config_setting_t *s, const char **file, int *line);

/* Notes in the snapshot where the setting of a row of r's group stands. */
void parse_note_place(const struct config_report *r, const struct config_key *k,
		      const config_setting_t *s);

/*
 * Reports each setting of r->group that is in neither table, with the nearest
 * known one or where it belongs. scope: whose it would be: `a listener`, `sink`.
 * more: NULL if there is one table only.
 */
void unknown_report(struct config_report *r, const char *scope, const struct config_key *keys,
		    const struct config_key *more);

/* Reports what OpenSSL does not know in the lists of ciphers and curves; r is of the group `tls`. */
void ciphers_check(struct config_report *r, const struct config_tls *t);

/*
 * The number of a group, for whoever opens files: in a worker, which has unpacked the source, and
 * where there is no such group, which is reported, *gid stays.
 */
void group_find(struct config_report *r, const char *key, const char *name, unsigned *gid);

/*
 * A file that a setting of r's group names, read; NULL: reported. And a warning if others may read
 * or change what is in it: "the private key".
 */
const struct source_attachment *attach_file(struct config_report *r, const char *key,
					    const char *name);
void attach_warn_mode(struct config_report *r, const char *key, const char *name,
		      const struct source_attachment *a, const char *what);
/* The tokens in such a file; what is wrong with its lines is reported as of the file. */
void attach_tokens(struct config_report *r, const char *key, const struct source_attachment *a,
		   const struct tokens_form *form, struct config_tokens *out);

/* Called with a wrong line of such a file, for an errors' report: arg is a struct attached_lines. */
struct attached_lines {
	const struct config_report *report;
	const char *key, *file;
};
void attach_report_line(unsigned line, const char *what, void *arg);

/* The users that a file has which a setting of r's group names. NULL: it cannot be read, which is reported. */
const struct config_users *user_files_read(struct config_report *r, const char *key,
					   const char *name);

/* Whether an address, which is one, is this machine's alone. */
bool listener_is_loopback(const char *address);

/* Whether a listener of r's group over TCP has an address that is one, and a port. */
void listener_check_tcp(struct config_report *r, const struct config_listener *l);

/* Whether it is the same as, or overlaps with, another one. True: it was reported. */
bool listener_check_other(struct config_report *r, const struct config_listener *l,
			  const struct config_listener *other);

/* Where the admin interface listens, when runtime_dir is known. */
void admin_group_resolve(struct parse *p);

/* When all endpoints are there: puts them in the order that they are looked up in. */
void endpoints_finish(struct parse *p);

/* When all of that is right: makes the endpoints ready to be looked up. */
void lookup_prepare(struct config *c);

/* What an endpoint's behaviour, which is known, says of texts and of JSON. */
void wording_check(struct config_report *r, struct config_endpoint *e);

/* The checks of limits at the top (p->top) or of an endpoint. */
void limits_check(struct config_report *r, struct config_limits *l);
/* The same of the group `access` in it. */
void access_check(struct config_report *r, struct config_limits *l);
/* Whether who comes in by it may be known by a name. */
bool access_names_users(const struct config_access *a);
/* The names of client_certificates; r: of their group, NULL: it is not there. */
void client_names_check(struct config_report *r, char *const *words);
/* When all is read: whether what endpoints ask of clients can be had, and is safe, on the listeners. */
void access_check_listeners(struct parse *p);
/* Of both names that origins have; access: of that group, NULL: it is not there. */
void limits_check_origins(struct config_report *r, struct config_report *access,
			  struct config_limits *l);
/* A list of "*" alone is none: so an endpoint lets in more than the top level does. */
void limits_drop_any(char ***words);

/* room_names of r's group, compiled. NULL: it is not set there, or wrong and reported. */
struct pattern *limits_names(struct config_report *r, const struct config_limits *l);

/* What depends on the machine: numbers that stand for "as many as there are", the user. */
void machine_resolve(struct parse *p);
/* ram.c: bytes of memory that there are for this process and its like. */
int64_t ram_available(void);

/* Whether there are files enough for what the listeners and workers need: behind both. */
void machine_check_files(struct parse *p);

#endif
