/*
 * listener.h - what a connection has to know of the socket that it came in by.
 *
 * Made by the worker for each listener of each configuration; a connection holds a
 * reference until it is open.
 */
#ifndef SESSION_LISTENER_H
#define SESSION_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

struct cidr;
struct config_listener;
struct tickets;
struct tls_server;

struct listener {
	unsigned refs;
	struct tls_server *tls; /* NULL: plain */
	bool proxy_protocol;
	int forwarded; /* enum forwarded_kind */
	struct cidr *trusted; /* ended by one of no family */
};

/* refs is 1. NULL: *why says in a few words why it cannot be made. */
struct listener *listener_new(const struct config_listener *c, const struct tickets *tickets,
			      const char **why);
struct listener *listener_ref(struct listener *l);
void listener_unref(struct listener *l); /* NULL: does nothing */

/* Whether an address may speak for others here. Who comes by a unix socket may. */
bool listener_trusts(const struct listener *l, uint8_t family, const uint8_t *address);

#endif
