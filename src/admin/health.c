/*
 * health.c - whether the daemon runs, and whether it serves.
 *
 * Everybody may ask, so nothing else is told; and why not only to who is no stranger.
 */
#include "admin/admin_internal.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "base/board.h"

void live_get(struct request *r)
{
	answer_json(r, 200, json_pack("{s:b}", "live", 1));
}

static unsigned workers_that_run(void)
{
	unsigned n = 0;

	for (int i = 0; i < SLOTS_WORKERS; i++)
		n += atomic_load(&admin.board->children[i].state) == BOARD_CHILD_RUNNING;
	return n;
}

static void add_reasons(json_t *reasons)
{
	int phase = atomic_load(&admin.board->phase);
	struct board_drain drain;

	if (phase != BOARD_READY)
		json_array_append_new(reasons,
				      json_sprintf("the daemon is %s", board_phase_name(phase)));
	board_read_drain(admin.board, &drain);
	if (drain.since != 0 && drain.share == 0 && !*drain.endpoint)
		json_array_append_new(reasons, json_string("drained"));
	if (workers_that_run() == 0)
		json_array_append_new(reasons, json_string("no worker runs"));
}

void ready_get(struct request *r)
{
	json_t *reasons = json_array();

	add_reasons(reasons);
	if (json_array_size(reasons) > 0) {
		if (r->caller.stranger) {
			json_decref(reasons);
			reasons = NULL;
		}
		answer_json(r, 503, json_pack("{s:b, s:o*}", "ready", 0, "reasons", reasons));
		return;
	}
	json_decref(reasons);
	answer_json(r, 200, json_pack("{s:b}", "ready", 1));
}
