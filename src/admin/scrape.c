/*
 * scrape.c - what is counted, for Prometheus.
 */
#include <string.h>

#include <event2/buffer.h>

#include "admin/admin_internal.h"
#include "admin/request.h"
#include "admin/resources.h"
#include "admin/values.h"
#include "base/board.h"
#include "base/clock.h"
#include "base/exposition.h"
#include "base/metrics.h"
#include "bus/bus.h"
#include "config/config.h"

static void put(const char *bytes, size_t len, void *body)
{
	evbuffer_add(body, bytes, len);
}

static void add_bus(struct metrics_facts *f)
{
	struct bus_figures bus;

	bus_look(admin.bus, &bus);
	f->bus_capacity = bus.size;
	f->bus_used = bus.used;
	f->bus_kept = bus.kept;
	f->rooms = bus.rooms;
	f->max_rooms = bus.max_rooms;
	if (bus.oldest > 0)
		f->bus_age =
			clock_wall_ms() > bus.oldest ? (uint64_t)(clock_wall_ms() - bus.oldest) : 0;
}

/* Looked up for those alone that have lost something: there may be many that have not. */
static void add_evicted(struct metrics_facts *f)
{
	static uint64_t evicted[METRICS_LABELS];
	const struct config *c = admin.config;

	memset(evicted, 0, sizeof(evicted));
	for (size_t i = 0; i < c->endpoint_count; i++) {
		const struct config_endpoint *e = &c->endpoints[i];
		uint64_t n = e->room.history > 0
				     ? bus_look_at_group(admin.bus, config_keep(e).group).evicted
				     : 0;

		if (n > 0)
			evicted[metrics_label_of(admin.metrics, e->path)] += n;
	}
	f->evicted = evicted;
}

static void add_reload(struct metrics_facts *f)
{
	char text[BOARD_TEXT_MAX];
	bool applied;
	int64_t at = board_last_reload(admin.board, &applied, text);

	if (at == 0)
		return;
	f->reload_time = (uint64_t)at;
	f->reload_applied = applied;
}

static void add_drain(struct metrics_facts *f)
{
	struct board_drain d;

	board_read_drain(admin.board, &d);
	f->draining = d.since != 0 && d.share == 0;
}

static struct metrics_facts facts(void)
{
	int64_t expires = atomic_load(&admin.metrics->certificate_expires);
	struct metrics_facts f = {
#define METRIC_FACT(field, unit, type, name, help) .field = METRICS_UNKNOWN,
#include "base/metrics.def"
		.version = IGNYX_VERSION,
	};

	add_bus(&f);
	add_evicted(&f);
	add_reload(&f);
	add_drain(&f);
	f.started = (uint64_t)atomic_load(&admin.board->started);
	if (expires > 0)
		f.certificate_expires = (uint64_t)expires;
	return f;
}

void metrics_get(struct request *r)
{
	const struct metrics_facts f = facts();
	struct evbuffer *body = evbuffer_new();

	if (body)
		exposition_write(admin.metrics, &f, put, body);
	answer_buffer(r, 200, "text/plain; version=0.0.4; charset=utf-8", body);
}
