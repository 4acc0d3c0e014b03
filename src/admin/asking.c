/*
 * asking.c - see asking.h.
 */
#include "admin/asking.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "admin/later.h"
#include "admin/request.h"

struct waiting {
	TAILQ_ENTRY(waiting) entry;
	struct later later;
	uint32_t id;
};

static TAILQ_HEAD(, waiting) all = TAILQ_HEAD_INITIALIZER(all);

void asking_begin(struct request *r, int (*ask)(uint32_t id, const void *arg), const void *arg)
{
	static uint32_t id;
	struct waiting *w = calloc(1, sizeof(*w));

	if (!w || ask(++id, arg) < 0) {
		free(w);
		answer_error(r, 503, "busy", "the master cannot be asked; try again in a moment");
		return;
	}
	w->id = id;
	later_begin(&w->later, r);
	TAILQ_INSERT_TAIL(&all, w, entry);
}

/* NULL: it cannot be read. */
static struct evbuffer *read_file(int fd)
{
	struct evbuffer *b = evbuffer_new();
	int own = dup(fd);
	struct stat st;

	/* which takes the descriptor, if it succeeds */
	if (b && own >= 0 && fstat(own, &st) == 0 && st.st_size > 0 &&
	    evbuffer_add_file(b, own, 0, st.st_size) == 0)
		return b;
	if (own >= 0)
		close(own);
	if (b)
		evbuffer_free(b);
	return NULL;
}

void admin_answer(uint32_t id, bool well, int fd)
{
	struct waiting *w;
	struct request r;

	TAILQ_FOREACH (w, &all, entry) {
		if (w->id == id)
			break;
	}
	if (!w)
		return;
	TAILQ_REMOVE(&all, w, entry);
	if (later_end(&w->later, &r))
		answer_buffer(&r, well ? 200 : 422, "application/json", read_file(fd));
	free(w);
}
