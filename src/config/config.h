/*
 * config.h - configuration is a value: text in, an immutable snapshot out.
 *
 * The master reads files into one expanded text (config_load) and makes a
 * snapshot of it (config_parse); workers get the same text and make the same
 * snapshot. A snapshot never changes; it is counted, and goes with its last
 * user.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/anchor.h"
#include "base/cidr.h"
#include "base/rate.h"
#include "base/slots.h"
#include "bus/bus.h"
#include "config/key.h"
#include "proto/http.h"

struct behaviour;
struct metrics_cell;

enum {
	CONFIG_LISTENERS_MAX = 64,
	CONFIG_WORKERS_MAX = SLOTS_WORKERS,
	CONFIG_CERTIFICATES_MAX = 64, /* of one listener */
	CONFIG_ADMIN_LISTENERS_MAX = 16,
	CONFIG_ADMIN_SOCKETS_MAX = 1 + CONFIG_ADMIN_LISTENERS_MAX, /* the unix socket, and those */
	/* What an entry of the bus may need beyond max_message: its header, the frame's, a prefix. */
	CONFIG_ENTRY_SPACE = 8192,
	/* Descriptors that connections leave to wake-ups, listeners and the rest of a worker. */
	CONFIG_FD_RESERVE = SLOTS + CONFIG_LISTENERS_MAX + 64,
	/* And of the master, besides the sockets that it listens on for its workers. */
	CONFIG_FD_MASTER = 4 * CONFIG_WORKERS_MAX + SLOTS + 40,
};

#define CONFIG_NO_GID (~0u)

enum config_slow_consumer {
	SLOW_CONSUMER_CLOSE,
	SLOW_CONSUMER_DROP_NEWEST,
	SLOW_CONSUMER_DROP_OLDEST,
	SLOW_CONSUMER_LATEST,
};

/* What becomes of a message that is more than a rate allows. */
enum config_over_rate { OVER_RATE_DELAY, OVER_RATE_DROP, OVER_RATE_CLOSE };

/* Who has to go where a user has as many connections as he may: who comes, or the oldest of them. */
enum config_over_user { OVER_USER_REFUSE, OVER_USER_OLDEST };

/* permessage-deflate (RFC 7692). */
struct config_compression {
	bool enabled;
	int64_t level, memory_level; /* 1..9, as zlib's */
	int64_t threshold; /* bytes; a shorter message goes out plain */
	bool server_context_takeover, client_context_takeover;
	int64_t server_max_window_bits, client_max_window_bits; /* 9..15 */
};

/* Bytes of the name of a user, which is UTF-8 without control characters. */
enum { CONFIG_USER_MAX = 128 };

/*
 * The bearer of a token: what he may do, of the admin interface, and its hash. Of `access` there is no
 * scope, and the name is who he is.
 */
enum config_scope { SCOPE_READ, SCOPE_PUBLISH, SCOPE_MANAGE };
enum {
	CONFIG_TOKEN_HASH = 32,
	CONFIG_TOKEN_NAME_MAX = 64,
	CONFIG_TOKENS_MAX = 256,
	CONFIG_ACCESS_TOKENS_MAX = 10000,
};

struct config_token {
	char name[CONFIG_USER_MAX + 1]; /* may be that of several */
	enum config_scope scope;
	uint8_t hash[CONFIG_TOKEN_HASH]; /* SHA-256 of its characters */
};

/* What is in a file of tokens. */
struct config_tokens {
	struct config_token *list; /* in the order of their hashes */
	size_t count;
};

/* Somebody with a password. */
enum {
	CONFIG_ACCESS_USERS_MAX = 10000,
	CONFIG_CRYPTED_MAX = 140, /* bytes of a hash */
	CONFIG_COSTS_MAX = 32,
};

struct config_user {
	char name[CONFIG_USER_MAX + 1];
	char hash[CONFIG_CRYPTED_MAX + 1]; /* as crypt(5) has it */
	uint8_t line[CONFIG_TOKEN_HASH]; /* SHA-256 of all of its line */
};

/* What is in a file of users. */
struct config_users {
	struct config_user *list; /* in the order of their names */
	size_t count;
	struct config_tokens lines; /* the same, as tokens are: `line` is the hash */
	const struct config_user *costs[CONFIG_COSTS_MAX]; /* one for each kind and cost of hash */
	size_t cost_count; /* of more than CONFIG_COSTS_MAX some count for nothing */
};

