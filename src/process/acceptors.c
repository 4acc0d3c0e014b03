/*
 * acceptors.c - see acceptors.h.
 *
 * A listener that a reload leaves in the configuration keeps its sockets and acceptors: their next
 * connection has the new settings, and nobody in a queue is reset.
 */
#include "process/acceptors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "net/acceptor.h"
#include "net/socket.h"
#include "session/listener.h"
#include "session/session.h"

struct held {
	struct acceptor *acceptor; /* has the socket */
	struct listener *listener;
	int owner; /* the slot whose socket it is; another's is adopted */
	bool shared; /* with other slots, or with the service manager */
	char key[SOCKET_NAME_MAX]; /* of the listener, as configured */
};

static struct {
	struct event_base *base;
	const struct tickets *tickets;
	int slot; /* of this worker */
	struct held *items;
	size_t count;
	const struct config *next; /* that is to be, perhaps: NULL: there is none */
	struct listener *prepared[CONFIG_LISTENERS_MAX]; /* by place in it */
} all;

void acceptors_begin(struct event_base *base, int slot, const struct tickets *tickets)
{
	all.base = base;
	all.slot = slot;
	all.tickets = tickets;
}

static struct held *find(const char *key, int owner)
{
	for (size_t i = 0; i < all.count; i++)
		if (all.items[i].owner == owner && strcmp(all.items[i].key, key) == 0)
			return &all.items[i];
	return NULL;
}

/* What its next connections are told; of the configuration that is in force now. */
static void set_listener(struct held *l, struct listener *listener, int64_t rate)
{
	listener_ref(listener);
	listener_unref(l->listener);
	l->listener = listener;
	acceptor_set(l->acceptor, listener, (unsigned)rate);
}

/* Takes fd over. */
static int add(const char *key, int owner, int fd, struct listener *listener,
	       const struct config_listener *c)
{
	struct held *l = realloc(all.items, (all.count + 1) * sizeof(*l));

	if (!l) {
		close(fd);
		return -1;
	}
	all.items = l;
	l += all.count;
	l->owner = owner;
	l->shared = socket_is_shared(c);
	l->listener = NULL;
	strcpy(l->key, key);
	l->acceptor = acceptor_new(all.base, fd, session_may_accept, session_accept, NULL);
	if (!l->acceptor)
		return -1;
	set_listener(l, listener, c->accept_rate);
	all.count++;
	return 0;
}

static void gone(void *listener)
{
	listener_unref(listener);
}

/* The others have none of its socket, or go on with it. */
static void end(struct held *l)
{
	acceptor_free(l->acceptor);
	listener_unref(l->listener);
	*l = all.items[--all.count];
}

static void accept_rest(struct held *l, enum acceptor_end end)
{
	acceptor_finish(l->acceptor, l->shared ? ACCEPTOR_LEAVES : end, gone);
	*l = all.items[--all.count];
}

void acceptors_end(int slot, bool for_good)
{
	for (size_t i = all.count; i-- > 0;)
		if (all.items[i].owner == slot && for_good)
			accept_rest(&all.items[i], ACCEPTOR_MAKES_WAY);
		else if (all.items[i].owner == slot)
			end(&all.items[i]);
}

void acceptors_end_adopted(void)
{
	for (size_t i = all.count; i-- > 0;)
		if (all.items[i].owner != all.slot)
			end(&all.items[i]);
}

void acceptors_unprepare(void)
{
	all.next = NULL;
	for (size_t i = 0; i < CONFIG_LISTENERS_MAX; i++) {
		listener_unref(all.prepared[i]);
		all.prepared[i] = NULL;
	}
}

int acceptors_prepare(const struct config *c, const char **why)
{
	static char text[SOCKET_NAME_MAX + 128];
	char key[SOCKET_NAME_MAX];
	const char *reason;

	all.next = c;
	for (size_t i = 0; i < c->listener_count; i++) {
		all.prepared[i] = listener_new(&c->listeners[i], all.tickets, &reason);
		if (all.prepared[i])
			continue;
		socket_name(&c->listeners[i], (int)c->listeners[i].port, key);
		snprintf(text, sizeof(text), "it cannot listen on %s: %s", key, reason);
		*why = text;
		acceptors_unprepare();
		return -1;
	}
	return 0;
}

/* The listener at that place of c: that which was made for it, or a new one. */
static struct listener *take_listener(const struct config *c, size_t place, const char **why)
{
	struct listener *l = c == all.next ? all.prepared[place] : NULL;

	if (l)
		all.prepared[place] = NULL;
	return l ? l : listener_new(&c->listeners[place], all.tickets, why);
}

static bool has_listener(const struct config *c, const char *key)
{
	char name[SOCKET_NAME_MAX];

	for (size_t i = 0; i < c->listener_count; i++) {
		socket_name(&c->listeners[i], (int)c->listeners[i].port, name);
		if (strcmp(name, key) == 0)
			return true;
	}
	return false;
}

/* Accepts on one socket for an owner, taking *fd over, or goes on with its own with new settings. */
static int accept_on(const struct config *config, size_t place, int owner, int *fd)
{
	const struct config_listener *c = &config->listeners[place];
	char key[SOCKET_NAME_MAX];
	struct held *l;
	struct listener *listener;
	const char *why;
	int r = 0;

	socket_name(c, (int)c->port, key);
	l = find(key, owner);
	listener = take_listener(config, place, &why);
	if (!listener) {
		log_err(NULL, "cannot listen on %s: %s", key, why);
		return -1;
	}
	if (l) {
		set_listener(l, listener, c->accept_rate);
	} else {
		r = add(key, owner, *fd, listener, c);
		*fd = -1;
	}
	listener_unref(listener);
	return r;
}

/*
 * Of listeners that c has no more; who waits in their queues is accepted first. At once, for the next reload
 * may want the address for something else.
 */
static void end_removed(const struct config *c)
{
	for (size_t i = all.count; i-- > 0;)
		if (all.items[i].owner == all.slot && !has_listener(c, all.items[i].key))
			accept_rest(&all.items[i], ACCEPTOR_SHUTS);
}

void acceptors_retire(const struct config *c)
{
	end_removed(c);
	acceptors_end(all.slot, true);
}

int acceptors_for(const struct config *c, int slot, uint64_t listeners, int *fds, size_t count)
{
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; i < c->listener_count && n < count; i++)
		if (listeners >> i & 1 && accept_on(c, i, slot, &fds[n++]) < 0)
			r = -1;
	return r;
}

int acceptors_own(const struct config *c, int *fds)
{
	end_removed(c);
	return acceptors_for(c, all.slot, UINT64_MAX, fds, c->listener_count);
}

static void forget_all(void)
{
	free(all.items);
	all.items = NULL;
}

void acceptors_end_all(void)
{
	while (all.count > 0)
		end(&all.items[all.count - 1]);
	forget_all();
	acceptor_finish_no_more();
}

void acceptors_shut_all(void)
{
	while (all.count > 0)
		accept_rest(&all.items[all.count - 1], ACCEPTOR_SHUTS);
	forget_all();
}

bool acceptors_accept_rest(void)
{
	return acceptor_some_finish();
}
