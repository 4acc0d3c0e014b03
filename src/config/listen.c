/*
 * listen.c - the groups of `listen`.
 *
 * A listener has an address and a port, the path of a unix socket, or the name of
 * sockets that the service manager opens. Addresses are literals: a name could stand
 * for many, or for others tomorrow. They are compared in the form the kernel has them,
 * so that "::1" and "0:0:0:0:0:0:0:1" are found to be one.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/tables.h"

static bool given(const struct config_report *r, const char *key)
{
	return config_setting_get_member(r->group, key) != NULL;
}

/* The address as bytes: its family, then what it is. Returns their number, 0 if it is none. */
static size_t address_bytes(const char *address, unsigned char out[17])
{
	if (inet_pton(AF_INET, address, out + 1) == 1) {
		out[0] = AF_INET;
		return 5;
	}
	if (inet_pton(AF_INET6, address, out + 1) == 1) {
		out[0] = AF_INET6;
		return 17;
	}
	return 0;
}

bool listener_is_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, address, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool same_address(const char *a, const char *b)
{
	unsigned char x[17], y[17];
	size_t len = address_bytes(a, x);

	return len != 0 && len == address_bytes(b, y) && memcmp(x, y, len) == 0;
}

/* Whether one of two addresses of a family stands for all. */
static bool overlap(const char *a, const char *b)
{
	static const unsigned char any[16];
	unsigned char x[17], y[17];
	size_t len = address_bytes(a, x);

	return len != 0 && len == address_bytes(b, y) &&
	       (memcmp(x + 1, any, len - 1) == 0 || memcmp(y + 1, any, len - 1) == 0);
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
	if (a->systemd != NULL || b->systemd != NULL)
		return a->systemd != NULL && b->systemd != NULL &&
		       strcmp(a->systemd, b->systemd) == 0;
	if (a->unix_path != NULL || b->unix_path != NULL)
		return a->unix_path != NULL && b->unix_path != NULL &&
		       strcmp(a->unix_path, b->unix_path) == 0;
	return a->address != NULL && b->address != NULL && a->port == b->port &&
	       same_address(a->address, b->address);
}

static bool overlapping(const struct config_listener *a, const struct config_listener *b)
{
	return a->address != NULL && b->address != NULL && a->port == b->port && a->port != 0 &&
	       overlap(a->address, b->address);
}

bool listener_check_other(struct config_report *r, const struct config_listener *l,
			  const struct config_listener *other)
{
	bool same = same_listener(other, l);

	if (!same && !overlapping(other, l))
		return false;
	config_report_error(r, NULL,
			    same ? "the same as the listener at %s:%d"
				 : "overlaps with the listener at %s:%d: one of the two "
				   "addresses stands for all",
			    other->file, other->line);
	return true;
}

/* With those before it: of "admin", which is read first, and of the list. */
static void check_duplicate(struct config_report *r, const struct config *c,
			    const struct config_listener *l)
{
	const struct config_admin *a = &c->admin;

	/* any port that is free is never the same one */
	for (size_t i = 0; i < a->listener_count && l->port != 0; i++)
		if (listener_check_other(r, l, &a->listeners[i]))
			return;
	for (const struct config_listener *first = c->listeners; first < l; first++)
		if (listener_check_other(r, l, first))
			return;
}

void listener_check_tcp(struct config_report *r, const struct config_listener *l)
{
	static const char *const of_unix[] = { "mode", "group" };
	unsigned char bytes[17];

	if (!given(r, "address"))
		config_report_error(r, NULL, "missing setting \"address\"");
	if (!given(r, "port"))
		config_report_error(r, NULL, "missing setting \"port\"");
	for (int i = 0; i < 2; i++)
		if (given(r, of_unix[i]))
			config_report_error(r, of_unix[i], "is for unix sockets only");
	if (l->address != NULL && address_bytes(l->address, bytes) == 0)
		config_report_error(r, "address",
				    "must be an IPv4 or IPv6 address such as \"127.0.0.1\" or "
				    "\"::1\", not \"%s\"",
				    l->address);
}

static void check_unix(struct config_report *r, const struct config_listener *l)
{
	if (given(r, "address") || given(r, "port"))
		config_report_error(r, NULL,
				    "has both \"unix\" and \"%s\"; a listener is one or the other",
				    given(r, "address") ? "address" : "port");
	if (l->unix_path != NULL && *l->unix_path != '/')
		config_report_error(r, "unix", "must be an absolute path, not \"%s\"",
				    l->unix_path);
}

/* Who may say for whom it speaks; on a unix socket the file's mode has decided that. */
static void check_trust(struct config_report *r, const struct config_listener *l)
{
	bool believes = l->proxy_protocol || l->forwarded != 0;

	if (believes && l->trusted == NULL && !given(r, "unix") && !given(r, "systemd") &&
	    !report_is_wrong(r, "trusted"))
		config_report_error(r, l->proxy_protocol ? "proxy_protocol" : "forwarded",
				    "needs \"trusted\": anybody could claim to be anybody. For "
				    "example: trusted = ( \"10.0.0.0/8\" );");
	if (!believes && l->trusted != NULL && !report_is_wrong(r, "proxy_protocol") &&
	    !report_is_wrong(r, "forwarded"))
		config_report_error(r, "trusted",
				    "is not used without \"proxy_protocol\" or \"forwarded\"");
}

static void parse_blocks(struct config_report *r, struct config_listener *l)
{
	const config_setting_t *list = config_setting_get_member(r->group, "trusted");
	size_t n = 0;

	while (l->trusted != NULL && l->trusted[n] != NULL)
		n++;
	l->blocks = alloc_zero(n + 1, sizeof(*l->blocks));
	for (size_t i = 0; i < n; i++)
		if (!cidr_parse(l->trusted[i], &l->blocks[i]))
			report_key(r, config_setting_get_elem(list, (unsigned)i), "trusted",
				   "must have blocks such as \"10.0.0.0/8\" or \"2001:db8::1\", "
				   "without bits behind the prefix, not \"%s\"",
				   l->trusted[i]);
}

static void check_systemd(struct config_report *r)
{
	static const char *const others[] = {
		"address", "port", "unix", "mode", "group", "backlog"
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (given(r, others[i]))
			config_report_error(r, others[i],
					    "is decided by the socket unit where \"systemd\" is "
					    "set");
}

static void check_kind(struct config_report *r, const struct config_listener *l)
{
	if (given(r, "systemd"))
		check_systemd(r);
	else if (given(r, "unix"))
		check_unix(r, l);
	else if (given(r, "address") || given(r, "port"))
		listener_check_tcp(r, l);
	else
		config_report_error(r, NULL,
				    "needs \"address\" and \"port\", or \"unix\", or \"systemd\"");
}

void listener_check(struct config_report *r, void *config, void *listener)
{
	struct config_listener *l = listener;

	check_kind(r, l);
	check_trust(r, l);
	group_find(r, "group", l->group, &l->gid);
	parse_blocks(r, l);
	check_duplicate(r, config, l);
}

void listener_end(void *listener)
{
	free(((struct config_listener *)listener)->blocks);
}