/* Of addresses, as written and to be matched; the latter are ended by one of no family. */
struct config_networks {
	char **allow, **deny; /* NULL-terminated; NULL: any, and none */
	struct cidr *allowed, *denied; /* NULL as they are; its own, or those of the top */
	bool owns_allowed, owns_denied;
};

enum {
	CONFIG_CLIENT_NAMES_MAX = 64, /* patterns of names of certificates */
	CONFIG_CLIENT_NAME_MAX = 512, /* bytes of such a name */
};

/* Whether who comes has to show all that is asked for, or any of it. */
enum config_satisfy { SATISFY_ALL, SATISFY_ANY };

struct jwt_rules;

/* With the token behind it, never agreed on; and what is, beside it, where nothing else is. */
#define CONFIG_BEARER_PREFIX "bearer."
#define CONFIG_BEARER_SUBPROTOCOL "ignyx.bearer"

/* Tokens that somebody else signs (RFC 7519). */
struct config_jwt {
	char *keys_file, *key_file; /* of a set, of one key; of the two one is NULL */
	char **algorithms; /* NULL-terminated; NULL: none */
	char *issuer; /* NULL: any */
	char **audience; /* NULL-terminated, of which one will do; NULL: any */
	int64_t leeway; /* ms */
	bool require_exp;
	struct config_template required, publish; /* as JSON, to be shown and compared */
	char *user; /* the claim that names who it is */
	char *cookie, *query; /* names of others that may have it; NULL: none */
	bool first_message; /* it may come in the first message, */
	int64_t auth_timeout; /* and ms up to then */
	bool subprotocol; /* one of CONFIG_BEARER_PREFIX may have it */
	const struct jwt_rules
		*rules; /* what came of it, the snapshot's; NULL: none is asked for */
};

/* Who may come in. */
struct config_access {
	int satisfy; /* enum config_satisfy */
	char **origins; /* what allowed_origins is, too: of the two one is NULL */
	struct config_networks networks;
	char **client_certificates; /* names of them, see client_names.h; NULL, or none: none is asked for */
	char *tokens_file; /* NULL or "": nobody has to say who he is */
	const struct config_tokens
		*tokens; /* what is in it, the snapshot's; NULL: none is asked for */
	struct config_jwt jwt;
	char *users_file; /* the same of users with passwords */
	const struct config_users *users;
};

/* What may be set for all endpoints at the top and for one in its group. */
struct config_limits {
	int64_t max_message; /* bytes */
	int64_t max_pending; /* bytes */
	int slow_consumer; /* enum config_slow_consumer */
	int64_t max_age; /* ms of what waits, 0: any; with the last two of these */
	int64_t rate; /* of messages of one client, as of struct rate_size */
	int64_t burst; /* as of rate_size_of */
	int64_t bandwidth; /* bytes of its messages in a second; 0: any number */
	int over_rate; /* enum config_over_rate */
	int over_user; /* enum config_over_user */
	/* ms; 0: off */
	int64_t handshake_timeout, ping_interval, ping_timeout, idle_timeout, message_timeout;
	int64_t close_timeout, stall_timeout;
	char **subprotocols; /* NULL-terminated; NULL: none */
	char **allowed_origins; /* NULL-terminated, never empty; NULL: any, or see access */
	char **hosts; /* NULL-terminated, never empty; NULL: any */
	char *room_names; /* what each segment that a placeholder takes has to match, see pattern.h */
	bool require_subprotocol;
	bool access_log;
	struct config_compression compression;
	struct config_access access;
};

/* Who publishes in a room: its members, too; the admin interface alone; or nobody. */
enum config_publish { PUBLISH_MEMBERS, PUBLISH_BACKEND, PUBLISH_NONE };
enum config_data { DATA_TEXT, DATA_JSON /* each message is one whole JSON value */ };
enum config_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_BOTH /* whichever the client asks for */ };

/* What its members are told of who is in a room. */
enum config_presence { PRESENCE_NONE, PRESENCE_COUNT, PRESENCE_LIST };
enum { CONFIG_PRESENCE_MAX = 5000 }; /* of how many it is told who they are, at most */

