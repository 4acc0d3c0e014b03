/*
 * plan.h - what another configuration would change, as data.
 */
#ifndef CONFIG_PLAN_H
#define CONFIG_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

enum plan_what { PLAN_ENDPOINT, PLAN_LISTENER, PLAN_CERTIFICATE, PLAN_SETTING };
enum plan_how { PLAN_ADDED, PLAN_CHANGED, PLAN_REMOVED };

/* A setting with what it was and what it will be, as shown.h shows it. */
struct plan_value {
	char *key; /* "ping_interval"; of one in a group "compression.level" */
	json_t *old, *new;
};

struct file_change;

struct plan_item {
	enum plan_what what; /* endpoints go by path, listeners by address */
	enum plan_how how; /* a certificate or a setting that is another is CHANGED or ADDED */
	/* Of the new configuration; what is REMOVED, of the old one. */
	const struct config_endpoint *endpoint; /* of ENDPOINT */
	const struct config_listener *listener; /* of LISTENER; CERTIFICATE: it has it */
	const struct config_certificate *certificate; /* of CERTIFICATE */
	/* ENDPOINT: its connections, or those that it takes over, are closed: by another behaviour, or none */
	bool closes;
	/* ENDPOINT that is ADDED: of the old one, which has had what leads to it now, or some of that; or NULL */
	const struct config_endpoint *from;
	bool by_path; /* the same, but of those whose path leads to one of its behaviour, which stay */
	/* ENDPOINT: of those who stay or move, who may not come in there is closed */
	bool by_access;
	int64_t connections; /* ENDPOINT that there was: of it, open now; -1: not known; see changes.h */
	bool files; /* LISTENER: a file that it names has another content */
	bool restart; /* SETTING: it is as it was until a restart */
	struct plan_value *values; /* those that differ, of what is CHANGED */
	size_t count, cap;
};

struct plan {
	struct config *old, *new; /* kept, for the items point into them */
	struct file_change *file_changes; /* of the files of `access`, see file_changes.h */
	struct plan_item *items; /* in the order of enum plan_what */
	size_t count, cap;
};

/*
 * How new differs from old, which is in force. What needs a restart is compared with started, the
 * configuration of the start. The caller frees it.
 */
struct plan *plan_new(struct config *old, const struct config *started, struct config *new);
void plan_free(struct plan *p); /* NULL: does nothing */

unsigned plan_count(const struct plan *p, enum plan_what what, enum plan_how how);

/* Whose certificate it is, as people write it (the caller frees it), and seconds since the epoch. */
char *plan_subject(const struct config_certificate *c);
int64_t plan_expiry(const struct config_certificate *c);

#endif
