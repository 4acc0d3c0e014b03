/*
 * turn.c - see turn.h.
 *
 * When a turn began is known at the first look only, and is then taken to be as long ago as what
 * was charged since.
 */
#include "session/turn.h"

#include "session/session.h"

/* Microseconds; together less than 5 ms, for a part ends behind the unit that went over it. */
static const uint16_t shares[TURN_PARTS] = {
	[TURN_EVENTS] = 1800, [TURN_INPUT] = 800,  [TURN_DELIVERY] = 700,
	[TURN_BACKLOG] = 700, [TURN_CHORES] = 500,
};

struct turn this_turn = { .credit = TURN_STEP };

void turn_begin(void)
{
	turn_counters_begin();
	this_turn = (struct turn){ .credit = TURN_STEP, .share = shares[TURN_EVENTS] };
}

void turn_go_on(enum turn_part part)
{
	turn_counters_go_on(part);
	this_turn.share += shares[part];
	/* What was over may go on, for as long as its look at the clock allows. */
	if (this_turn.credit <= 0)
		turn_look();
}

bool turn_look(void)
{
	int64_t now = session_clock_us(), left;

	if (this_turn.began == 0)
		this_turn.began = now - (TURN_STEP - this_turn.credit) / 1000;
	left = this_turn.began + this_turn.share - now;
	turn_counters_look(left <= 0);
	if (left <= 0)
		return true;
	left *= 1000;
	this_turn.credit = left < TURN_STEP ? left : TURN_STEP;
	return false;
}
