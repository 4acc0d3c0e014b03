/*
 * sockets.c - see sockets.h.
 *
 * A new address is probed once without SO_REUSEPORT, so that a second daemon on
 * it is an error and not a silent half of the connections. One that the service
 * manager kept for us needs no probe: it is in use, by ourselves.
 */
#include "process/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "process/fdstore.h"

static void key_of(const struct config_listener *l, char out[SOCKET_NAME_MAX])
{
	socket_name(l, (int)l->port, out);
}

static struct socket_row *find(const struct sockets *s, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->rows[i]->key, key) == 0)
			return s->rows[i];
	return NULL;
}

static void close_slot(struct socket_row *l, int slot)
{
	if (l->fds[slot] >= 0 && (!l->unix_path || slot == 0))
		close(l->fds[slot]);
	l->fds[slot] = -1;
}

static void free_row(struct socket_row *l, bool remove_file)
{
	/* ahead of the socket, which keeps the file's inode from being another's */
	if (remove_file && l->unix_path)
		socket_file_remove(l->unix_path, &l->file);
	for (int i = CONFIG_WORKERS_MAX - 1; i >= 0; i--)
		close_slot(l, i);
	free(l->unix_path);
	free(l);
}

bool sockets_hold(const struct sockets *s, const struct config_listener *l)
{
	for (size_t i = 0; i < s->count; i++)
		if (socket_covers(s->rows[i]->fds[0], l))
			return true;
	return false;
}

/* Of a socket that an earlier run stored, or one that is free. */
static int find_port(const struct sockets *s, const struct config_listener *c, const char *key)
{
	int fd;

	if (fdstore_find(key, &fd, 1) > 0)
		return socket_port(fd);
	return sockets_hold(s, c) ? (int)c->port : socket_probe(c);
}

static struct socket_row *new_row(const struct sockets *s, const struct config_listener *c)
{
	struct socket_row *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		l->fds[i] = -1;
	l->fresh = true;
	key_of(c, l->key);
	l->handed_in = c->systemd != NULL;
	if (c->unix_path)
		l->unix_path = strdup(c->unix_path);
	else if (!l->handed_in)
		l->port = find_port(s, c, l->key);
	if ((c->unix_path && !l->unix_path) || l->port < 0) {
		free(l);
		return NULL;
	}
	socket_name(c, l->port, l->name);
	return l;
}

/* A socket for a slot: one that was handed in or stored, or a new one. */
static int open_slot(struct socket_row *l, const struct config_listener *c, int slot)
{
	int fds[CONFIG_WORKERS_MAX];
	size_t max = l->handed_in ? CONFIG_WORKERS_MAX : (size_t)slot + 1;
	size_t n = fdstore_find(l->handed_in ? c->systemd : l->key, fds, max);

	if (l->handed_in && n == 0) {
		errno = ENXIO;
		return -1;
	}
	/* Where there are fewer than workers, they are shared. */
	if (l->handed_in)
		return socket_copy(fds[(size_t)slot % n], c);
	/* A stored unix socket is of no use when somebody has removed its file. */
	if ((size_t)slot < n &&
	    (!l->unix_path || socket_file_find(l->unix_path, false, &l->file) == 0))
		return socket_copy(fds[slot], c);
	return socket_listen(c, l->port, &l->file);
}

/* Opens what is missing for slots below `slots`. */
static int open_slots(struct socket_row *l, const struct config_listener *c, int slots)
{
	for (int i = 0; i < slots; i++) {
		if (l->fds[i] >= 0)
			continue;
		if (l->unix_path && i > 0)
			l->fds[i] = l->fds[0];
		else
			l->fds[i] = open_slot(l, c, i);
		if (l->fds[i] < 0)
			return -1;
	}
	return 0;
}

const char *sockets_advice(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "; another program listens there, perhaps a second ignyxd, or systemd for "
		       "ignyxd.socket, whose sockets are { systemd = \"ws\"; }";
	case EACCES:
	case EPERM:
		return "; a port below 1024 needs CAP_NET_BIND_SERVICE, a unix socket a folder "
		       "that the user may write to and a \"group\" that the user is in";
	case EADDRNOTAVAIL:
		return "; no interface of this machine has that address";
	case EINVAL:
		return "; an IPv4 address is to be written as one, and an address of a link "
		       "(fe80::...) cannot be had";
	case EAFNOSUPPORT:
		return "; this machine has that kind of address switched off";
	case ENXIO:
		return "; the service manager handed in no socket of that name: see "
		       "FileDescriptorName= in its socket unit";
	case EPROTOTYPE:
	case ENOTSOCK:
		return "; the service manager handed in something that takes no connections: see "
		       "ListenStream= in its socket unit, and Accept= is not for it";
	case ENOENT:
		return "; the folder of the socket does not exist";
	case EEXIST:
		return "; there is a file in the way that is no socket, or that of another user: "
		       "remove it";
	}
	return "";
}

void sockets_note_held(struct sockets_fault *fault, const struct config_listener *l, const char *by)
{
	char name[SOCKET_NAME_MAX];

	socket_name(l, (int)l->port, name);
	fault->file = l->file;
	fault->line = l->line;
	snprintf(fault->text, sizeof(fault->text),
		 "cannot listen on %s: ignyxd itself does, for \"%s\"; what is to go from one to "
		 "the "
		 "other takes two reloads, one that takes it away and one that adds it",
		 name, by);
}

