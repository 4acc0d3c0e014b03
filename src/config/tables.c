/*
 * tables.c - every setting but those of the behaviours, one row each.
 *
 * The limits (limits.def) stand in two tables: at the top they have presets, in
 * an endpoint they take the value from the top. A row here, a field in config.h,
 * a line in the sample and an item in the man page: that is a new setting.
 */
#include "config/tables.h"

#include <stddef.h>
#include <syslog.h>

#include "base/tally.h"
#include "bus/bus.h"
#include "proto/upgrade.h"

static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
/* In the order of enum log_time. */
static const char *const log_times[] = { "auto", "always", "never", NULL };
/* In the order of enum config_publish. */
static const char *const publishers[] = { "members", "backend", "none", NULL };
/* In the order of enum config_format. */
static const char *const formats[] = { "text", "json", "both", NULL };
/* In the order of enum config_presence. */
static const char *const presences[] = { "none", "count", "list", NULL };
/* In the order of enum config_data. */
static const char *const data_kinds[] = { "text", "json", NULL };
/* In the order of enum config_over_rate. */
static const char *const over_rates[] = { "delay", "drop", "close", NULL };
/* In the order of enum config_over_user. */
static const char *const over_users[] = { "refuse", "oldest", NULL };
static const char *const slow_consumers[] = { "close", "drop_newest", "drop_oldest", "latest",
					      NULL };

#define HOUR ((int64_t)60 * 60 * 1000)
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

/* zlib's window of 8 bits is none that it can decompress alone (RFC 7692 7.1.2.1 allows 8..15). */
#define COMPRESSION(field, ...) ROW(struct config_compression, #field, field, __VA_ARGS__)
#define WINDOW_BITS .type = CONFIG_INT, .preset = "15", .min = 9, .max = 15

/* Of all connections at the top, of those to an endpoint in its group: both hold. */
#define TALLIED .type = CONFIG_INT, .preset = "0", .max = TALLY_MOST

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define ROW(of, key, field, ...) { .name = key, .offset = offsetof(of, field), __VA_ARGS__ }
#define LIST(holder, counter, of) \
	.size = sizeof(of), .count = offsetof(holder, counter), \
	.file = offsetof(of, file), .line = offsetof(of, line), .element = offsetof(of, element)
// clang-format on
#define WRITTEN(field, ...) ROW(struct snapshot, #field, written.field, __VA_ARGS__)
#define MEANT(field) .meant = offsetof(struct config, field)
#define GLOBAL(field, ...) ROW(struct config, #field, field, __VA_ARGS__)
#define LISTEN(key, field, ...) ROW(struct config_listener, key, field, __VA_ARGS__)

static const struct config_key compression_keys[] = {
	COMPRESSION(enabled, .type = CONFIG_BOOL, .preset = "false"),
	COMPRESSION(level, .type = CONFIG_INT, .preset = "1", .min = 1, .max = 9),
	COMPRESSION(memory_level, .type = CONFIG_INT, .preset = "8", .min = 1, .max = 9),
	COMPRESSION(threshold, .type = CONFIG_SIZE, .preset = "64", .max = MIB),
	COMPRESSION(server_context_takeover, .type = CONFIG_BOOL, .preset = "false"),
	COMPRESSION(client_context_takeover, .type = CONFIG_BOOL, .preset = "false"),
	COMPRESSION(server_max_window_bits, WINDOW_BITS),
	COMPRESSION(client_max_window_bits, WINDOW_BITS),
	{ 0 },
};

static const struct config_group compression = { .keys = compression_keys };

