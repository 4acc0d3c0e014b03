/*
 * worker.h - a worker without a process: a session with a bus, and connections by socket pairs,
 * whose other end the test holds. Time passes when the test says so (pass).
 */
#ifndef TESTS_SESSION_WORKER_H
#define TESTS_SESSION_WORKER_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/chronicle.h"
#include "base/cidr.h"
#include "base/log.h"
#include "base/meters.h"
#include "base/metrics.h"
#include "base/orders.h"
#include "base/tally.h"
#include "behaviour.h"
#include "config/config.h"
#include "session/compress.h"
#include "session/conn_internal.h"
#include "session/listener.h"
#include "session/opening.h"
#include "session/session.h"
#include "session/steered.h"
#include "session/turn.h"

enum {
	GOT_MAX = 1024 * 1024,
	WORKER_SLOT = 0,
	OTHER_SLOT = 1,
	MAX_ROOMS = 4,
	MAX_CONNS = 64,
	METERS_FOR_TESTS = 64
};

static struct {
	struct event_base *base;
	struct bus *bus;
	struct segment counted, kept;
	struct metrics *metrics;
	struct tally *tally;
	struct meters *meters;
	struct orders *orders;
	struct chronicle *chronicle;
	int wakeups[SLOTS];
	struct listener *listener;
	struct cidr trusted[2];
} worker;

/* The other end of a connection. */
struct client {
	int fd;
	struct conn *conn; /* NULL: it has ended */
	size_t len;
	uint8_t got[GOT_MAX]; /* what it has read, and not forgotten */
};

#define WORKER_KEYS                                                                                \
	"listen = ( { address = \"127.0.0.1\"; port = 8080; } );\n"                                \
	"max_rooms = 4; bus_size = \"4M\"; bus_lag = \"64K\"; worker_timeout = \"60s\";\n"

static inline void worker_print_error(bool warning, const char *line, void *arg)
{
	(void)arg;
	if (!warning)
		fprintf(stderr, "%s\n", line);
}

/* all: NULL-terminated; NULL: those that there are. */
static inline struct config *worker_config(const char *text, const struct behaviour *const *all)
{
	static uint64_t generation;
	struct config_errors *e = config_errors_new();
	int fd = memfd_create("test.conf", MFD_CLOEXEC);
	struct config_source *s;
	struct config *c = NULL;
	char path[64];

	dprintf(fd, WORKER_KEYS "%s", text);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	s = config_load(path, e);
	if (s)
		c = config_parse(s, all ? all : behaviours, ++generation, e);
	config_errors_each(e, worker_print_error, NULL);
	assert_non_null(c);
	config_source_free(s);
	config_errors_free(e);
	close(fd);
	return c;
}

static inline const char *worker_path(size_t i, void *config)
{
	return ((const struct config *)config)->endpoints[i].path;
}

/* As the master does when a configuration comes into force. */
static inline void worker_label(struct config *c)
{
	metrics_label_all(worker.metrics, c->endpoint_count, worker_path, c);
}

