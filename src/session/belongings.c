/*
 * belongings.c - what belongs to a connection and lies elsewhere: the snapshot of its endpoint, as
 * what it was let in, and what few need.
 */
#include <stdlib.h>
#include <string.h>

#include "base/account.h"
#include "behaviour.h"
#include "config/config.h"
#include "session/conn_internal.h"

void conn_set_endpoint(struct conn *c, const struct config_endpoint *e)
{
	const struct config_endpoint *old = c->endpoint;

	if (e)
		config_ref((struct config *)e->config);
	c->endpoint = e;
	if (old)
		config_unref((struct config *)old->config);
}

/* Behind a state of so many bytes. */
static size_t place_of_identity(size_t state)
{
	const size_t align = _Alignof(struct identity);

	return (state + align - 1) / align * align;
}

static void keep_identity(struct admission *a, size_t state, const struct identity *who)
{
	struct identity *kept =
		(struct identity *)(void *)((char *)a->state + place_of_identity(state));

	*kept = *who;
	kept->user = memcpy(kept + 1, who->user, strlen(who->user) + 1);
	a->who = kept;
}

/* One piece of memory: the admission, the behaviour's state, who it is with his name, the room's name. */
static struct admission *make_admission(size_t state, const char *name, const struct identity *who)
{
	const size_t name_size = name ? strlen(name) + 1 : 0,
		     of_state =
			     who ? place_of_identity(state) + sizeof(*who) + strlen(who->user) + 1
				 : state;
	struct admission *a = calloc(1, sizeof(*a) + of_state + name_size);

	if (a && who)
		keep_identity(a, state, who);
	if (a && name)
		a->name = memcpy((char *)a->state + of_state, name, name_size);
	return a;
}

/* Who has no name is in no room, and nothing points to its admission. */
bool conn_admit(struct conn *c, const struct config_endpoint *e, const char *name,
		const struct identity *who)
{
	const size_t state = e->behaviour->state_size;
	struct admission *a = c->admission, *made;

	if (!e->has_room && !e->placeholders)
		name = NULL;
	if (a ? a->name || !name : state == 0 && !name && !who)
		return true;
	made = make_admission(state, name, a ? a->who : who);
	if (!made)
		return false;
	if (a)
		memcpy(made->state, a->state, state);
	free(a);
	c->admission = made;
	return true;
}

bool conn_has_jwt(const struct conn *c)
{
	return c->admission && c->admission->who && c->admission->who->jwt &&
	       c->endpoint->limits.access.jwt.rules;
}

void conn_set_jwt(struct conn *c, struct jwt_kept *kept)
{
	struct identity *who = (struct identity *)c->admission->who;

	free(who->jwt);
	who->jwt = kept;
}

void identity_end(struct identity *who)
{
	free(who->jwt);
	*who = (struct identity){ .user = NULL };
}

const char *conn_name(const struct conn *c)
{
	return c->admission && c->admission->name ? c->admission->name : c->endpoint->path;
}

const char *conn_user(const struct conn *c)
{
	return c->admission && c->admission->who ? c->admission->who->user : NULL;
}

const char *conn_room(const struct conn *c)
{
	return c->endpoint && c->endpoint->has_room && c->admission ? c->admission->name : NULL;
}

struct conn_extra *conn_need_extra(struct conn *c)
{
	if (!c->extra)
		c->extra = calloc(1, sizeof(*c->extra));
	return c->extra;
}

void conn_set_text(struct conn *c, struct config_text text)
{
	struct config_text *kept = &c->extra->text;

	account_give(kept->len);
	free(kept->data);
	*kept = text;
	account_take(kept->len);
}

void conn_free_belongings(struct conn *c)
{
	conn_set_endpoint(c, NULL);
	if (c->extra) {
		free(c->extra->client);
		free(c->extra->late);
		free(c->extra->seats);
		conn_set_text(c, (struct config_text){ NULL, 0 });
	}
	free(c->extra);
	if (c->admission && c->admission->who)
		free(c->admission->who->jwt);
	free(c->admission);
}