#define NETWORKS(field, ...)                                                                       \
	ROW(struct config_networks, #field, field, .type = CONFIG_STRINGS, .max = 1024, __VA_ARGS__)

static const struct config_key networks_keys[] = {
	NETWORKS(allow, .min = 1),
	NETWORKS(deny),
	{ 0 },
};

static const struct config_group networks = { .keys = networks_keys, .end = networks_end };

/* In the order of enum config_satisfy. */
static const char *const satisfactions[] = { "all", "any", NULL };

#define JWT(key, field, ...) ROW(struct config_jwt, key, field, __VA_ARGS__)

static const struct config_key jwt_keys[] = {
	JWT("keys", keys_file, .type = CONFIG_STRING, .min = 1, .max = 4096),
	JWT("key", key_file, .type = CONFIG_STRING, .min = 1, .max = 4096),
	JWT("algorithms", algorithms, .type = CONFIG_STRINGS, .min = 1, .max = 12),
	JWT("issuer", issuer, .type = CONFIG_STRING, .min = 1, .max = 1024),
	JWT("audience", audience, .type = CONFIG_STRINGS, .min = 1, .max = 64, .or_string = true),
	JWT("leeway", leeway, .type = CONFIG_DURATION, .preset = "0", .max = HOUR / 12),
	JWT("require_exp", require_exp, .type = CONFIG_BOOL, .preset = "true"),
	JWT("required", required, .type = CONFIG_JSON),
	JWT("publish", publish, .type = CONFIG_JSON),
	JWT("user", user, .type = CONFIG_STRING, .preset = "sub", .min = 1, .max = 256),
	JWT("cookie", cookie, .type = CONFIG_STRING, .min = 1, .max = 128),
	JWT("subprotocol", subprotocol, .type = CONFIG_BOOL, .preset = "false"),
	JWT("query", query, .type = CONFIG_STRING, .min = 1, .max = 128),
	JWT("first_message", first_message, .type = CONFIG_BOOL, .preset = "false"),
	JWT("auth_timeout", auth_timeout, .type = CONFIG_DURATION, .preset = "10s", .min = 100,
	    .max = HOUR / 12),
	{ 0 },
};

static const struct config_group jwt = { .keys = jwt_keys };

#define ACCESS(key, field, ...) ROW(struct config_access, key, field, __VA_ARGS__)

static const struct config_key access_keys[] = {
	ACCESS("origins", origins, .type = CONFIG_STRINGS, .min = 1, .max = 1024),
	ACCESS("networks", networks, .type = CONFIG_GROUP, .group = &networks),
	ACCESS("satisfy", satisfy, .type = CONFIG_CHOICE, .preset = "all",
	       .choices = satisfactions),
	ACCESS("client_certificates", client_certificates, .type = CONFIG_STRINGS,
	       .max = CONFIG_CLIENT_NAMES_MAX),
	ACCESS("tokens", tokens_file, .type = CONFIG_STRING, .max = 4096),
	ACCESS("jwt", jwt, .type = CONFIG_GROUP, .group = &jwt, .whole = true),
	ACCESS("users", users_file, .type = CONFIG_STRING, .max = 4096),
	{ 0 },
};

static const struct config_group access = { .keys = access_keys };

#define LIMIT(field, ...)                                                                          \
	{ .name = #field,                                                                          \
	  .offset = LIMITS_AT + offsetof(struct config_limits, field),                             \
	  __VA_ARGS__ },

#define TLS(field, ...) ROW(struct config_tls, #field, field, __VA_ARGS__)

/*
 * Forward secrecy and authenticated encryption only; what TLS 1.3 has is of that
 * kind anyway.
 */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

/* In the order of enum forwarded_kind. */
static const char *const forwarded_headers[] = { "none", "x-forwarded-for", "forwarded",
						 "x-real-ip", NULL };
static const char *const versions[] = { "1.2", "1.3", NULL };
static const char *const verifications[] = { "none", "optional", "required", NULL };

#define CERTIFICATE(field)                                                                         \
	ROW(struct config_certificate, #field, field, .type = CONFIG_STRING, .required = true,     \
	    .min = 1, .max = 4096)

static const struct config_key certificate_keys[] = {
	CERTIFICATE(certificate),
	CERTIFICATE(key),
	{ 0 },
};

static const struct config_group certificate = { .keys = certificate_keys,
						 .whose = "a certificate",
						 .check = certificate_check,
						 .end = certificate_end };

static const struct config_list certificates = {
	LIST(struct config_tls, certificate_count, struct config_certificate),
	.noun = "certificate",
	.unnumbered = true,
	.plural = "of them",
	.example = "{ certificate = \"chain.pem\"; key = \"key.pem\"; }",
};

static const struct config_key tls_keys[] = {
	TLS(certificates, .type = CONFIG_GROUPS, .required = true, .min = 1,
	    .max = CONFIG_CERTIFICATES_MAX, .group = &certificate, .list = &certificates),
	TLS(min_version, .type = CONFIG_CHOICE, .preset = "1.2", .choices = versions),
	TLS(ciphers, .type = CONFIG_STRING, .preset = CIPHERS, .min = 1, .max = 2048),
	TLS(ciphersuites, .type = CONFIG_STRING, .min = 1, .max = 2048),
	TLS(curves, .type = CONFIG_STRING, .min = 1, .max = 2048),
	TLS(client_ca, .type = CONFIG_STRING, .min = 1, .max = 4096),
	TLS(crl, .type = CONFIG_STRING, .min = 1, .max = 4096),
	TLS(verify, .type = CONFIG_CHOICE, .preset = "none", .choices = verifications),
	TLS(session_tickets, .type = CONFIG_BOOL, .preset = "true"),
	TLS(prefer_server_ciphers, .type = CONFIG_BOOL, .preset = "true"),
	{ 0 },
};

static const struct config_group tls = { .keys = tls_keys, .check = tls_check, .end = tls_end };

static const struct config_key listen_keys[] = {
	LISTEN("address", address, .type = CONFIG_STRING),
	LISTEN("port", port, .type = CONFIG_INT, .max = 65535),
	LISTEN("backlog", backlog, .type = CONFIG_INT, .preset = "4096", .min = 1, .max = 65535),
	LISTEN("unix", unix_path, .type = CONFIG_STRING, .min = 1, .max = 107),
	LISTEN("systemd", systemd, .type = CONFIG_STRING, .min = 1, .max = 120),
	LISTEN("mode", mode, .type = CONFIG_MODE, .preset = "0660", .max = 0777),
	LISTEN("group", group, .type = CONFIG_STRING, .min = 1, .max = 256),
	LISTEN("proxy_protocol", proxy_protocol, .type = CONFIG_BOOL, .preset = "false"),
	LISTEN("forwarded", forwarded, .type = CONFIG_CHOICE, .preset = "none",
	       .choices = forwarded_headers),
	LISTEN("trusted", trusted, .type = CONFIG_STRINGS, .max = 1024),
	LISTEN("accept_rate", accept_rate, .type = CONFIG_INT, .preset = "0", .max = 1000000),
	LISTEN("tls", tls, .type = CONFIG_GROUP, .group = &tls),
	{ 0 },
};

const struct config_group table_listen = {
	.keys = listen_keys, .whose = "a listener", .check = listener_check, .end = listener_end
};

static const struct config_list listeners = {
	LIST(struct config, listener_count, struct config_listener),
	.noun = "listen",
	.plural = "listeners",
	.example = "{ address = \"127.0.0.1\"; port = 8080; }",
	.empty = "a reload closes all listeners, and no daemon starts with it",
};

#define ROOM(field, ...)                                                                           \
	ROW(struct config_endpoint, #field, room.field, .rooms = true, .own = true, __VA_ARGS__)

#define TALLIED_HERE(field) ROW(struct config_endpoint, #field, field, TALLIED, .own = true)

static const struct config_key endpoint_keys[] = {
	ROW(struct config_endpoint, "path", path, .type = CONFIG_STRING, .required = true, .min = 1,
	    .max = UPGRADE_PATH_MAX),
	ROW(struct config_endpoint, "behaviour", behaviour_name, .type = CONFIG_STRING,
	    .required = true),
	TALLIED_HERE(max_connections),
	TALLIED_HERE(max_connections_per_address),
	TALLIED_HERE(max_connections_per_user),
	ROOM(publish, .type = CONFIG_CHOICE, .preset = "members", .choices = publishers),
	ROOM(max_rooms, .type = CONFIG_INT, .preset = "0", .max = MIB),
	ROOM(room_rate, .type = CONFIG_RATE, .preset = "0"),
	ROOM(max_members, .type = CONFIG_INT, .preset = "0", .max = TALLY_MOST),
	ROOM(history, .type = CONFIG_INT, .preset = "0", .max = CONFIG_HISTORY_MAX),
	ROOM(history_ttl, .type = CONFIG_DURATION, .preset = "5m", .max = 366 * 24 * HOUR),
	ROOM(history_bytes, .type = CONFIG_SIZE, .preset = "256K", .min = KIB, .max = MIB),
	ROOM(replay, .type = CONFIG_INT, .preset = "0", .max = CONFIG_HISTORY_MAX),
	ROOM(format, .type = CONFIG_CHOICE, .preset = "text", .choices = formats),
	ROOM(presence, .type = CONFIG_CHOICE, .preset = "none", .choices = presences,
	     .or_bool = true),
	ROOM(presence_max, .type = CONFIG_INT, .preset = "1000", .min = 1,
	     .max = CONFIG_PRESENCE_MAX),
	ROOM(presence_rate, .type = CONFIG_RATE, .preset = "5/s"),
	ROOM(presence_grace, .type = CONFIG_DURATION, .preset = "5s", .max = HOUR / 12),
	ROOM(data, .type = CONFIG_CHOICE, .preset = "text", .choices = data_kinds),
#define LIMITS_AT offsetof(struct config_endpoint, limits)
#include "config/limits.def"
#undef LIMITS_AT
	{ 0 },
};

const struct config_group table_endpoint = { .keys = endpoint_keys,
					     .whose = "an endpoint",
					     .mixed = true,
					     .check = endpoint_check,
					     .end = endpoint_end };

static const struct config_list endpoints = {
	LIST(struct config, endpoint_count, struct config_endpoint),
	.noun = "endpoint",
	.named_by = "path",
	.unique = "path",
	.example = "{ path = \"/ws\"; behaviour = \"echo\"; }",
	.empty = "every request is answered with 404",
	.inherits = true,
};

#define ADMIN(field, ...) ROW(struct config_admin, #field, field, __VA_ARGS__)

static const struct config_key admin_listen_keys[] = {
	LISTEN("address", address, .type = CONFIG_STRING),
	LISTEN("port", port, .type = CONFIG_INT, .max = 65535),
	LISTEN("tls", tls, .type = CONFIG_GROUP, .group = &tls),
	{ 0 },
};

static const struct config_group admin_listen = { .keys = admin_listen_keys,
						  .whose = "a listener of \"admin\"",
						  .check = admin_listener_check };

static const struct config_list admin_listeners = {
	LIST(struct config_admin, listener_count, struct config_listener),
	.noun = "listen",
	.plural = "listeners",
	.example = "{ address = \"127.0.0.1\"; port = 8081; }",
};

static const struct config_key admin_keys[] = {
	ADMIN(enabled, .type = CONFIG_BOOL, .preset = "true"),
	ROW(struct config_admin, "unix", unix_path, .type = CONFIG_STRING, .min = 1, .max = 107,
	    .meant = offsetof(struct config_admin, socket)),
	ADMIN(mode, .type = CONFIG_MODE, .preset = "0660", .max = 0777),
	ADMIN(group, .type = CONFIG_STRING, .min = 1, .max = 256),
	ADMIN(read_group, .type = CONFIG_STRING, .min = 1, .max = 256),
	ROW(struct config_admin, "listen", listeners, .type = CONFIG_GROUPS,
	    .max = CONFIG_ADMIN_LISTENERS_MAX, .group = &admin_listen, .list = &admin_listeners),
	ROW(struct config_admin, "tokens", tokens_file, .type = CONFIG_STRING, .min = 1,
	    .max = 4096),
	ADMIN(max_body, .type = CONFIG_SIZE, .preset = "1M", .min = 4 * KIB, .max = 64 * MIB),
	{ 0 },
};

static const struct config_group admin = { .keys = admin_keys,
					   .check = admin_group_check,
					   .end = admin_group_end };

static const struct config_key top_keys[] = {
	WRITTEN(workers, .type = CONFIG_INT, .preset = "0", .max = CONFIG_WORKERS_MAX,
		MEANT(workers)),
	GLOBAL(user, .type = CONFIG_STRING, .min = 1, .max = 256, .restart = true),
	WRITTEN(runtime_dir, .type = CONFIG_STRING, .min = 1, .max = 1024, .restart = true,
		MEANT(runtime_dir)),
	GLOBAL(log_level, .type = CONFIG_CHOICE, .preset = "info", .choices = log_levels,
	       .min = LOG_ERR, .max = LOG_DEBUG),
	GLOBAL(log_time, .type = CONFIG_CHOICE, .preset = "auto", .choices = log_times),
	GLOBAL(bus_size, .type = CONFIG_SIZE, .preset = "64M", .min = 64 * KIB, .max = BUS_SIZE_MAX,
	       .restart = true),
	WRITTEN(bus_lag, .type = CONFIG_SIZE, .preset = "1M", .min = 4 * KIB,
		.max = BUS_SIZE_MAX / 4, .restart = true),
	GLOBAL(max_rooms, .type = CONFIG_INT, .preset = "65536", .min = 1, .max = MIB,
	       .restart = true),
	WRITTEN(max_memory, .type = CONFIG_SIZE, .preset = "0", .max = 1024 * GIB,
		MEANT(max_memory)),
	WRITTEN(max_connections, .type = CONFIG_INT, .preset = "0", .max = INT32_MAX,
		MEANT(max_connections)),
	WRITTEN(max_handshakes, .type = CONFIG_INT, .preset = "0", .max = INT32_MAX,
		MEANT(max_handshakes)),
	GLOBAL(address_prefix_ipv4, .type = CONFIG_INT, .preset = "32", .min = 1, .max = 32),
	GLOBAL(address_prefix_ipv6, .type = CONFIG_INT, .preset = "64", .min = 1, .max = 128),
	GLOBAL(max_connections_per_address, TALLIED),
	GLOBAL(max_connections_per_user, TALLIED),
	GLOBAL(connection_rate_per_address, .type = CONFIG_TIMES, .preset = "0"),
	GLOBAL(auth_failures, .type = CONFIG_TIMES, .preset = "0"),
	GLOBAL(auth_penalty, .type = CONFIG_DURATION, .preset = "1m", .min = 1000,
	       .max = 24 * HOUR),
	GLOBAL(max_head, .type = CONFIG_SIZE, .preset = "8K", .min = KIB, .max = 64 * KIB),
	GLOBAL(health, .type = CONFIG_STRING, .min = 1, .max = UPGRADE_PATH_MAX),
	GLOBAL(worker_timeout, .type = CONFIG_DURATION, .preset = "10s", .min = 1000, .max = HOUR),
	GLOBAL(shutdown_grace, .type = CONFIG_DURATION, .preset = "10s", .max = HOUR),
	GLOBAL(drain_time, .type = CONFIG_DURATION, .preset = "10s", .max = HOUR),
	GLOBAL(admin, .type = CONFIG_GROUP, .group = &admin),
	ROW(struct config, "listen", listeners, .type = CONFIG_GROUPS, .required = true,
	    .max = CONFIG_LISTENERS_MAX, .group = &table_listen, .list = &listeners),
	GLOBAL(endpoints, .type = CONFIG_GROUPS, .required = true, .group = &table_endpoint,
	       .list = &endpoints),
#define LIMITS_AT offsetof(struct config, limits)
#include "config/limits.def"
#undef LIMITS_AT
	{ 0 },
};

const struct config_group table_top = { .keys = top_keys,
					.whose = "the top level",
					.check = top_check };
