/*
 * resources.h - what can be asked for: each answers a request, as routes.def has it.
 */
#ifndef ADMIN_RESOURCES_H
#define ADMIN_RESOURCES_H

struct request;

/* health.c */
void live_get(struct request *r);
void ready_get(struct request *r);

/* daemon.c */
void status_get(struct request *r);

/* publish.c */
void publish_post(struct request *r);

/* kept.c */
void history_get(struct request *r);
void history_delete(struct request *r);

/* present.c */
void presence_get(struct request *r);

/* tail.c */
void tail_get(struct request *r);

/* connections.c */
void connections_get(struct request *r);
void connections_delete(struct request *r);

/* why.c */
void why_get(struct request *r);

/* watch.c */
void events_get(struct request *r);
void events_end(void); /* behind the end of all connections */

/* scrape.c */
void metrics_get(struct request *r);

/* endpoints.c */
void endpoints_get(struct request *r);

/* reloading.c */
void reload_post(struct request *r);
void drain_post(struct request *r);
void undrain_post(struct request *r);

/* level.c */
void log_level_get(struct request *r);
void log_level_put(struct request *r);

/* settings.c */
void config_get(struct request *r);

/* rooms.c */
void rooms_get(struct request *r);

#endif
