/*
 * behaviour.h - what an endpoint does with its connections.
 *
 * One behaviour is one file in src/behaviours/ plus one line in
 * behaviours.def. It sees messages and connections, never bytes, sockets or
 * libevent. Callbacks run on the worker's event loop: they must not block,
 * and nothing they may call frees a connection. NULL means: nothing to do.
 */
#ifndef BEHAVIOUR_H
#define BEHAVIOUR_H

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct config_key;
struct config_report;
struct json_scan;
struct refusal;
struct verdict;
struct ws_message;

struct behaviour {
	const char *name; /* the value of "behaviour" in the config file */
	size_t state_size; /* bytes of zeroed state per connection; may be 0 */
	bool has_room; /* its endpoints have rooms, which its connections may join (session/membership.h) */
	bool json_rooms; /* what is published there is JSON, unless `data` is set to something else */

	/*
	 * Its settings: rows of the key table, ended by one without a name, that
	 * fill an object of opts_size bytes. The config snapshot owns the object
	 * and all that the rows allocate.
	 */
	const struct config_key *keys;
	size_t opts_size;

	/*
	 * What no single row can say. Reports to r what is wrong with opts; may
	 * complete them. Called once, after the rows are filled without an error.
	 */
	void (*check_opts)(void *opts, struct config_report *r);

	/*
	 * Whether an upgrade may be; false: it is refused as *why then says (proto/refusal.h,
	 * with a reason that has an HTTP status).
	 */
	bool (*admit)(const struct conn *c, const void *opts, struct refusal *why);

	/*
	 * The upgrade is done / one whole message came (text is valid UTF-8,
	 * len <= the endpoint's max_message bytes). Both return true to go on, or
	 * false to close as *v then says (session/verdict.h). opts, state and
	 * m->data are lent for the call: a reload may change opts next time.
	 */
	bool (*open)(struct conn *c, const void *opts, void *state, struct verdict *v);
	bool (*message)(struct conn *c, const void *opts, void *state, const struct ws_message *m,
			struct verdict *v);

	/*
	 * Of one that takes JSON: the name of the member that is looked for in each text; NULL: texts
	 * are not looked at, and go to message. Else they go to json, with what was found or what is
	 * wrong (proto/json.h): at once, or where they are long in one of the next turns. What came
	 * behind them waits meanwhile. After a reload in between it is what was looked for by the new opts.
	 *
	 * One that has no json_member gets JSON where members publish it (`data` is "json"), and no
	 * member is looked for.
	 */
	const char *(*json_member)(const void *opts);
	bool (*json)(struct conn *c, const void *opts, void *state, const struct ws_message *m,
		     const struct json_scan *found, struct verdict *v);

	/* The last call for c, once for each open that ran. Cannot fail. */
	void (*close)(struct conn *c, const void *opts, void *state, int code);
};

/* All behaviours, ended by NULL. */
extern const struct behaviour *const behaviours[];

#endif