/* Messages that a room keeps, at most. */
enum { CONFIG_HISTORY_MAX = 10000 };

/* Who asks for this subprotocol gets the format "json", where it may be had. */
#define CONFIG_ROOM_SUBPROTOCOL "ignyx.room.v1"

/* What holds of the rooms of an endpoint, and in each. */
struct config_room {
	int64_t max_rooms; /* over all workers; 0: any number */
	int publish; /* enum config_publish */
	int64_t room_rate; /* of messages, as of struct rate_size */
	int64_t max_members; /* over all workers; 0: any number */
	int format; /* enum config_format */
	int data; /* enum config_data */
	int64_t history; /* messages that are kept of each room; 0: none */
	int64_t history_bytes, history_ttl; /* and how long at most, in ms; ttl 0: for ever */
	int64_t replay; /* of these, how many a new member gets */
	int presence; /* enum config_presence */
	int64_t presence_max; /* users and others: of more it is not told who they are */
	int64_t presence_rate; /* of events in a room, as of struct rate_size */
	int64_t presence_grace; /* ms for which a user who has gone is told to be there */
};

/* A certificate with its chain and key. The objects are OpenSSL's. */
struct config_certificate {
	char *certificate, *key; /* names of the files, as configured */
	struct x509_st *leaf;
	struct stack_st_X509 *chain; /* those above the leaf, perhaps none */
	struct evp_pkey_st *private_key;
	char **names; /* DNS names and "*.host" patterns in lower case, NULL-terminated */
	const char *file; /* where it stands in the configuration */
	int line;
	unsigned element; /* of all elements of lists, in the order of the text */
};

/* When something that TLS goes by is valid. */
struct config_validity {
	const char *key; /* the setting that names its file */
	char *what; /* the name of the file and, where there are several in it, of whom this is */
	bool is_list; /* of revocations, which is good for days: no warning ahead */
	int64_t begins, expires; /* seconds since the epoch */
	const char *file; /* where it stands in the configuration */
	int line;
};

enum config_verify { VERIFY_NONE, VERIFY_OPTIONAL, VERIFY_REQUIRED };

struct config_tls {
	bool on;
	int min_version; /* index: 0 is TLS 1.2, 1 is TLS 1.3 */
	char *ciphers, *ciphersuites, *curves; /* as OpenSSL writes them; NULL: its own */
	char *client_ca, *crl; /* names of files; NULL: none */
	int verify; /* enum config_verify */
	bool session_tickets, prefer_server_ciphers;
	size_t certificate_count;
	struct config_certificate *certificates; /* the first one is the default */
	struct stack_st_X509 *authorities; /* of client_ca */
	uint8_t (*anchors)[ANCHOR]; /* of each of them */
	size_t anchor_count;
	struct stack_st_X509_CRL *revoked; /* of crl */
	size_t revoked_count;
	struct config_validity *validity; /* of all of them */
	size_t validity_count, validity_cap;
	const char *file; /* where it stands in the configuration */
	int line;
};

struct config_listener {
	char *address; /* IPv4 or IPv6 literal; NULL for a unix socket */
	int64_t port;
	int64_t backlog;
	char *unix_path; /* NULL for TCP */
	char *systemd; /* name of the sockets that the service manager hands in; NULL: we open it */
	int64_t mode;
	char *group; /* of the unix socket's file; NULL: the user's own */
	unsigned gid; /* the same as a number; in the master only */
	int64_t accept_rate; /* connections a second and worker, 0: any number */
	bool proxy_protocol; /* a connection begins with a PROXY header */
	int forwarded; /* enum forwarded_kind */
	char **trusted; /* blocks of addresses, as written; NULL: none */
	struct cidr *blocks; /* the same, to be matched; ended by one of no family */
	struct config_tls tls;
	const char *file; /* where it stands in the configuration */
	int line;
	unsigned element; /* of all elements of lists, in the order of the text */
};

