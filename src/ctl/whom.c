/*
 * whom.c - see whom.h.
 *
 * A token is never a word of the command line or of the environment, where other users, and whatever
 * is started from here, could see it: what stands there is the name of its file.
 */
#include "ctl/whom.h"

#include <stdlib.h>
#include <string.h>

#include "ctl/arguments.h"

static const char DEFAULT_SOCKET[] = "/run/ignyxd/admin.sock";
static const char HTTP[] = "http://", HTTPS[] = "https://";

/* NULL: it is not there, or empty. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool whom_has_tls(const struct whom *w)
{
	return w->url && begins(w->url, HTTPS);
}

/* IGNYX_ADMIN is a URL or a path. */
static void find_place(struct whom *w, const struct arguments *a)
{
	const char *usual = variable("IGNYX_ADMIN");

	w->url = a->option[OPTION_URL];
	w->socket = a->option[OPTION_SOCKET];
	if (w->url || w->socket)
		return;
	if (usual && (begins(usual, HTTP) || begins(usual, HTTPS)))
		w->url = usual;
	else
		w->socket = usual ? usual : DEFAULT_SOCKET;
}

void whom_find(struct whom *w, const struct arguments *a)
{
	*w = (struct whom){ .socket = NULL };
	find_place(w, a);
	if (!w->url)
		return;
	w->token_file = a->option[OPTION_TOKEN_FILE] ? a->option[OPTION_TOKEN_FILE]
						     : variable("IGNYX_TOKEN_FILE");
	w->cacert = a->option[OPTION_CACERT] ? a->option[OPTION_CACERT] : variable("IGNYX_CACERT");
}
