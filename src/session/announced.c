/*
 * announced.c - see announced.h.
 */
#include "session/announced.h"

#include <stdlib.h>

#include "base/counted.h"

struct announced_all announced_all = { .list = TAILQ_HEAD_INITIALIZER(announced_all.list) };

struct announced *announced_next(void)
{
	struct announced *x = TAILQ_FIRST(&announced_all.list);

	if (x) {
		TAILQ_REMOVE(&announced_all.list, x, entry);
		TAILQ_INSERT_TAIL(&announced_all.list, x, entry);
	}
	return x;
}

/* told: NULL: nothing. NULL: no memory. */
static struct announced *begin(struct room *r, const struct attendance *told)
{
	struct announced *x = calloc(1, sizeof(*x));

	if (!x || (told && !attendance_copy(&x->told, told))) {
		free(x);
		return NULL;
	}
	x->room = r;
	x->event = 1;
	TAILQ_INSERT_TAIL(&announced_all.list, x, entry);
	announced_all.rooms++;
	return x;
}

bool announced_told(struct announced **of, struct room *r, struct announced_to *to,
		    const struct attendance *a, bool sure)
{
	if (!*of)
		*of = begin(r, a);
	if (!*of)
		return false;
	if (!sure)
		(*of)->again = announced_all.due = true;
	*to = (struct announced_to){ .knows = a ? a->mark : 0,
				     .event = (*of)->event,
				     .apart = !a || a->mark != (*of)->told.mark };
	(*of)->some_apart |= to->apart;
	return true;
}

static void end(struct announcement *a)
{
	renditions_end(&a->renditions);
	counted_release(a->batch.frames);
	*a = (struct announcement){ 0 };
}

void announced_begin_event(struct announced *x)
{
	x->some_apart = false;
	x->event++;
	x->reached = 0;
	announced_all.telling = x;
}

void announced_put_off(struct announced *x, struct announced_to *to)
{
	*to = (struct announced_to){ .event = x->event, .apart = true };
	x->some_apart = x->again = announced_all.due = true;
}

void announced_end_event(struct announced *x)
{
	end(&x->changed);
	end(&x->whole);
	if (announced_all.telling == x)
		announced_all.telling = NULL;
}

void announced_forget(struct announced **of)
{
	struct announced *x = *of;

	*of = NULL;
	if (!x)
		return;
	TAILQ_REMOVE(&announced_all.list, x, entry);
	announced_all.rooms--;
	announced_end_event(x);
	attendance_free(&x->told);
	free(x);
}
