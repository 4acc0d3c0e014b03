/*
 * turn.c - see turn.h.
 *
 * When a turn began is known at the first look only, and is then taken to be as long ago as what
 * was charged since.
 */
#include "session/turn.h"

#include "base/metrics.h"
#include "session/session.h"

/*
 * Microseconds, so that a part which has nothing to do need not begin. One ends behind the unit that went
 * over it, and what cannot be cut may take 3 ms; and a message that comes waits for the turn that goes on,
 * and for much of its own. So a turn is over soon where only the parts behind events have much to do: what
 * they do costs the same in however many turns. What sockets ask for costs less the more there is of it at
 * once (see delivery.c), and has longer; then each part behind it has some time of its own, but where
 * that was gone over: then the others' is used up, too.
 */
enum { EVENTS = 350, OWN = 26 };
_Static_assert(TURN_STEP / 1000 + OWN <= TURN_LEAST, "before anybody looks, a turn has that");

struct turn this_turn = { .credit = TURN_STEP };

/* Those that were over before anybody looked at the clock, since the last tick. */
static struct {
	uint64_t count;
	int64_t left; /* of TURN_STEP each: nanoseconds that were not charged */
} brief;

/* Of this turn, as far as is known without a look at the clock. */
static int64_t used_us(void)
{
	const struct turn *t = &this_turn;

	return t->began == 0 ? (TURN_STEP - t->credit) / 1000
			     : t->looked - t->began + (t->given - t->credit) / 1000;
}

/* Nearly all are brief, and are told together: they cost no more than two additions. */
static void note_length(void)
{
	const struct turn *t = &this_turn;

	if (t->began == 0) {
		brief.count++;
		brief.left += t->credit;
	} else {
		metrics_time(&metrics_own->turn, (uint64_t)used_us());
	}
}

void turn_tick(void)
{
	uint64_t charged = brief.count * TURN_STEP - (uint64_t)brief.left;

	metrics_times(&metrics_own->turn, brief.count, charged / 1000);
	brief.count = 0;
	brief.left = 0;
}

/*
 * Microseconds that libevent may be kept from looking what has become ready: some, and more for each socket
 * that is, for the kernel goes through all of them then.
 */
enum { UNSEEN = 500, UNSEEN_FOR_EACH = 3, UNSEEN_MOST = 15000 };

static int64_t may_be_unseen(size_t ready)
{
	return ready < (UNSEEN_MOST - UNSEEN) / UNSEEN_FOR_EACH
		       ? UNSEEN + (int64_t)ready * UNSEEN_FOR_EACH
		       : UNSEEN_MOST;
}

static turn_end_fn *end_within; /* NULL: no turn ends within events */

void turn_within_events(turn_end_fn *end)
{
	end_within = end;
}

bool turn_end_here(size_t ready)
{
	const int64_t seen = this_turn.seen > 0 ? this_turn.seen : this_turn.began;

	if (!end_within || this_turn.looked - seen > may_be_unseen(ready))
		return false;
	end_within();
	this_turn.seen = seen;
	return true;
}

void turn_begin(void)
{
	note_length();
	turn_counters_begin();
	this_turn.credit = TURN_STEP;
	this_turn.share = EVENTS;
	this_turn.began = 0;
	this_turn.seen = this_turn.time = 0;
}

int64_t turn_time(void)
{
	if (this_turn.time == 0)
		this_turn.time = session_clock_us() * 1000;
	return this_turn.time;
}

static uint32_t share_of(enum turn_part part)
{
	const int64_t most = EVENTS + (int64_t)part * OWN;
	int64_t share = used_us() + OWN;

	if (share < TURN_LEAST)
		share = TURN_LEAST;
	return (uint32_t)(share < most ? share : most);
}

void turn_go_on_long(enum turn_part part)
{
	this_turn.share = share_of(part);
	/* What was over may go on, for as long as its look at the clock allows. */
	if (this_turn.credit <= 0)
		turn_look();
}

bool turn_look(void)
{
	int64_t now = session_clock_us(), left;

	if (this_turn.began == 0)
		this_turn.began = now - (TURN_STEP - this_turn.credit) / 1000;
	this_turn.looked = now;
	left = this_turn.began + this_turn.share - now;
	turn_counters_look(left <= 0);
	this_turn.given = this_turn.credit;
	if (left <= 0)
		return true;
	left *= 1000;
	this_turn.given = this_turn.credit = left < TURN_STEP ? left : TURN_STEP;
	return false;
}