static int open_one(struct sockets *s, const struct config_listener *c, int slots)
{
	char key[SOCKET_NAME_MAX];
	struct socket_row *l;

	key_of(c, key);
	l = find(s, key);
	if (!l) {
		l = new_row(s, c);
		if (!l)
			return -1;
		s->rows[s->count++] = l;
	} else if (l->unix_path && socket_set_rights(c, &l->file) < 0 && errno != ENOENT) {
		return -1;
	}
	return open_slots(l, c, slots);
}

static int slots_open(const struct socket_row *l)
{
	int n = 0;

	while (n < CONFIG_WORKERS_MAX && l->fds[n] >= 0)
		n++;
	return n;
}

static void warn_rights(const struct config_listener *c)
{
	log_warning(NULL, "%s:%d: cannot set mode and group of %s: %s%s", c->file, c->line,
		    c->unix_path, strerror(errno),
		    errno == ENOENT ? "; the file is gone, and nobody can connect until a restart"
				    : sockets_advice(errno));
}

static void put_rights_back(const struct sockets *s, const struct config_listener *c)
{
	char key[SOCKET_NAME_MAX];

	key_of(c, key);
	if (c->unix_path && socket_set_rights(c, &find(s, key)->file) < 0)
		warn_rights(c);
}

void sockets_undo(struct sockets *s, const struct config *old)
{
	for (size_t i = s->count; i-- > 0;) {
		struct socket_row *l = s->rows[i];

		if (l->fresh) {
			free_row(l, l->fds[0] >= 0);
			s->rows[i] = s->rows[--s->count];
			continue;
		}
		for (int k = l->had; k < CONFIG_WORKERS_MAX; k++)
			close_slot(l, k);
	}
	for (size_t i = 0; old && i < old->listener_count; i++)
		put_rights_back(s, &old->listeners[i]);
}

int sockets_open(struct sockets *s, const struct config *c, const struct config *old,
		 struct sockets_fault *fault)
{
	for (size_t i = 0; i < s->count; i++)
		s->rows[i]->had = slots_open(s->rows[i]);
	for (size_t i = 0; i < c->listener_count; i++) {
		const struct config_listener *l = &c->listeners[i];
		char name[SOCKET_NAME_MAX];

		if (open_one(s, l, (int)c->workers) == 0)
			continue;
		socket_name(l, (int)l->port, name);
		fault->file = l->file;
		fault->line = l->line;
		snprintf(fault->text, sizeof(fault->text), "cannot listen on %s: %s%s", name,
			 strerror(errno), sockets_advice(errno));
		sockets_undo(s, old);
		return -1;
	}
	return 0;
}

/* What may change without a new socket: patience, the backlog, a unix socket's mode. */
static void update(struct socket_row *l, const struct config *c, const struct config_listener *cl)
{
	for (int64_t i = 0; i < c->workers; i++) {
		socket_set_patience(l->fds[i], c->patience);
		if (!l->handed_in && (!l->unix_path || i == 0))
			listen(l->fds[i], (int)cl->backlog);
	}
	if (l->unix_path && socket_set_rights(cl, &l->file) < 0)
		warn_rights(cl);
}

static const struct config_listener *configured(const struct config *c, const char *key)
{
	char name[SOCKET_NAME_MAX];

	for (size_t i = 0; i < c->listener_count; i++) {
		key_of(&c->listeners[i], name);
		if (strcmp(name, key) == 0)
			return &c->listeners[i];
	}
	return NULL;
}

/* Has the service manager keep what changed. */
static void keep(struct socket_row *l, int slots)
{
	if (l->unix_path)
		slots = 1;
	if (l->handed_in || l->stored == slots)
		return;
	l->stored = slots;
	fdstore_keep(l->key, l->fds, (size_t)slots);
}

void sockets_commit(struct sockets *s, const struct config *c)
{
	for (size_t i = s->count; i-- > 0;) {
		struct socket_row *l = s->rows[i];
		const struct config_listener *cl = configured(c, l->key);

		if (!cl) {
			log_always(LOG_INFO, LOG_OF(LISTENING_ENDED), "no longer listening on %s",
				   l->name);
			fdstore_forget(l->key);
			free_row(l, true);
			s->rows[i] = s->rows[--s->count];
			continue;
		}
		if (l->fresh)
			log_always(LOG_INFO, LOG_OF(LISTENING), "listening on %s", l->name);
		l->fresh = false;
		update(l, c, cl);
		keep(l, (int)c->workers);
	}
}

bool sockets_has(const struct sockets *s, int slot)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->rows[i]->fds[slot] >= 0)
			return true;
	return false;
}

void sockets_close_from(struct sockets *s, int slot)
{
	for (size_t i = 0; i < s->count; i++)
		for (int k = slot; k < CONFIG_WORKERS_MAX; k++)
			close_slot(s->rows[i], k);
}

size_t sockets_of(const struct sockets *s, const struct config *c, int slot,
		  int fds[CONFIG_LISTENERS_MAX])
{
	char key[SOCKET_NAME_MAX];

	for (size_t i = 0; i < c->listener_count; i++) {
		key_of(&c->listeners[i], key);
		fds[i] = find(s, key)->fds[slot];
	}
	return c->listener_count;
}

void sockets_close(struct sockets *s)
{
	for (size_t i = 0; i < s->count; i++)
		free_row(s->rows[i], s->rows[i]->fresh || !fdstore_enabled());
	s->count = 0;
}
