/*
 * stall.c - see stall.h.
 *
 * A cursor that stays where it is stops the publishers. One that moves late, but whose worker
 * moves, is of a worker that has much to do: that one is left to its work, and only a worker that
 * stands still is ended for it. The same goes for the lock: each acquisition counts as a move.
 */
#include "process/stall.h"

#include "process/ticks.h"

/*
 * Milliseconds: how long the lock may be held without a move; after how long a worker that does not
 * move stands still; and when it is ended if the log waits for it meanwhile.
 */
enum { LOCK_STUCK = 1000, STILL = 1000, AWAITED_STILL = 2000 };

void stall_begin(struct stall_worker *w, uint64_t beats, uint64_t now)
{
	*w = (struct stall_worker){ .beats = beats, .moved = now };
}

void stall_moved(struct stall_worker *w, uint64_t now)
{
	w->moved = now;
}

bool stall_note_beats(struct stall_worker *w, uint64_t beats, uint64_t now)
{
	if (beats == w->beats)
		return false;
	w->beats = beats;
	w->moved = now;
	return true;
}

bool stall_is_still(const struct stall_worker *w, uint64_t now)
{
	return now - w->moved >= ticks_of(STILL);
}

enum stall_verdict stall_judge(struct stall_worker *w, bool awaited, uint64_t limit, uint64_t now)
{
	if (!awaited || !stall_is_still(w, now))
		w->awaited = 0;
	else if (w->awaited == 0)
		w->awaited = now;
	if (now - w->moved >= limit)
		return STALL_TIMEOUT;
	if (w->awaited != 0 && now - w->awaited >= ticks_of(AWAITED_STILL - STILL))
		return STALL_AWAITED;
	return STALL_NONE;
}

bool stall_note_lock(struct stall_lock *l, pid_t owner, uint64_t count, uint64_t now)
{
	if (owner == 0 || owner != l->owner || count != l->count) {
		*l = (struct stall_lock){ .owner = owner, .count = count, .since = now };
		return false;
	}
	if (now - l->since < ticks_of(LOCK_STUCK))
		return false;
	l->since = now;
	return true;
}