/* The admin interface: a process of its own, which listens on a unix socket and over TCP. */
struct config_admin {
	bool enabled; /* resolved: also false where it has no socket at all */
	char *unix_path; /* as written; NULL: "admin.sock" in runtime_dir */
	char *socket; /* resolved; NULL: there is none */
	size_t listener_count;
	struct config_listener *listeners; /* over TCP: address, port and tls alone are theirs */
	char *tokens_file; /* NULL: none */
	struct config_tokens tokens; /* what is in it */
	int64_t mode; /* of the socket's file */
	char *group, *read_group; /* of users who may do all, and who may read; NULL: none */
	unsigned gid, read_gid; /* the same as numbers, CONFIG_NO_GID: none; in the master only */
	int64_t max_body; /* bytes of a request */
};

struct config;
struct pattern;
struct routes;
struct upgrade;

struct config_endpoint {
	char *path; /* decoded; begins with "/"; with placeholders a pattern, see path.h */
	bool placeholders; /* it has some: connections come by paths of their own */
	struct pattern *names; /* its own room_names; NULL: those at the top count */
	char *behaviour_name; /* as written */
	const struct behaviour *behaviour;
	void *opts;
	const struct config_template
		*kept; /* of opts: that each connection has with its own values; NULL: none is */
	/* to it, over all workers; 0: any number */
	int64_t max_connections, max_connections_per_address, max_connections_per_user;
	struct metrics_cell *cell; /* where it is counted; NULL: this process does not count */
	bool has_room; /* its connections may be members of the room that its path names */
	bool rated; /* what they say, by rate or bandwidth */
	bool looks; /* at what they say: for a rate, a request, a token, JSON; not for a plain echo */
	bool reads_json; /* texts go to the behaviour's json, as that says */
	struct config_room room; /* the presets where it has none */
	struct rate_size rate; /* resolved: of messages of one client, */
	struct rate_size room_rate; /* and of a room */
	struct config_limits limits;
	const struct config *config; /* the snapshot that it belongs to */
	uint64_t key; /* of its path, never 0: the same in all snapshots and processes */
	const char *file;
	int line;
	unsigned element; /* of all elements of lists, in the order of the text */
};

struct config {
	unsigned refs;
	uint64_t generation; /* 1 at start, one more with every applied reload */
	int64_t workers; /* resolved: 1..CONFIG_WORKERS_MAX */
	char *user; /* NULL: none */
	char *runtime_dir; /* NULL: none */
	int log_level; /* syslog's: LOG_ERR .. LOG_DEBUG */
	int log_time; /* enum log_time */
	int64_t bus_size; /* a power of two */
	int64_t bus_lag; /* for bus_limits.lag: with CONFIG_ENTRY_SPACE added, at most bus_size / 4 */
	int64_t max_rooms;
	int64_t max_connections, max_handshakes; /* resolved; the latter of each worker */
	int64_t address_prefix_ipv4, address_prefix_ipv6; /* bits of what counts as one address */
	/* over all endpoints; 0: any number */
	int64_t max_connections_per_address, max_connections_per_user;
	bool replaces; /* some endpoint has over_user so */
	/* Of one address, over all workers; as of value_times_size; resolved */
	int64_t connection_rate_per_address, auth_failures;
	struct rate_size connection_rate; /* of its requests */
	struct rate_size
		failure_rate; /* of those that failed: the first that is over it was one too many */
	int64_t auth_penalty; /* ms for which it is not listened to then */
	int64_t max_memory; /* bytes of one worker, resolved */
	int64_t max_head; /* bytes of a request's head */
	char *health; /* path of the health check; NULL: none */
	int64_t worker_timeout, shutdown_grace; /* ms */
	int64_t drain_time; /* ms over which connections are let go; 0: at once */
	bool drain_set; /* by the file: then a stop takes that time as well */
	struct config_admin admin;
	int64_t patience; /* ms until TCP gives up a silent peer; 0: until it does by itself */
	struct config_limits limits; /* the defaults; used before the endpoint is known */
	struct pattern *names; /* room_names */
	size_t listener_count, endpoint_count;
	struct config_listener *listeners;
	struct config_endpoint *endpoints; /* sorted by path */
	struct routes *routes; /* to them */
};

/* All errors and warnings of one load, in order of file and line. */
struct config_errors;
struct config_errors *config_errors_new(void);
void config_errors_free(struct config_errors *e);
size_t config_errors_count(const struct config_errors *e); /* errors, warnings not counted */
/* Calls fn with each, formatted as "file:line: what is wrong". */
void config_errors_each(const struct config_errors *e,
			void (*fn)(bool warning, const char *line, void *arg), void *arg);
