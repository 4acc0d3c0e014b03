/*
 * shared.c - see shared.h.
 *
 * All of it is there before the first worker, for what is made later no worker that runs would get.
 */
#include "process/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/board.h"
#include "base/chronicle.h"
#include "base/log.h"
#include "base/meters.h"
#include "base/metrics.h"
#include "base/orders.h"
#include "base/tally.h"
#include "base/vitals.h"
#include "config/config.h"
#include "net/tickets.h"
#include "process/ticks.h"

/* TALLIED_PLACES: of the tally, for each connection; TALLIED_MIN: for a reload that allows more. */
enum { TALLIED_PLACES = 8, TALLIED_MIN = 1024 };

/* Of addresses, each of which has up to three. */
enum { METERS = 1 << 17 };

/* Of members that one worker lists; a reload may allow more connections. */
enum { LISTED_MIN = 1024, LISTED_MAX = 1 << 18 };

struct shared shared = { .counted = { .fd = -1 }, .told = { .fd = -1 }, .kept = { .fd = -1 } };

void shared_condemn_bus(void)
{
	shared.bus_condemned = true;
}

int shared_renew_bus(const struct config *c)
{
	bus_free(shared.bus);
	shared.bus = bus_new(&shared.limits, shared.wakeups);
	if (!shared.bus || (config_uses_bus(c) && bus_populate(shared.bus) < 0))
		return -1;
	shared.bus_condemned = false;
	return 0;
}

/* With one connection of each address and user, counted at the top and at its endpoint, half are taken. */
static struct tally *make_tally(int64_t connections)
{
	if (connections < TALLIED_MIN)
		connections = TALLIED_MIN;
	if (connections > TALLY_PLACES_MAX / TALLIED_PLACES)
		connections = TALLY_PLACES_MAX / TALLIED_PLACES;
	return tally_new((size_t)connections * TALLIED_PLACES);
}

static uint32_t listed(int64_t connections)
{
	if (connections < LISTED_MIN)
		return LISTED_MIN;
	return connections > LISTED_MAX ? LISTED_MAX : (uint32_t)connections;
}

static int make_wakeups(void)
{
	for (int i = 0; i < SLOTS; i++) {
		shared.wakeups[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (shared.wakeups[i] < 0)
			return -1;
	}
	return 0;
}

static int make_pairs(void)
{
	for (int i = 0; i < SLOTS_WORKERS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
			return -1;
		shared.askers[i] = pair[0];
		shared.asked[i] = pair[1];
	}
	return 0;
}

static const char *remedy(void)
{
	return errno == EFBIG ? "raise the limit of file sizes (ulimit -f)" : "";
}

int shared_make(const struct config *c)
{
	shared.limits = (struct bus_limits){ .size = (size_t)c->bus_size,
					     .lag = (size_t)c->bus_lag,
					     .max_rooms = (uint32_t)c->max_rooms,
					     .members = listed(c->max_connections) };
	shared.tally = make_tally(c->max_connections);
	if (!shared.tally) {
		log_err(NULL,
			"there is no memory for the table that counts connections: %s; lower "
			"max_connections%s%s",
			strerror(errno), *remedy() ? " or " : "", remedy());
		return -1;
	}
	shared.metrics = metrics_new(&shared.counted);
	shared.board = board_new(&shared.told);
	shared.chronicle = chronicle_new(&shared.kept);
	shared.meters = meters_new(METERS);
	shared.orders = orders_new();
	shared.tickets = tickets_new();
	if (make_wakeups() < 0 || make_pairs() < 0 || !shared.metrics || !shared.board ||
	    !shared.chronicle || !shared.meters || !shared.orders || !shared.tickets) {
		log_err(NULL, "there is no memory to share with the workers: %s%s%s",
			strerror(errno), *remedy() ? "; " : "", remedy());
		return -1;
	}
	if (shared_renew_bus(c) < 0) {
		log_err(NULL,
			"there is no memory for the bus of %lld bytes: %s; lower bus_size%s%s",
			(long long)c->bus_size, strerror(errno), *remedy() ? " or " : "", remedy());
		return -1;
	}
	return 0;
}

enum { SECOND = 1000 / MASTER_TICK };

void shared_tick(void)
{
	struct metrics_row *row = metrics_row_of_master(shared.metrics);

	metrics_add(&row->beats, 1);
	if (ticks_now() % SECOND == 0)
		vitals_note(row);
	if (tickets_tick(shared.tickets, ticks_now() * MASTER_TICK) < 0)
		log_warning(NULL, "cannot make a new key for session tickets; the old one stays");
}

void shared_free(void)
{
	bus_free(shared.bus);
	shared.bus = NULL;
	tickets_free(shared.tickets);
	shared.tickets = NULL;
	tally_free(shared.tally);
	shared.tally = NULL;
	meters_free(shared.meters);
	shared.meters = NULL;
	orders_free(shared.orders);
	shared.orders = NULL;
	segment_free(&shared.counted);
	shared.metrics = NULL;
	segment_free(&shared.told);
	shared.board = NULL;
	segment_free(&shared.kept);
	shared.chronicle = NULL;
}
