/*
 * fdstore.c - see fdstore.h.
 *
 * Names of ours begin with a prefix, so that they are told from those of socket units.
 * That there is a store systemd says in $FDSTORE since version 254; for those before
 * it our unit does.
 */
#include "process/fdstore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"

#define PREFIX "ignyxd,"

struct entry {
	char name[FDSTORE_NAME_MAX];
	int fd;
	bool ours; /* an earlier run stored it */
	bool found; /* and somebody has it now */
};

static struct {
	struct entry *entries;
	size_t count;
} store;

/* A name may have no colon, of which addresses are full. */
static void mangle(const char *name, char out[FDSTORE_NAME_MAX])
{
	snprintf(out, FDSTORE_NAME_MAX, PREFIX "%s", name);
	for (char *p = out; *p != '\0'; p++)
		if (*p == ':')
			*p = ',';
}

void fdstore_receive(void)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	if (n > 0)
		store.entries = calloc((size_t)n, sizeof(*store.entries));
	for (int i = 0; i < n; i++) {
		struct entry *e = &store.entries[store.count];

		if (store.entries && strlen(names[i]) < sizeof(e->name)) {
			strcpy(e->name, names[i]);
			e->fd = SD_LISTEN_FDS_START + i;
			e->ours = strncmp(e->name, PREFIX, strlen(PREFIX)) == 0;
			store.count++;
		} else {
			close(SD_LISTEN_FDS_START + i);
		}
		free(names[i]);
	}
	free(names);
}

bool fdstore_enabled(void)
{
	const char *max = getenv("FDSTORE");

	return max && strtol(max, NULL, 10) > 0;
}

static bool has_name(const struct entry *e, const char *name)
{
	char ours[FDSTORE_NAME_MAX];

	mangle(name, ours);
	return strcmp(e->name, e->ours ? ours : name) == 0;
}

size_t fdstore_find(const char *name, int *fds, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < store.count && n < max; i++) {
		struct entry *e = &store.entries[i];

		if (!has_name(e, name))
			continue;
		e->found = true;
		fds[n++] = e->fd;
	}
	return n;
}

/*
 * The last entry takes its place. The service manager closes what it has of it when it comes to
 * that, and who connected up to then would wait for nobody and be reset.
 */
static void drop(struct entry *e)
{
	if (!e->found)
		shutdown(e->fd, SHUT_RD);
	close(e->fd);
	*e = store.entries[--store.count];
}

void fdstore_forget(const char *name)
{
	char ours[FDSTORE_NAME_MAX];

	mangle(name, ours);
	for (size_t i = store.count; i-- > 0;)
		if (store.entries[i].ours && strcmp(store.entries[i].name, ours) == 0)
			drop(&store.entries[i]);
	if (fdstore_enabled())
		sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", ours);
}

void fdstore_keep(const char *name, const int *fds, size_t count)
{
	char ours[FDSTORE_NAME_MAX], state[FDSTORE_NAME_MAX + 32];

	if (!fdstore_enabled())
		return;
	fdstore_forget(name);
	mangle(name, ours);
	snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", ours);
	if (sd_pid_notify_with_fds(0, 0, state, fds, (unsigned)count) < 0)
		log_warning(NULL,
			    "the service manager does not store the sockets of %s: a restart "
			    "will refuse connections for a moment",
			    name);
}

void fdstore_close_rest(bool (*wanted)(const char *name, void *arg), void *arg)
{
	for (size_t i = store.count; i-- > 0;) {
		struct entry *e = &store.entries[i];

		if (wanted(e->name, arg))
			continue;
		if (e->ours && fdstore_enabled())
			sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", e->name);
		if (e->ours)
			drop(e);
		else
			log_warning(LOG_OF(CONFIG_WARNING),
				    "the service manager handed in a socket named \"%s\", which no "
				    "listener has as \"systemd\"",
				    e->name);
	}
}
