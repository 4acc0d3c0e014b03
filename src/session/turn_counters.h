/*
 * turn_counters.h - how long turns of the loop are, where the program was built to count that:
 * make COUNTERS=yes BUILD=build/counters. Anywhere else nothing of it is there.
 *
 * Once a second, and at its end, a worker logs a line that tests/bench and tests/hostile read:
 *
 *	turns: 912, over 5 ms 1, longest 8134 us (10 7900 220 0 4), work 9100 us, unlooked 210 us, ...
 *
 * The longest of them in time of the CPU, and in brackets its parts (turn.h); the most work that
 * one of them charged; the most that was charged without a look whether the part is over; and
 * the most that was charged when it was. And another one, of those that wait in line:
 *
 *	in line: input 12 of 240, rooms 3 of 5, compress 1 of 1, handshakes 2 of 9
 *
 * For each line, how many turns one of them waited at the most, and of how many that waited.
 */
#ifndef SESSION_TURN_COUNTERS_H
#define SESSION_TURN_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

/* Where something could be done at once, but for others whose turn comes first. */
enum turn_line { LINE_INPUT, LINE_ROOMS, LINE_COMPRESS, LINE_HANDSHAKES, LINES };

/* What one that stands in line has of it. */
struct turn_wait {
#ifdef IGNYX_COUNTERS
	uint64_t since; /* which turn */
#endif
};

#ifdef IGNYX_COUNTERS
/* One turn ends, and the next one begins. */
void turn_counters_begin(void);
/* Its next part begins. */
void turn_counters_go_on(unsigned part);
/* So many nanoseconds were charged. */
void turn_counters_spend(uint64_t cost);
/* Somebody looked whether the part is over. */
void turn_counters_look(bool over);
/* One stands in line from now on; it does not any more, for it is served, or gone. */
void turn_counters_wait(enum turn_line line, struct turn_wait *w);
void turn_counters_serve(enum turn_line line, const struct turn_wait *w);
/* Called once per tick of the session. */
void turn_counters_tick(void);
/* Logs what there is. */
void turn_counters_tell(void);
#else
static inline void turn_counters_begin(void)
{
}
static inline void turn_counters_go_on(unsigned part)
{
	(void)part;
}
static inline void turn_counters_spend(uint64_t cost)
{
	(void)cost;
}
static inline void turn_counters_look(bool over)
{
	(void)over;
}
static inline void turn_counters_wait(enum turn_line line, struct turn_wait *w)
{
	(void)line;
	(void)w;
}
static inline void turn_counters_serve(enum turn_line line, const struct turn_wait *w)
{
	(void)line;
	(void)w;
}
static inline void turn_counters_tick(void)
{
}
static inline void turn_counters_tell(void)
{
}
#endif

#endif