/* endpoints and settings: what the configuration has beside a listener. */
static inline void worker_begin(const char *text, const struct behaviour *const *all)
{
	const struct bus_limits limits = { 1 << 22, 64 << 10, MAX_ROOMS, MAX_CONNS };
	struct config *c = worker_config(text, all);

	for (int i = 0; i < SLOTS; i++)
		worker.wakeups[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	worker.base = event_base_new();
	worker.metrics = metrics_new(&worker.counted);
	worker_label(c);
	worker.bus = bus_new(&limits, worker.wakeups);
	worker.tally = tally_new(0);
	worker.meters = meters_new(METERS_FOR_TESTS);
	worker.orders = orders_new();
	worker.chronicle = chronicle_new(&worker.kept);
	assert_non_null(worker.bus);
	bus_set_slot(worker.bus, WORKER_SLOT);
	assert_int_equal(session_init(worker.base,
				      &(struct session_shared){ .bus = worker.bus,
								.metrics = worker.metrics,
								.tally = worker.tally,
								.meters = worker.meters,
								.orders = worker.orders,
								.chronicle = worker.chronicle },
				      WORKER_SLOT, c, MAX_ROOMS),
			 0);
	config_unref(c);
	worker.listener = calloc(1, sizeof(*worker.listener));
	worker.listener->refs = 1;
	worker.listener->trusted = calloc(2, sizeof(struct cidr));
}

static inline void worker_end(void)
{
	session_fini();
	assert_int_equal(session.conns, 0);
	assert_int_equal(session.row->open, 0);
	assert_int_equal(session.row->handshakes, 0);
	assert_int_equal(tally_places_taken(worker.tally), 0);
	listener_unref(worker.listener);
	tally_free(worker.tally);
	meters_free(worker.meters);
	orders_free(worker.orders);
	segment_free(&worker.kept);
	bus_free(worker.bus);
	/* not what it counts in: the next one begins with that */
	close(worker.counted.fd);
	for (int i = 0; i < SLOTS; i++)
		close(worker.wakeups[i]);
	event_base_free(worker.base);
}

/* The same as the end of a test. */
static inline int worker_teardown(void **state)
{
	(void)state;
	worker_end();
	return 0;
}

/* A turn of the loop. Returns whether there is more to do. */
static inline bool turn_once(void)
{
	bool more;

	/* once: a socket that is steered can be written to for ever */
	event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
	more = session_turn_end();
	return more || event_base_get_num_events(worker.base, EVENT_BASE_COUNT_ACTIVE) > 0;
}

/* Whether a socket may have been read in this turn: that is charged for. */
static inline bool some_work(void)
{
	return this_turn.credit != TURN_STEP || this_turn.began != 0;
}

/*
 * Turns of the loop until nothing happens any more. One during which the machine had other things to do is
 * over early, and nobody but the socket knows of what it has left in there.
 */
static inline void turn(void)
{
	bool more = true;

	for (int i = 0; (more || i < 4) && i < 100; i++) {
		event_base_loop(worker.base, EVLOOP_NONBLOCK | EVLOOP_ONCE);
		more = some_work();
		more |= session_turn_end();
		more |= event_base_get_num_events(worker.base, EVENT_BASE_COUNT_ACTIVE) > 0;
	}
}

/* One that is over as soon as work for so many nanoseconds is done. */
static inline bool turn_short(int64_t credit)
{
	this_turn = (struct turn){ .credit = credit, .began = 1 };
	return turn_once();
}

/* Time passes. */
static inline void pass(int64_t ms)
{
	for (; ms > 0; ms -= SESSION_TICK) {
		session_tick();
		turn();
	}
}

/* The end of a turn, which is over as soon as work of so many nanoseconds was charged. */
static inline bool end_turn(int64_t credit)
{
	this_turn = (struct turn){ .credit = credit, .began = 1 };
	return session_turn_end();
}

/* What was told of reloads. */
static struct {
	int times;
	unsigned moved, closed; /* with the last one */
} reloaded;

static inline void note_reloaded(unsigned moved, unsigned closed)
{
	reloaded.times++;
	reloaded.moved = moved;
	reloaded.closed = closed;
}

/* A reload begins; text: as of worker_begin. */
static inline void reload_worker(const char *text, const struct behaviour *const *all)
{
	struct config *c = worker_config(text, all);

	worker_label(c);
	reloaded.times = 0;
	session_reload(c, note_reloaded);
	config_unref(c);
}

/* It has come to its end, with these numbers. */
static inline void assert_reloaded(unsigned moved, unsigned closed)
{
	turn();
	assert_int_equal(reloaded.times, 1);
	assert_int_equal(reloaded.moved, moved);
	assert_int_equal(reloaded.closed, closed);
}

static inline void find_conn(struct conn *c, void *arg)
{
	struct client *k = arg;

	if (!k->conn || c->id > k->conn->id)
		k->conn = c;
}

static inline void look_for(struct conn *c, void *arg)
{
	struct client **k = arg;

	if (*k && (*k)->conn == c)
		*k = NULL;
}

/* Whether k's connection is there still. */
static inline bool lives(const struct client *k)
{
	const struct client *found = k;

	timer_each(look_for, &found);
	return !found;
}

static inline void connect_client(struct client *k)
{
	const uint8_t address[16] = { 192, 0, 2, 1 };
	const struct net_peer peer = net_peer_of(AF_INET, address, 4711);
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	k->fd = fds[0];
	k->len = 0;
	k->conn = NULL;
	session_accept(fds[1], &peer, worker.listener);
	timer_each(find_conn, k);
	assert_non_null(k->conn);
}

static inline void disconnect(struct client *k)
{
	close(k->fd);
	turn();
	k->conn = NULL;
}

static inline void say_bytes(struct client *k, const void *bytes, size_t n)
{
	assert_int_equal(write(k->fd, bytes, n), (ssize_t)n);
	turn();
}

static inline void say(struct client *k, const char *text)
{
	say_bytes(k, text, strlen(text));
}

/* Reads what is there; returns whether that was the end. */
static inline bool hear(struct client *k)
{
	ssize_t n;

	while ((n = read(k->fd, k->got + k->len, sizeof(k->got) - k->len)) > 0)
		k->len += (size_t)n;
	return n == 0 || errno == ECONNRESET;
}

static inline void assert_heard(struct client *k, const void *bytes, size_t n)
{
	hear(k);
	assert_int_equal(k->len, n);
	assert_memory_equal(k->got, bytes, n);
	k->len = 0;
}

#define ASSERT_HEARD(k, literal) assert_heard((k), (literal), sizeof(literal) - 1)

/* Time passes until something comes, `most` ms at most; returns how long it was. */
static inline int64_t pass_until_heard(struct client *k, int64_t most)
{
	int64_t ms = 0;

	for (hear(k); k->len == 0 && ms < most; hear(k)) {
		pass(SESSION_TICK);
		ms += SESSION_TICK;
	}
	assert_true(k->len > 0);
	return ms;
}

static inline void assert_begins(struct client *k, const char *text)
{
	hear(k);
	assert_true(k->len >= strlen(text));
	assert_memory_equal(k->got, text, strlen(text));
	k->got[k->len] = '\0';
}

/* Masked with zeroes, so that it reads as it is. */
static inline size_t client_frame(uint8_t *out, uint8_t first, const void *data, size_t len)
{
	size_t n = 2, bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;

	out[0] = first;
	out[1] = 0x80 | (uint8_t)(len < 126 ? len : len < 65536 ? 126 : 127);
	for (; bytes > 0; bytes--)
		out[n++] = (uint8_t)(len >> 8 * (bytes - 1));
	memset(out + n, 0, 4);
	if (len > 0)
		memcpy(out + n + 4, data, len);
	return n + 4 + len;
}

static inline void say_frame(struct client *k, uint8_t first, const char *text)
{
	static uint8_t frame[70000];

	say_bytes(k, frame, client_frame(frame, first, text, strlen(text)));
}

#define REQUEST(path)                                                                              \
	"GET " path " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

static inline void upgrade(struct client *k, const char *request)
{
	connect_client(k);
	say(k, request);
	assert_begins(k, "HTTP/1.1 101 ");
	assert_int_equal(k->conn->state_now, CONN_OPEN);
	k->len = 0;
}

/* What is counted in one field of the cells (offsetof) for an endpoint. */
static inline uint64_t counted_at(const char *path, size_t field)
{
	unsigned label = metrics_label_of(worker.metrics, path);

	assert_int_not_equal(label, METRICS_OTHER);
	return metrics_cell_sum(worker.metrics, label, field);
}
#define COUNTED_AT(path, field) counted_at(path, offsetof(struct metrics_cell, field))

/* The same of all together. */
static inline uint64_t counted(size_t field)
{
	uint64_t sum = metrics_cell_sum(worker.metrics, METRICS_OTHER, field);

	for (uint32_t i = 1; i < worker.metrics->labels; i++)
		sum += metrics_cell_sum(worker.metrics, i, field);
	return sum;
}
#define COUNTED(field) counted(offsetof(struct metrics_cell, field))

/* How many that were open have ended so. */
static inline uint64_t counted_ends(enum reason reason)
{
	uint64_t sum = 0;

	for (int i = 0; i < METRICS_CODES; i++)
		sum += session.row->ends[i][reason];
	return sum;
}

static inline uint64_t counted_pings(void)
{
	uint64_t sum = 0;

	for (int i = 0; i <= METRICS_BOUNDS; i++)
		sum += session.row->round_trip.counts[i];
	return sum;
}

/* From here on the test says how many bytes k is sent, and sees them in `wire`. */
static inline void steer_client(struct client *k, size_t takes)
{
	steer(&k->conn->link.transport, takes);
}

#endif
