/*
 * server.c - HTTP on a unix socket and over TCP, see admin.h.
 *
 * libevent reads requests and writes answers. What one client may take is bounded here: the head,
 * the body, the time (arrival.c), that of a TLS handshake too; and how many clients there are by the descriptors
 * that this process may have. When these are used up the rest waits in the queue of the socket.
 * Descriptors are given from the lowest number on: those who come over TCP, which may be anybody,
 * get none from admin.tcp_files on, so there is always space for who comes by the unix socket.
 *
 * Each socket has an object of libevent, for that says what TLS its connections speak. The objects
 * stay, whatever sockets a reload brings, and so do the connections that are theirs: the answer to
 * who has asked for the reload is one of them.
 */
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "admin/arrival.h"
#include "admin/audit.h"
#include "admin/inquire.h"
#include "admin/resources.h"
#include "admin/routes.h"
#include "admin/stream.h"
#include "admin/tail.h"
#include "config/config.h"
#include "net/tls.h"

enum {
	HEAD_MAX = 16 * 1024,
	TIMEOUT = 30 /* seconds */,
	METHODS = EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
		  EVHTTP_REQ_DELETE | EVHTTP_REQ_PATCH | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE
};

struct door {
	struct evhttp *http; /* NULL: it was never needed */
	struct evhttp_bound_socket *bound; /* NULL: it does not listen */
	struct tls_server *tls; /* NULL: it is plain */
	bool tcp;
	bool secure; /* and over TLS: stays when it listens no more, for its connections do */
};

static struct {
	struct door doors[CONFIG_ADMIN_SOCKETS_MAX];
	struct event *resume;
} server;

/* --- connections --- */

/* Where there was no memory for a session libevent goes on without TLS: nobody is to ask so. */
static void answer(struct evhttp_request *http, void *arg)
{
	const struct door *d = arg;
	struct evhttp_connection *c = evhttp_request_get_connection(http);

	if (d->secure && !tls_is_on(evhttp_connection_get_bufferevent(c)))
		evhttp_send_error(http, HTTP_BADREQUEST, NULL);
	else
		routes_answer(http);
}

static bool tcp_is_full(void)
{
	int lowest_free = dup(STDIN_FILENO);

	if (lowest_free >= 0)
		close(lowest_free);
	return lowest_free < 0 || lowest_free >= admin.tcp_files;
}

static struct evconnlistener *listener(const struct door *d)
{
	return evhttp_bound_socket_get_listener(d->bound);
}

static void resume_later(void)
{
	static const struct timeval pause = { .tv_usec = 250000 };

	event_add(server.resume, &pause);
}

static void pause_tcp(void)
{
	for (int i = 0; i < CONFIG_ADMIN_SOCKETS_MAX; i++)
		if (server.doors[i].bound && server.doors[i].tcp)
			evconnlistener_disable(listener(&server.doors[i]));
	resume_later();
}

/* One was accepted. NULL: libevent makes a plain one. */
static struct bufferevent *new_connection(struct event_base *base, void *arg)
{
	const struct door *d = arg;
	struct bufferevent *b;

	if (d->tcp && tcp_is_full())
		pause_tcp();
	b = d->tls ? tls_bufferevent(base, d->tls) : bufferevent_socket_new(base, -1, 0);
	if (b)
		arrival_watch(b, d->tcp);
	return b;
}

/* Accept fails, most likely for want of descriptors. It would at once fail again. */
static void pause_cb(struct evconnlistener *l, void *arg)
{
	(void)arg;
	evconnlistener_disable(l);
	resume_later();
}

static void resume_cb(evutil_socket_t fd, short what, void *arg)
{
	bool full = tcp_is_full();

	(void)fd;
	(void)what;
	(void)arg;
	for (int i = 0; i < CONFIG_ADMIN_SOCKETS_MAX; i++) {
		const struct door *d = &server.doors[i];

		if (d->bound && d->tcp && full)
			resume_later();
		else if (d->bound)
			evconnlistener_enable(listener(d));
	}
}

