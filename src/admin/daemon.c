/*
 * daemon.c - the state of the daemon as a whole.
 */
#include <stdbool.h>
#include <string.h>

#include "admin/admin_internal.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/board.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "config/config.h"
#include "config/shown.h"

static json_t *worker(int slot)
{
	const struct board_child *c = &admin.board->children[slot];
	const struct metrics_row *row = &admin.metrics->rows[slot];

	return json_pack("{s:i, s:i, s:s, s:I, s:I, s:I, s:s, s:f, s:I}", "worker", slot, "pid",
			 atomic_load(&c->pid), "state", board_state_name(atomic_load(&c->state)),
			 "generation", (json_int_t)atomic_load(&c->generation), "connections",
			 (json_int_t)atomic_load(&row->open), "handshakes",
			 (json_int_t)atomic_load(&row->handshakes), "doing",
			 activity_name(atomic_load(&row->activity)), "still",
			 seconds_of((int64_t)atomic_load(&c->still)), "deaths",
			 (json_int_t)atomic_load(&c->deaths));
}

static json_t *workers(void)
{
	json_t *list = json_array();

	for (int i = 0; i < SLOTS_WORKERS; i++)
		if (atomic_load(&admin.board->children[i].state) != BOARD_UNUSED)
			json_array_append_new(list, worker(i));
	return list;
}

static json_t *last_reload(void)
{
	char text[BOARD_TEXT_MAX];
	bool applied;
	int64_t at = board_last_reload(admin.board, &applied, text);

	if (at == 0)
		return json_null();
	return json_pack("{s:f, s:b, s:s}", "time", seconds_of(at), "applied", applied, "summary",
			 text);
}

static uint64_t handshakes(void)
{
	uint64_t n = 0;

	for (int i = 0; i < SLOTS_WORKERS; i++)
		n += atomic_load(&admin.metrics->rows[i].handshakes);
	return n;
}

/* Of the oldest message that is in it; clocks may have been set meanwhile. */
static json_t *age_of(int64_t oldest)
{
	int64_t age = clock_wall_ms() - oldest;

	return oldest > 0 ? json_real(seconds_of(age > 0 ? age : 0)) : json_null();
}

/* The log of rooms in shared memory. */
static json_t *bus_log(void)
{
	struct bus_figures f;

	bus_look(admin.bus, &f);
	return json_pack("{s:I, s:I, s:I, s:I, s:o, s:i, s:i}", "size", (json_int_t)f.size, "lag",
			 (json_int_t)f.lag, "used", (json_int_t)f.used, "kept", (json_int_t)f.kept,
			 "age", age_of(f.oldest), "rooms", (int)f.rooms, "max_rooms",
			 (int)f.max_rooms);
}

static uint64_t leaving(void)
{
	uint64_t n = 0;

	for (int i = 0; i < SLOTS_WORKERS; i++)
		n += atomic_load(&admin.metrics->rows[i].leaving);
	return n;
}

static json_t *drain(void)
{
	struct board_drain d;
	json_t *j;

	board_read_drain(admin.board, &d);
	if (d.since == 0)
		return json_null();
	j = json_pack("{s:f, s:f, s:o, s:o, s:o, s:b, s:I, s:I, s:I}", "since", seconds_of(d.since),
		      "until", seconds_of(d.until), "ended",
		      d.ended ? json_real(seconds_of(d.ended)) : json_null(), "endpoint",
		      *d.endpoint ? json_of_text(d.endpoint, strlen(d.endpoint)) : json_null(),
		      "share", d.share ? json_real((double)d.share / 1e6) : json_null(), "refuses",
		      d.share == 0, "left", (json_int_t)(d.ended ? 0 : leaving()), "let_go",
		      (json_int_t)d.let_go, "late", (json_int_t)d.late);
	return j;
}

void status_get(struct request *r)
{
	const struct board *b = admin.board;
	int64_t started = atomic_load(&b->started);

	answer_json(
		r, 200,
		json_pack("{s:{s:s, s:i, s:o, s:s, s:f, s:f, s:I, s:I, s:I, s:o, s:o, s:o, s:o}}",
			  "status", "version", IGNYX_VERSION, "pid", atomic_load(&b->master),
			  "file", show_string(config_file(admin.config)), "phase",
			  board_phase_name(atomic_load(&b->phase)), "started", seconds_of(started),
			  "uptime", seconds_of(clock_wall_ms() - started), "generation",
			  (json_int_t)atomic_load(&b->generation), "connections",
			  (json_int_t)metrics_open(admin.metrics), "handshakes",
			  (json_int_t)handshakes(), "log", bus_log(), "workers", workers(),
			  "reload", last_reload(), "drain", drain()));
}
