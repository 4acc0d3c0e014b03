/*
 * admin_group.c - the group `admin`.
 *
 * Where there is a runtime_dir the interface is there without a word about it, for an operator
 * should not have to edit the file to see how the daemon does. Who may do what is decided by the
 * numbers of users and groups alone: names are looked up here, once.
 *
 * Over TCP anybody can connect, so a token decides there, and what it travels over must not be open
 * to be read: not beyond this machine without TLS.
 */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config/alloc.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/tables.h"
#include "config/tokens.h"

enum { BACKLOG = 64 }; /* of those who wait while all places are taken */

void group_find(struct config_report *r, const char *key, const char *name, unsigned *gid)
{
	const struct group *g;

	if (name == NULL || r->source->unpacked)
		return;
	errno = 0;
	g = getgrnam(name);
	if (g != NULL)
		*gid = g->gr_gid;
	else
		config_report_error(r, key, "is \"%s\", which %s%s", name,
				    errno == 0 ? "does not exist" : "cannot be looked up: ",
				    errno == 0 ? "" : strerror(errno));
}

static void read_tokens(struct config_report *r, struct config_admin *a)
{
	const struct source_attachment *file;

	if (a->tokens_file == NULL)
		return;
	file = attach_file(r, "tokens", a->tokens_file);
	if (file == NULL)
		return;
	attach_warn_mode(r, "tokens", a->tokens_file, file, "the tokens' hashes");
	attach_tokens(r, "tokens", file, &tokens_of_admin, &a->tokens);
}

/* --- listeners --- */

static void check_guarded(struct config_report *r, const struct config_admin *a,
			  const struct config_listener *l)
{
	if (l == a->listeners && a->tokens_file == NULL)
		config_report_error(r, NULL,
				    "needs \"tokens\" in \"admin\", the file of who may ask: make "
				    "one with \"ignyxctl token make NAME SCOPE\"");
	if (l->address != NULL && !listener_is_loopback(l->address) && !l->tls.on &&
	    !report_is_wrong(r, "tls") && !report_is_wrong(r, "address"))
		config_report_error(
			r, NULL,
			"needs \"tls\", for whoever sees a token on its way may use it; "
			"without, the address has to be of this machine, such as "
			"\"127.0.0.1\" or \"::1\"");
}

void admin_listener_check(struct config_report *r, void *admin, void *listener)
{
	struct config_admin *a = admin;
	struct config_listener *l = listener;

	l->backlog = BACKLOG;
	listener_check_tcp(r, l);
	check_guarded(r, a, l);
	for (const struct config_listener *first = a->listeners; first < l; first++)
		if (listener_check_other(r, l, first))
			return;
}

/* --- all of it --- */

void admin_group_check(struct config_report *r, void *snapshot, void *admin)
{
	struct config_admin *a = admin;

	(void)snapshot;
	group_find(r, "group", a->group, &a->gid);
	group_find(r, "read_group", a->read_group, &a->read_gid);
	if (a->unix_path != NULL && *a->unix_path != '/')
		config_report_error(r, "unix", "must be an absolute path, not \"%s\"",
				    a->unix_path);
	read_tokens(r, a);
}

void admin_group_end(void *admin)
{
	struct config_admin *a = admin;

	free(a->socket);
	free(a->tokens.list);
}

void admin_group_resolve(struct parse *p)
{
	struct config_admin *a = &p->config->admin;
	const char *dir = p->config->runtime_dir;

	/* 0 is root's group, and nobody's default */
	if (a->group == NULL || p->source->unpacked)
		a->gid = CONFIG_NO_GID;
	if (a->read_group == NULL || p->source->unpacked)
		a->read_gid = CONFIG_NO_GID;
	if (!a->enabled)
		return;
	if (a->unix_path != NULL)
		a->socket = alloc_string(a->unix_path);
	else if (dir != NULL)
		a->socket = alloc_format("%s/admin.sock", dir);
	a->enabled = a->socket != NULL || a->listener_count > 0;
	if (a->socket != NULL && strlen(a->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		config_report_error(&p->top, "admin",
				    "needs a \"unix\" of its own, or enabled = false: %s is too "
				    "long for the path of a socket",
				    a->socket);
}

size_t config_admin_sockets(const struct config *c)
{
	const struct config_admin *a = &c->admin;

	return a->enabled ? (a->socket != NULL) + a->listener_count : 0;
}

struct config_listener config_admin_socket(const struct config *c, size_t i)
{
	const struct config_admin *a = &c->admin;

	if (a->socket == NULL)
		return a->listeners[i];
	if (i > 0)
		return a->listeners[i - 1];
	return (struct config_listener){ .unix_path = a->socket,
					 .backlog = BACKLOG,
					 .mode = a->mode,
					 .group = a->group,
					 .gid = a->gid };
}
