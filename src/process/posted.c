/*
 * posted.c - see posted.h.
 */
#include "process/posted.h"

#include <unistd.h>

#include "base/board.h"
#include "base/clock.h"
#include "config/config.h"
#include "process/admin_child.h"
#include "process/running.h"
#include "process/shared.h"
#include "process/slot.h"
#include "process/ticks.h"

void posted_begin(void)
{
	atomic_store(&shared.board->started, clock_wall_ms());
	atomic_store(&shared.board->master, getpid());
}

static enum board_state state_of(const struct slot *s)
{
	static const enum board_state states[] = {
		[SLOT_UNUSED] = BOARD_UNUSED,
		[SLOT_STARTING] = BOARD_CHILD_STARTING,
		[SLOT_RUNNING] = BOARD_CHILD_RUNNING,
		[SLOT_RETIRING] = BOARD_CHILD_RETIRING,
		[SLOT_BACKOFF] = BOARD_CHILD_RESTARTING,
	};

	return states[s->state];
}

static void post_slot(const struct slot *s)
{
	struct board_child *c = &shared.board->children[s->index];

	/* one that never was is left as it is: to write to it is to have its page */
	if (s->state == SLOT_UNUSED && atomic_load(&c->state) == BOARD_UNUSED)
		return;
	atomic_store(&c->pid, s->pid);
	atomic_store(&c->generation, s->generation);
	atomic_store(&c->still, slot_alive(s) ? (ticks_now() - s->stall.moved) * MASTER_TICK : 0);
	atomic_store(&c->deaths, s->deaths);
	atomic_store(&c->state, state_of(s));
}

void posted_renew(void)
{
	static const enum board_phase phases[] = { [PHASE_STARTING] = BOARD_STARTING,
						   [PHASE_READY] = BOARD_READY,
						   [PHASE_STOPPING] = BOARD_STOPPING };
	struct board *b = shared.board;

	atomic_store(&b->phase, phases[running.phase]);
	atomic_store(&b->generation, running.config->generation);
	for (int i = 0; i < CONFIG_WORKERS_MAX; i++)
		post_slot(&slots[i]);
	atomic_store(&b->children[SLOT_ADMIN].pid, admin_child_pid());
}

void posted_reload(bool applied, const char *summary)
{
	board_note_reload(shared.board, clock_wall_ms(), applied, summary);
}