/* --- sockets --- */

static void set_limits(struct evhttp *http)
{
	evhttp_set_max_headers_size(http, HEAD_MAX);
	evhttp_set_max_body_size(http, (ssize_t)admin.config->admin.max_body);
	evhttp_set_timeout(http, TIMEOUT);
	evhttp_set_allowed_methods(http, METHODS);
	evhttp_set_default_content_type(http, NULL);
}

static void shut(struct door *d)
{
	if (d->bound)
		evhttp_del_accept_socket(d->http, d->bound);
	if (d->tls)
		tls_server_unref(d->tls);
	d->bound = NULL;
	d->tls = NULL;
}

/* Takes the socket in any case. */
static int listen_on(struct door *d, int socket)
{
	struct evconnlistener *l = evconnlistener_new(
		admin.base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, socket);

	if (!l) {
		close(socket);
		return -1;
	}
	d->bound = evhttp_bind_listener(d->http, l);
	if (!d->bound) {
		evconnlistener_free(l);
		return -1;
	}
	evconnlistener_set_error_cb(l, pause_cb);
	return 0;
}

static int furnish(struct door *d, const struct config_listener *l)
{
	const char *why;

	if (!d->http) {
		d->http = evhttp_new(admin.base);
		if (!d->http)
			return -1;
		evhttp_set_gencb(d->http, answer, d);
		evhttp_set_bevcb(d->http, new_connection, d);
	}
	set_limits(d->http);
	d->tcp = !l->unix_path;
	d->secure = l->tls.on;
	if (l->tls.on)
		d->tls = tls_server_new(&l->tls, admin.tickets, &why);
	return l->tls.on && !d->tls ? -1 : 0;
}

/*
 * A door that does not listen: one whose connections, which may be there still, are of the same kind; else
 * one that was never needed; else any.
 */
static struct door *door_for(const struct config_listener *l)
{
	struct door *found = NULL;

	for (int i = 0; i < CONFIG_ADMIN_SOCKETS_MAX; i++) {
		struct door *d = &server.doors[i];

		if (d->bound)
			continue;
		if (d->http && d->tcp == !l->unix_path && d->secure == l->tls.on)
			return d;
		if (!found || (found->http && !d->http))
			found = d;
	}
	return found;
}

/* Listens on those of the configuration that is in force, and takes them. */
static int listen_on_all(int *sockets)
{
	size_t count = config_admin_sockets(admin.config);

	for (int i = 0; i < CONFIG_ADMIN_SOCKETS_MAX; i++)
		shut(&server.doors[i]);
	for (size_t i = 0; i < count; i++) {
		const struct config_listener l = config_admin_socket(admin.config, i);
		struct door *d = door_for(&l);
		int socket = sockets[i];

		if (furnish(d, &l) < 0)
			return -1;
		sockets[i] = -1;
		if (listen_on(d, socket) < 0)
			return -1;
	}
	return 0;
}

/* --- all of it --- */

int admin_begin(const struct admin_start *start, int *sockets)
{
	admin = *start;
	config_ref(admin.config);
	server.resume = event_new(admin.base, -1, 0, resume_cb, NULL);
	if (!server.resume || audit_begin() < 0 || ask_begin(admin.base, admin.workers) < 0)
		return -1;
	return listen_on_all(sockets);
}

int admin_reload(struct config *config, struct admin_groups groups, int *sockets)
{
	struct config *old = admin.config;

	admin.config = config_ref(config);
	config_unref(old);
	admin.groups = groups;
	stream_reload();
	tail_reload();
	return listen_on_all(sockets);
}

void admin_end(void)
{
	if (server.resume)
		event_free(server.resume);
	for (int i = 0; i < CONFIG_ADMIN_SOCKETS_MAX; i++) {
		shut(&server.doors[i]);
		if (server.doors[i].http)
			evhttp_free(server.doors[i].http);
	}
	events_end();
	ask_end();
	audit_end();
	config_unref(admin.config);
}
