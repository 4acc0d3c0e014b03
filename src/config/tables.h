/*
 * tables.h - the key tables of this layer.
 */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "config/config.h"
#include "config/named.h"
#include "config/places.h"

/* A file of tokens that `access` names, somewhere or in several places. */
struct token_file {
	char *name;
	struct config_tokens tokens;
};

struct jwt_rules;

/* A snapshot with what only this layer needs of it. */
struct snapshot {
	struct config config; /* first: the one is cast to the other */
	struct {
		int64_t workers, max_connections, max_handshakes, max_memory; /* 0: it depends */
		int64_t bus_lag;
		char *runtime_dir;
	} written; /* where config has what came of it: the same name, and what was written */
	char **files; /* NULL-terminated; what the listeners and endpoints name */
	struct named_objects token_files; /* struct token_file */
	struct named_objects jwk_files,
		jwk_set_files; /* struct jwk_file: read as one key, and as a set */
	struct jwt_rules *jwt_rules; /* what came of groups `jwt`; NULL: nothing */
	struct named_objects user_files; /* of users, see user_files.c */
	struct places places; /* of what is set */
};

/* The whole configuration, which fills a struct snapshot; its holder is NULL. */
extern const struct config_group table_top;

/* Of config_endpoint and config_listener: for comparing. */
extern const struct config_group table_endpoint, table_listen;

/*
 * The checks and ends of the groups: see key.h. Each is in the file that is named
 * after what it is about.
 */
void top_check(struct config_report *r, void *holder, void *snapshot);
void listener_check(struct config_report *r, void *config, void *listener);
void listener_end(void *listener);
void tls_check(struct config_report *r, void *listener, void *tls);
void tls_end(void *tls);
void certificate_check(struct config_report *r, void *tls, void *certificate);
void certificate_end(void *certificate);
void admin_listener_check(struct config_report *r, void *admin, void *listener);
void admin_group_check(struct config_report *r, void *snapshot, void *admin);
void admin_group_end(void *admin);
void networks_end(void *networks);
/* Ends the token_files of a snapshot. */
void access_free_files(struct snapshot *n);
/* And the user_files. */
void user_files_free(struct snapshot *n);
void endpoint_check(struct config_report *r, void *config, void *endpoint);
void endpoint_end(void *endpoint);

#endif
