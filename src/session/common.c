/*
 * common.c - what all files of a session read, and none of them leads to, see session.h.
 */
#include <event2/event.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "session/session.h"

struct session session;

int64_t session_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t session_clock(void)
{
	return session_clock_us() / 1000;
}

int64_t session_time(void)
{
	struct timeval now;

	event_base_gettimeofday_cached(session.base, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* Ids stay unique over workers and their restarts: slot, then time, then a count. */
uint64_t session_first_conn(int slot)
{
	return (uint64_t)slot << 56 | ((uint64_t)session_clock() << 20 & 0x00fffffffff00000) | 1;
}

_Noreturn void session_bus_corrupt(void)
{
	log_err(LOG_OF(BUS_CORRUPT),
		"bus corrupt: the shared log of rooms is damaged; this worker ends "
		"and the master makes a new one");
	_exit(SESSION_EXIT_BUS_CORRUPT);
}
