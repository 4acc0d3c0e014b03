/*
 * rights.c - see rights.h.
 *
 * The kernel says who connected: a number of a user, and the numbers of the groups that it was in
 * at that moment. Nothing is looked up by name, which could block, or say something else by now.
 */
#include "admin/rights.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "admin/caller.h"
#include "config/config.h"

/* As many as Linux lets a process be in. */
enum { GROUPS_MAX = 65536 };

static bool among(uint32_t gid, const gid_t *gids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (gids[i] == gid)
			return true;
	return false;
}

static unsigned rights_of_groups(const gid_t *gids, size_t count)
{
	if (admin.groups.all != CONFIG_NO_GID && among(admin.groups.all, gids, count))
		return MAY_ALL;
	if (admin.groups.read != CONFIG_NO_GID && among(admin.groups.read, gids, count))
		return MAY_READ;
	return 0;
}

/* The supplementary ones: malloc'ed, NULL: none, or it cannot be known. */
static gid_t *groups_of_peer(int fd, size_t *count)
{
	socklen_t len = 0;
	gid_t *gids;

	*count = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE ||
	    len > GROUPS_MAX * sizeof(*gids))
		return NULL;
	gids = malloc(len);
	if (gids && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids, &len) == 0)
		*count = len / sizeof(*gids);
	return gids;
}

static bool credentials(int fd, struct ucred *peer)
{
	socklen_t len = sizeof(*peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, peer, &len) == 0;
}

void rights_asker(int fd, char out[RIGHTS_ASKER_SIZE])
{
	struct ucred peer;

	snprintf(out, RIGHTS_ASKER_SIZE, "uid %ld", credentials(fd, &peer) ? (long)peer.uid : -1);
}

unsigned rights_of_peer(int fd)
{
	struct ucred peer;
	unsigned rights;
	size_t count;
	gid_t *gids;

	if (!credentials(fd, &peer))
		return 0;
	if (peer.uid == 0 || peer.uid == geteuid())
		return MAY_ALL;
	gids = groups_of_peer(fd, &count);
	rights = rights_of_groups(gids, count) | rights_of_groups(&peer.gid, 1);
	free(gids);
	return rights;
}
