/*
 * tables.c - every setting but those of the behaviours, one row each.
 *
 * The limits (limits.def) stand in two tables: at the top they have presets, in
 * an endpoint they take the value from the top. A row here, a field in config.h,
 * a line in the sample and an item in the man page: that is a new setting.
 */
#include "config/tables.h"

#include <stddef.h>

#include "bus/bus.h"
#include "proto/upgrade.h"

static const char *const log_levels[] = { "error", "warning", "notice", "info", "debug", NULL };
/* In the order of enum log_time. */
static const char *const log_times[] = { "auto", "always", "never", NULL };
static const char *const slow_consumers[] = { "close", "drop_newest", NULL };

#define HOUR ((int64_t)60 * 60 * 1000)
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

/* zlib's window of 8 bits is none that it can decompress alone (RFC 7692 7.1.2.1 allows 8..15). */
#define COMPRESSION(field, ...) ROW(struct config_compression, #field, field, __VA_ARGS__)
#define WINDOW_BITS .type = CONFIG_INT, .preset = "15", .min = 9, .max = 15

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define ROW(of, key, field, ...) { .name = key, .offset = offsetof(of, field), __VA_ARGS__ }
// clang-format on
#define GLOBAL(field, ...) ROW(struct config, #field, field, __VA_ARGS__)
#define LISTEN(key, field, ...) ROW(struct config_listener, key, field, __VA_ARGS__)

static const struct config_key compression[] = {
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

#define LIMIT(field, ...)                                                                          \
	{ .name = #field,                                                                          \
	  .offset = LIMITS_AT + offsetof(struct config_limits, field),                             \
	  __VA_ARGS__ },

const struct config_key table_limits[] = {
#define LIMITS_AT 0
#include "config/limits.def"
#undef LIMITS_AT
	{ 0 },
};

const struct config_key table_global[] = {
	GLOBAL(workers, .type = CONFIG_INT, .preset = "0", .max = CONFIG_WORKERS_MAX),
	GLOBAL(user, .type = CONFIG_STRING, .min = 1, .max = 256, .restart = true),
	GLOBAL(runtime_dir, .type = CONFIG_STRING, .min = 1, .max = 1024, .restart = true),
	GLOBAL(log_level, .type = CONFIG_CHOICE, .preset = "info", .choices = log_levels),
	GLOBAL(log_time, .type = CONFIG_CHOICE, .preset = "auto", .choices = log_times),
	GLOBAL(bus_size, .type = CONFIG_SIZE, .preset = "64M", .min = 64 * KIB, .max = BUS_SIZE_MAX,
	       .restart = true),
	GLOBAL(bus_lag, .type = CONFIG_SIZE, .preset = "1M", .min = 4 * KIB,
	       .max = BUS_SIZE_MAX / 4, .restart = true),
	GLOBAL(max_rooms, .type = CONFIG_INT, .preset = "65536", .min = 1, .max = MIB,
	       .restart = true),
	GLOBAL(max_connections, .type = CONFIG_INT, .preset = "0", .max = INT32_MAX),
	GLOBAL(max_head, .type = CONFIG_SIZE, .preset = "8K", .min = KIB, .max = 64 * KIB),
	GLOBAL(health, .type = CONFIG_STRING, .min = 1, .max = UPGRADE_PATH_MAX),
	GLOBAL(worker_timeout, .type = CONFIG_DURATION, .preset = "10s", .min = 1000, .max = HOUR),
	GLOBAL(shutdown_grace, .type = CONFIG_DURATION, .preset = "10s", .max = HOUR),
	{ .name = "listen", .type = CONFIG_GROUPS, .required = true },
	{ .name = "endpoints", .type = CONFIG_GROUPS, .required = true },
#define LIMITS_AT offsetof(struct config, limits)
#include "config/limits.def"
#undef LIMITS_AT
	{ 0 },
};

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

static const struct config_key tls[] = {
	{ .name = "certificates", .type = CONFIG_GROUPS, .required = true },
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

#define CERTIFICATE(field)                                                                         \
	ROW(struct config_certificate, #field, field, .type = CONFIG_STRING, .required = true,     \
	    .min = 1, .max = 4096)

const struct config_key table_certificate[] = {
	CERTIFICATE(certificate),
	CERTIFICATE(key),
	{ 0 },
};

const struct config_key table_listen[] = {
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
	LISTEN("tls", tls, .type = CONFIG_GROUP, .group = tls),
	{ 0 },
};

const struct config_key table_endpoint[] = {
	ROW(struct endpoint_draft, "path", endpoint.path, .type = CONFIG_STRING, .required = true,
	    .min = 1, .max = UPGRADE_PATH_MAX),
	ROW(struct endpoint_draft, "behaviour", behaviour, .type = CONFIG_STRING, .required = true),
#define LIMITS_AT offsetof(struct endpoint_draft, endpoint.limits)
#include "config/limits.def"
#undef LIMITS_AT
	{ 0 },
};
