/*
 * entering.c - see entering.h.
 */
#include "session/entering.h"

#include "config/config.h"
#include "session/conn_internal.h"
#include "session/texts.h"

enum reason entering_admit(struct conn *c, const char *name, const struct identity *who, bool json)
{
	if (!conn_admit(c, c->endpoint, name, who->user ? who : NULL) ||
	    !texts_keep(c, c->endpoint, name))
		return REASON_NO_MEMORY;
	if (c->endpoint->has_room)
		c->admission->member.json = json;
	return REASON_NONE;
}

enum reason entering_join(struct conn *c)
{
	const int64_t most = c->endpoint->room.max_members;
	struct room_member *m;
	enum reason why = REASON_NO_MEMORY;
	struct room *r;
	bool full = false;

	if (!c->endpoint->has_room)
		return REASON_NONE;
	m = &c->admission->member;
	r = registry_enter(c->endpoint, c->admission->name, &why);
	if (r && (most == 0 ? registry_add(r, c, m)
			    : registry_add_within(r, c, m, (uint64_t)most, &full)))
		return REASON_NONE;
	if (!r)
		return why;
	return full ? REASON_ROOM_FULL : REASON_NO_MEMORY;
}

void entering_leave(struct conn *c)
{
	if (c->admission)
		registry_remove(&c->admission->member);
}