/* The same in its parts; lent for the call. */
struct config_error {
	bool warning;
	const char *file; /* NULL: it is in none */
	unsigned line; /* 0: the file as a whole */
	const char *text;
};
void config_errors_each_part(const struct config_errors *e,
			     void (*fn)(const struct config_error *error, void *arg), void *arg);

/* The expanded text with its map back to file and line. */
struct config_source;

/* Reads path and what it includes. NULL: reported to e. */
struct config_source *config_load(const char *path, struct config_errors *e);
void config_source_free(struct config_source *s);

/*
 * To hand it to another process: as bytes (malloc'ed; keys are among them, so clear them
 * after use), and back (NULL: not valid).
 */
void *config_source_pack(const struct config_source *s, size_t *len);
struct config_source *config_source_unpack(const void *bytes, size_t len);

/*
 * Reads of path and what it includes only the absolute path that it has as "runtime_dir"; whatever
 * else may be wrong with it. The caller frees it. NULL: there is none, or errors, which are in e.
 */
char *config_find_runtime_dir(const char *path, struct config_errors *e);

/*
 * Makes a snapshot (refs 1). behaviours: NULL-terminated. generation is noted
 * in it. Files that the text names (certificates, keys) are read, once, and kept in
 * s, to be handed on with it. NULL: everything that is wrong is in e. Warnings may
 * be in e in any case.
 */
struct config *config_parse(struct config_source *s, const struct behaviour *const *behaviours,
			    uint64_t generation, struct config_errors *e);

struct config *config_ref(struct config *c);
void config_unref(struct config *c);

/*
 * Where a request's path leads. Of an endpoint with placeholders each path is a room of its own, and
 * what is asked for has to be split as it came, so that "%2F" is never a "/".
 */
struct config_route {
	const struct config_endpoint *endpoint; /* NULL: nowhere */
	/*
	 * The path that matched, its segments decoded: the name of the room, where there is one. It is
	 * in text, or the endpoint's. NULL: there is no endpoint.
	 */
	const char *name;
	char text[BUS_ROOM_NAME_MAX + 1];
};

/* up: with its path and target; lent. *out is filled in, and is not to be copied. */
void config_route(const struct config *c, const struct upgrade *up, struct config_route *out);

/*
 * The same by such a name, as who is connected, an administrator or a reload has it. NULL: it leads
 * nowhere.
 */
const struct config_endpoint *config_route_name(const struct config *c, const char *name);

/* What the rooms of an endpoint keep. */
struct bus_keep config_keep(const struct config_endpoint *e);

/*
 * What a placeholder took, of the path that led to an endpoint: a view of it. name: of the name of
 * it. False: it has no such placeholder.
 */
bool config_route_value(const struct config_endpoint *e, const char *name, const char *placeholder,
			struct http_text *value);

/* The file that it was read from, as it was named. */
const char *config_file(const struct config *c);

/*
 * The sockets of the admin interface, 0 .. the number of them - 1: the unix socket, if there is
 * one, then those over TCP. What it points to is the snapshot's.
 */
size_t config_admin_sockets(const struct config *c);
struct config_listener config_admin_socket(const struct config *c, size_t i);

/*
 * The listeners of clients, then those of the admin interface, from 0 on; NULL: there are no more.
 */
const struct config_listener *config_any_listener(const struct config *c, size_t i);

/* Whether any endpoint has rooms, for which the bus must be ready. */
bool config_uses_bus(const struct config *c);

/* When the first certificate expires, seconds since the epoch; 0: there is none. */
int64_t config_first_expiry(const struct config *c);

/*
 * Calls fn with a line for each certificate or revocation list that is not valid at now, or not
 * for 21 days more (a list: not any more), if it has a whole day less ahead than it had at
 * since: once a day. Both are seconds since the epoch.
 */
void config_each_invalid(const struct config *c, int64_t since, int64_t now,
			 void (*fn)(const char *line, void *arg), void *arg);

/*
 * For the lint: calls fn with every key of every table; scope is "", a behaviour's name,
 * or the name of the group or of the list that the key is in.
 */
void config_each_key(const struct behaviour *const *behaviours,
		     void (*fn)(const char *scope, const struct config_key *k, void *arg),
		     void *arg);

#endif
