/*
 * tables.h - the key tables of this layer.
 */
#ifndef CONFIG_TABLES_H
#define CONFIG_TABLES_H

#include "config/config.h"

/* What the rows of an endpoint fill. */
struct endpoint_draft {
	struct config_endpoint endpoint;
	char *behaviour; /* its name */
};

extern const struct config_key table_global[]; /* fills struct config */
extern const struct config_key table_listen[]; /* fills struct config_listener */
extern const struct config_key table_certificate[]; /* fills struct config_certificate */
extern const struct config_key table_endpoint[]; /* fills struct endpoint_draft */

/* The rows of struct config_limits, as they are in both tables: for comparing. */
extern const struct config_key table_limits[]; /* fills struct config_limits */

#endif
