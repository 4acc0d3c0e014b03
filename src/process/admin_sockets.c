/*
 * admin_sockets.c - see admin_sockets.h.
 *
 * They are like those of clients, and are opened as they are (net/socket.h, sockets.c); but there is
 * one for an address and not one for each worker, and the service manager does not keep them.
 */
#include "process/admin_sockets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "process/sockets.h"

static const char UNIX[] = "unix:"; /* what the key of a unix socket begins with */

static const char *path_of(const struct admin_socket *s)
{
	return s->key + sizeof(UNIX) - 1;
}

static const struct admin_socket *find(const struct admin_sockets *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->rows[i].key, key) == 0)
			return &s->rows[i];
	return NULL;
}

static void close_one(struct admin_socket *s)
{
	if (s->is_unix)
		socket_file_remove(path_of(s), &s->file);
	close(s->fd);
}

static bool hold(const struct admin_sockets *s, const struct config_listener *l)
{
	for (size_t i = 0; i < s->count; i++)
		if (socket_covers(s->rows[i].fd, l))
			return true;
	return false;
}

/* Probed first, as SO_REUSEPORT would share it with a second daemon. */
static int open_one(struct admin_socket *s, const struct admin_sockets *now,
		    const struct config_listener *l)
{
	s->is_unix = l->unix_path != NULL;
	s->port = s->is_unix || hold(now, l) ? (int)l->port : socket_probe(l);
	if (s->port < 0)
		return -1;
	s->fd = socket_listen(l, s->port, &s->file);
	s->fresh = true;
	socket_name(l, s->port, s->name);
	return s->fd < 0 ? -1 : 0;
}

static int take_one(struct admin_socket *s, const struct admin_sockets *now,
		    const struct config_listener *l)
{
	char key[SOCKET_NAME_MAX];
	const struct admin_socket *had;

	socket_name(l, (int)l->port, key);
	had = find(now, key);
	if (had) {
		*s = *had;
		s->fresh = false;
		return s->is_unix ? socket_set_rights(l, &s->file) : 0;
	}
	*s = (struct admin_socket){ .fd = -1 };
	memcpy(s->key, key, sizeof(key));
	return open_one(s, now, l);
}

static void note_fault(struct sockets_fault *fault, const struct config_listener *l,
		       const char *key)
{
	fault->file = l->file;
	fault->line = l->line;
	snprintf(fault->text, sizeof(fault->text), "cannot listen on %s, for \"admin\": %s%s",
		 l->unix_path ? l->unix_path : key, strerror(errno), sockets_advice(errno));
}

/*
 * For a while both would take what comes, and one of them would have connections that are not its
 * own: of a reload that is refused in the end, too.
 */
static bool has_moved(const struct admin_sockets *now, const struct sockets *clients,
		      const struct config *c, struct sockets_fault *fault)
{
	for (size_t i = 0; i < c->listener_count; i++) {
		if (!hold(now, &c->listeners[i]))
			continue;
		sockets_note_held(fault, &c->listeners[i], "admin");
		return true;
	}
	for (size_t i = 0; i < config_admin_sockets(c); i++) {
		const struct config_listener l = config_admin_socket(c, i);

		if (!sockets_hold(clients, &l))
			continue;
		sockets_note_held(fault, &l, "listen");
		return true;
	}
	return false;
}

int admin_sockets_open(struct admin_sockets *next, const struct admin_sockets *now,
		       const struct sockets *clients, const struct config *c,
		       struct sockets_fault *fault)
{
	size_t wanted = config_admin_sockets(c);

	next->count = 0;
	if (has_moved(now, clients, c, fault))
		return -1;
	for (size_t i = 0; i < wanted; i++) {
		const struct config_listener l = config_admin_socket(c, i);

		if (take_one(&next->rows[i], now, &l) < 0) {
			note_fault(fault, &l, next->rows[i].key);
			return -1;
		}
		next->count++;
	}
	return 0;
}

static void put_rights_back(const struct admin_socket *s, const struct config *c)
{
	const struct config_listener l = config_admin_socket(c, 0);

	if (s->is_unix && socket_set_rights(&l, &s->file) < 0)
		log_warning(NULL, "cannot set mode and group of %s: %s", path_of(s),
			    strerror(errno));
}

void admin_sockets_undo(struct admin_sockets *next, const struct admin_sockets *now,
			const struct config *c)
{
	for (size_t i = 0; i < next->count; i++)
		if (next->rows[i].fresh)
			close_one(&next->rows[i]);
	next->count = 0;
	if (c && now->count > 0)
		put_rights_back(&now->rows[0], c);
}

void admin_sockets_commit(struct admin_sockets *next, struct admin_sockets *now)
{
	for (size_t i = 0; i < now->count; i++) {
		struct admin_socket *s = &now->rows[i];

		if (find(next, s->key))
			continue;
		if (!s->is_unix)
			log_always(LOG_INFO, LOG_OF(LISTENING_ENDED),
				   "the admin interface no longer listens on %s", s->name);
		close_one(s);
	}
	for (size_t i = 0; i < next->count; i++) {
		struct admin_socket *s = &next->rows[i];

		if (s->fresh && !s->is_unix)
			log_always(LOG_INFO, LOG_OF(LISTENING), "the admin interface listens on %s",
				   s->name);
		s->fresh = false;
	}
	*now = *next;
	next->count = 0;
}

size_t admin_sockets_of(const struct admin_sockets *s, int fds[CONFIG_ADMIN_SOCKETS_MAX])
{
	for (size_t i = 0; i < s->count; i++)
		fds[i] = s->rows[i].fd;
	return s->count;
}

void admin_sockets_close(struct admin_sockets *s)
{
	while (s->count > 0)
		close_one(&s->rows[--s->count]);
}
