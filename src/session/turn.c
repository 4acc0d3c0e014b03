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
	[TURN_EVENTS] = 2000,
	[TURN_INPUT] = 1000,
	[TURN_DELIVERY] = 1000,
	[TURN_CHORES] = 500,
};

struct turn turn = { .credit = TURN_STEP };

void turn_begin(void)
{
	turn = (struct turn){ .credit = TURN_STEP, .share = shares[TURN_EVENTS] };
}

void turn_go_on(enum turn_part part)
{
	turn.share += shares[part];
	/* What was over may go on, for as long as its look at the clock allows. */
	if (turn.credit <= 0)
		turn_look();
}

bool turn_look(void)
{
	int64_t now = session_clock_us(), left;

	if (turn.began == 0)
		turn.began = now - (TURN_STEP - turn.credit) / 1000;
	left = turn.began + turn.share - now;
	if (left <= 0)
		return true;
	left *= 1000;
	turn.credit = left < TURN_STEP ? left : TURN_STEP;
	return false;
}
