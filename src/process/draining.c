/*
 * draining.c - see draining.h.
 *
 * A worker counts its own part, and one that dies has done with it. Of a share each worker gets so
 * many that the sum is right whatever the parts are rounded to: the difference between two sums.
 */
#include "process/draining.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/board.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "config/config.h"
#include "config/shown.h"
#include "process/answer.h"
#include "process/control.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"
#include "session/leaving.h"

enum { MILLION = 1000000, OVER_MAX = 24 * 60 * 60 * 1000 };

static struct board_drain state; /* since 0: there is none */
static unsigned parts; /* of workers that have not told of theirs */

static const char *const orders[LEAVING_ORDERS] = { "oldest", "newest", "random" };

static char *refused(const char *word, const char *why)
{
	return answer_refused(&(struct answer){ 0 }, word, why);
}

static bool is_under_way(void)
{
	return state.since != 0 && state.ended == 0;
}

/* NULL: all of them. */
static const char *path_of(const struct control_which *w)
{
	return w->endpoint ? running.config->endpoints[w->endpoint - 1].path : NULL;
}

/* The others share a label, and a sum of what they count. */
static bool has_counts(const struct control_which *w)
{
	const char *path = path_of(w);

	return !path || metrics_label_of(shared.metrics, path) != METRICS_OTHER;
}

/* Connections of a worker that it is about, if they are counted. */
static uint64_t open_of(const struct slot *s, const char *path)
{
	if (!slot_alive(s))
		return 0;
	if (!path)
		return atomic_load(&shared.metrics->rows[s->index].open);
	return atomic_load(
		&shared.metrics->cells[s->index][metrics_label_of(shared.metrics, path)].open);
}

/* Of so many, by share, rounded. */
static uint64_t part_of(uint64_t open, uint32_t share)
{
	return share == 0 ? open : (open * share + MILLION / 2) / MILLION;
}

/* Returns how many there are to be let go, as far as is known. */
static uint64_t tell_workers(const struct control_ask_drain *a, int64_t over)
{
	uint64_t open = 0, before = 0;

	parts = 0;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++) {
		struct slot *s = &slots[i];
		struct control_drain d = { .which = a->which,
					   .over = over,
					   .on = 1,
					   .refuse = a->share == 0,
					   .order = a->order,
					   .most = UINT32_MAX };

		open += open_of(s, path_of(&a->which));
		if (a->share != 0)
			d.most = (uint32_t)(part_of(open, a->share) - before);
		before = part_of(open, a->share);
		if (slot_alive(s))
			slot_drain(s, &d);
		parts += s->draining != 0;
	}
	return before;
}

static void log_begun(const struct control_ask_drain *a, int64_t over, uint64_t count)
{
	char many[24] = "";

	if (has_counts(&a->which))
		snprintf(many, sizeof(many), "%llu ", (unsigned long long)count);
	log_always(LOG_INFO,
		   (&(struct log_fields){ .event = LOG_EVENT_DRAIN_BEGUN,
					  .endpoint = path_of(&a->which) }),
		   "drain begun: %sconnections%s%s go within %lld.%lld s, %s first; %s", many,
		   *state.endpoint ? " of " : "", state.endpoint, (long long)over / 1000,
		   (long long)over / 100 % 10, orders[a->order],
		   a->share ? "new ones are taken" : "new ones are refused");
}

static char *answer_begun(const struct control_ask_drain *a, int64_t over, uint64_t count)
{
	const char *path = path_of(&a->which);
	json_t *d = json_pack("{s:f, s:b, s:o}", "over", (double)over / 1000, "refuses",
			      a->share == 0, "endpoint", path ? show_string(path) : json_null()),
	       *j;
	char *text;

	if (has_counts(&a->which))
		json_object_set_new(d, "connections", json_integer((json_int_t)count));
	j = json_pack("{s:o}", "drain", d);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return text;
}

static char *begin(const struct control_ask_drain *a, bool *well)
{
	const char *path = path_of(&a->which);
	int64_t over = a->over >= 0 ? a->over : running.config->drain_time;
	uint64_t count;

	if (a->share == 0 && running_drain(path ? path : "") < 0)
		return refused("no-memory", "there is no memory for it; try again");
	if (a->share != 0)
		running_undrain();
	state = (struct board_drain){ .since = clock_wall_ms(), .share = a->share };
	state.until = state.since + over;
	snprintf(state.endpoint, sizeof(state.endpoint), "%s", path ? path : "");
	count = tell_workers(a, over);
	log_begun(a, over, count);
	board_note_drain(shared.board, &state);
	drain_look();
	*well = true;
	return answer_begun(a, over, count);
}

/* One that has ended, and refuses nothing, is history. */
static char *take_back(bool *well)
{
	bool was = running.drained || is_under_way();

	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slot_alive(&slots[i]))
			slot_drain(&slots[i], &(struct control_drain){ .on = 0 });
	running_undrain();
	state = (struct board_drain){ 0 };
	board_note_drain(shared.board, &state);
	if (was)
		log_always(LOG_INFO, LOG_OF(UNDRAINED),
			   "undrained: no more connections are let go, and new ones are taken");
	*well = true;
	return strdup(was ? "{\"undrained\":true}" : "{\"undrained\":false}");
}

char *drain_ask(const struct control_ask_drain *a, bool *well)
{
	const struct config *c = running.config;

	*well = false;
	if (!a->on)
		return take_back(well);
	if (a->order >= LEAVING_ORDERS || a->share > MILLION || a->over < -1 || a->over > OVER_MAX)
		return refused("bad-parameter", "that cannot be asked for");
	if (a->which.endpoint != 0 &&
	    (a->which.generation != c->generation || a->which.endpoint > c->endpoint_count))
		return refused("config-changed",
			       "the configuration has changed just now; try again");
	if (a->share != 0 && !has_counts(&a->which))
		return refused("no-counts", "a share of it cannot be told, for it has no counts");
	return begin(a, well);
}

void drain_note(unsigned let_go, unsigned late)
{
	state.let_go += let_go;
	state.late += late;
	parts -= parts > 0;
	drain_look();
}

/* Workers that have ended have not told how many those were that they let go. */
static void log_ended(void)
{
	char lost[64] = "";

	if (parts > 0)
		snprintf(lost, sizeof(lost), ", besides those of workers that have ended (%u)",
			 parts);
	log_always(LOG_INFO, LOG_OF(DRAIN_ENDED),
		   "drain ended: %llu connections were let go, %llu of them at its deadline%s",
		   (unsigned long long)state.let_go, (unsigned long long)state.late, lost);
}

/* A stop comes ahead of it: workers end then without a word about it, which says nothing. */
void drain_look(void)
{
	if (!is_under_way() || running.phase == PHASE_STOPPING)
		return;
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		if (slots[i].draining != 0)
			return;
	state.ended = clock_wall_ms();
	board_note_drain(shared.board, &state);
	log_ended();
}
