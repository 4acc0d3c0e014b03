/*
 * load.c - the load of the benchmark: cheap for each message, so that what is
 * measured is the server.
 *
 * `load echo`, `room`, `idle`, `churn` and `flood`; `load --help` lists the options. All but
 * idle run for a time or a number of messages and print one line of JSON. With --wait
 * they print {"ready": true} when all is connected, and begin when a line comes on
 * standard input; so one can take the time of the server for exactly what is counted.
 *
 * An echo is a room of one. In a closed loop each publisher has so many messages in
 * flight; it sends one when as many came as its room has publishers, its own among
 * them. With --rate, messages are due at fixed times, whatever the server does, and
 * latency counts from when one was due. All that fall due in the time are sent, however
 * long that takes: a server that stalls cannot hide it, not even at the end. With --until-line
 * messages are due until another line comes on standard input.
 *
 * With --arrivals it tells of another latency, too: from the send up to when the kernel had the answer for
 * this process. What this process waited for a CPU is no part of it.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "histogram.h"

enum {
	EVENTS = 512,
	PORTS_OF_AN_ADDRESS = 28000, /* Linux lends about so many */
	CHURN_ADDRESSES = 16,
	AT_ONCE = 128, /* connections that wait for their upgrade */
	COME_AT_ONCE = 64, /* visits that begin, ahead of a look at the others */
	COPIES_BYTES = 256 * 1024,
	WARM_UP_MS = 50,
	PATIENCE_MS = 20000, /* without one answer */
	FOREVER = 1000000, /* seconds */
	CLOSE_FRAME = 8,
};

static struct {
	const char *mode;
	struct target target;
	unsigned connections, rooms, publishers, inflight;
	size_t size;
	double seconds, rate;
	uint64_t messages;
	uint8_t opcode;
	bool json, wait, until_line, arrivals, buckets;
} option = {
	.target = { .path = "/echo" },
	.connections = 64,
	.inflight = 1,
	.size = 32,
	.seconds = 1,
	.opcode = 1,
};

static struct {
	int epoll;
	struct stream stream;
	struct client *clients;
	unsigned members; /* of each room */
	uint64_t sent, answers, refused;
	uint64_t limit; /* of sent; 0: none */
	uint64_t end; /* of sending, in ns */
	bool stopping;
	unsigned turn; /* the publisher whose turn it is, in an open loop */
	struct histogram latency, served; /* served: with --arrivals */
} load;

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static uint64_t ns_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void)
{
	return ns_of(CLOCK_MONOTONIC);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Nothing is counted yet; limit: of what is sent, or 0: so long as the seconds last. */
static void begin(uint64_t start, double seconds, uint64_t limit)
{
	load.sent = load.answers = load.refused = 0;
	load.limit = limit;
	load.stopping = false;
	load.end = limit > 0 ? UINT64_MAX : start + (uint64_t)(seconds * 1e9);
	memset(&load.latency, 0, sizeof(load.latency));
	memset(&load.served, 0, sizeof(load.served));
}

/* --- messages --- */

/* The first members of each room are its publishers. */
static bool publishes(unsigned i)
{
	return i / option.rooms < option.publishers;
}

static void watch(struct client *c, bool writing, int how)
{
	struct epoll_event e = { .events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c };

	if (epoll_ctl(load.epoll, how, c->fd, &e) < 0)
		die("epoll_ctl failed");
}

static void flush(struct client *c)
{
	bool blocked = c->blocked;

	if (client_flush(c, &load.stream) < 0)
		die("the server ended a connection");
	if (c->blocked != blocked)
		watch(c, c->blocked, EPOLL_CTL_MOD);
}

/* when: what the latency of these n messages counts from. */
static void send_messages(struct client *c, unsigned n, uint64_t when)
{
	const struct moment m = { when, option.arrivals ? ns_of(CLOCK_REALTIME) : 0 };

	if (load.limit > 0 && n > load.limit - load.sent)
		n = (unsigned)(load.limit - load.sent);
	for (unsigned i = 0; i < n; i++)
		c->times[(c->first + c->pending++) % option.inflight] = m;
	load.sent += n;
	c->queued += n * load.stream.frame_len;
	if (n > 0)
		flush(c);
}

/* What the kernel does not tell came now, at the latest; and the clock may be set meanwhile. */
static void note_arrival(uint64_t sent, uint64_t arrived)
{
	if (arrived == 0)
		arrived = ns_of(CLOCK_REALTIME);
	histogram_add(&load.served, arrived > sent ? arrived - sent : 0);
}

static void answered(struct client *c, unsigned count)
{
	uint64_t now;
	unsigned n = 0;

	load.answers += count;
	if (!c->times)
		return;
	now = now_ns();
	/* At the end, when nobody sends any more, others may have sent more than this one. */
	for (c->credit += count; c->credit >= option.publishers && c->pending > 0; n++) {
		c->credit -= option.publishers;
		histogram_add(&load.latency, now - c->times[c->first].due);
		if (option.arrivals)
			note_arrival(c->times[c->first].sent, c->arrived);
		c->first = (c->first + 1) % option.inflight;
		c->pending--;
	}
	if (now >= load.end)
		load.stopping = true;
	if (!load.stopping && option.rate == 0)
		send_messages(c, n, now);
}

/* c is NULL: a line came. */
static void handle(struct client *c, uint32_t events)
{
	int n;

	if (!c) {
		load.stopping = true;
		return;
	}
	if (events & EPOLLOUT)
		flush(c);
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	n = client_read(c, &load.stream, NULL);
	if (n < 0)
		die("the server ended a connection");
	if (n > 0)
		answered(c, (unsigned)n);
}

static void send_due(uint64_t start, uint64_t *made, uint64_t now)
{
	unsigned publishers = option.rooms * option.publishers;
	double due;

	for (unsigned tried = 0; tried < publishers && !load.stopping;) {
		struct client *c = &load.clients[load.turn];

		due = (double)*made * 1e9 / option.rate;
		if ((double)(now - start) < due)
			return;
		load.turn = (load.turn + 1) % publishers;
		if (c->pending == option.inflight) {
			tried++;
			continue;
		}
		send_messages(c, 1, start + (uint64_t)due);
		++*made;
	}
}

/* Until the next message is due it sleeps, if that is worth it. */
static int patience(uint64_t start, uint64_t made, uint64_t now)
{
	double due = (double)start + (double)made * 1e9 / option.rate;

	if (option.rate == 0 || load.stopping)
		return PATIENCE_MS;
	return due > (double)now ? (int)((due - (double)now) / 1e6) : 0;
}

static bool all_answered(void)
{
	return load.answers == load.sent * load.members;
}

static void loop(void)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns(), made = 0, heard = start, now = start;

	while (!load.stopping || !all_answered()) {
		int n = epoll_wait(load.epoll, events, EVENTS, patience(start, made, now));

		now = now_ns();
		for (int i = 0; i < n; i++)
			handle(events[i].data.ptr, events[i].events);
		if (n > 0)
			heard = now;
		else if (now - heard > PATIENCE_MS * 1000000ull)
			die("answers are missing");
		if (option.rate > 0)
			send_due(start, &made, now);
		if (now >= load.end || (load.limit > 0 && load.sent == load.limit))
			load.stopping = true;
	}
}

/* Returns how many seconds it took. */
static double run_messages(double seconds, uint64_t limit)
{
	uint64_t start = now_ns();

	if (limit == 0 && option.rate > 0 && seconds < FOREVER)
		limit = (uint64_t)(option.rate * seconds) + 1;
	begin(start, seconds, limit);
	for (unsigned i = 0; i < option.connections && option.rate == 0; i++)
		if (publishes(i))
			send_messages(&load.clients[i], option.inflight, now_ns());
	loop();
	return (double)(now_ns() - start) / 1e9;
}

/* --- connecting and leaving, again and again --- */

struct visit {
	struct client c;
	uint64_t start;
	size_t head; /* how much of the end of the answer's head has come */
	bool requested, upgraded, refused;
};

static struct visit *visits;
static unsigned visits_made;

static void visit_connect(struct visit *v, uint64_t start)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = v };

	memset(v, 0, sizeof(*v));
	v->start = start;
	v->c.fd = client_socket(&option.target, visits_made++);
	if (v->c.fd < 0 || epoll_ctl(load.epoll, EPOLL_CTL_ADD, v->c.fd, &e) < 0)
		die("cannot connect");
}

static void visit_start(struct visit *v)
{
	visit_connect(v, now_ns());
	load.sent++;
}

/* Who was too slow to ask while others waited tries again, and has waited since the first time. */
static void visit_again(struct visit *v)
{
	close(v->c.fd);
	load.refused++;
	visit_connect(v, v->start);
}

static void visit_request(struct visit *v)
{
	char text[1024];
	size_t n = client_request(&option.target, 0, text, sizeof(text));

	if (send(v->c.fd, text, n, MSG_NOSIGNAL) != (ssize_t)n && errno != EPIPE &&
	    errno != ECONNRESET)
		die("cannot send a request");
	v->requested = true;
}

static bool is_refusal(const struct visit *v, const char *p, size_t n)
{
	static const char REFUSED[] = "HTTP/1.1 503 ";

	return v->head == 0 && n >= sizeof(REFUSED) - 1 &&
	       memcmp(p, REFUSED, sizeof(REFUSED) - 1) == 0;
}

/* The answer came as far as the end of its head. */
static bool head_ends(struct visit *v, const char *p, size_t n)
{
	static const char END[] = "\r\n\r\n";

	for (size_t i = 0; i < n && v->head < 4; i++)
		v->head = p[i] == END[v->head] ? v->head + 1 : p[i] == '\r';
	return v->head == 4;
}

static void visit_end(struct visit *v)
{
	close(v->c.fd);
	load.answers++;
	histogram_add(&load.latency, now_ns() - v->start);
	if (now_ns() >= load.end || (load.limit > 0 && load.sent >= load.limit))
		load.stopping = true;
	if (!load.stopping)
		visit_start(v);
	else
		v->c.fd = -1;
}

static void visit_read(struct visit *v)
{
	char text[4096];
	ssize_t n;

	while ((n = recv(v->c.fd, text, sizeof(text), 0)) > 0) {
		v->refused |= is_refusal(v, text, (size_t)n);
		if (v->refused || v->upgraded || !head_ends(v, text, (size_t)n))
			continue;
		v->upgraded = true;
		if (send(v->c.fd, load.stream.bytes, load.stream.frame_len, MSG_NOSIGNAL) < 0)
			die("cannot send a close frame");
	}
	if (n < 0 && errno == EAGAIN)
		return;
	if (v->refused) {
		visit_again(v);
		return;
	}
	if (!v->upgraded)
		die("the server ended a connection instead of upgrading it");
	visit_end(v);
}

/* Some more of those that come at first, of whom so many are there; whether there are others still. */
static bool more_come(unsigned *came)
{
	for (int i = 0; i < COME_AT_ONCE && *came < option.connections; i++) {
		if (load.limit > 0 && load.sent >= load.limit)
			*came = option.connections;
		else
			visit_start(&visits[(*came)++]);
	}
	return *came < option.connections;
}

static void visit_event(struct visit *v, uint32_t what)
{
	if (!v->requested && what & EPOLLOUT)
		visit_request(v);
	if (what & EPOLLIN)
		visit_read(v);
}

/* Each asks as soon as it is there, and not when all the others are. */
static double run_churn(double seconds, uint64_t limit)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();
	unsigned came = 0;

	begin(start, seconds, limit);
	do {
		bool more = more_come(&came);
		int n = epoll_wait(load.epoll, events, EVENTS, more ? 0 : PATIENCE_MS);

		if (n == 0 && !more)
			die("answers are missing");
		for (int i = 0; i < n; i++)
			visit_event(events[i].data.ptr, events[i].events);
	} while (came < option.connections || load.answers < load.sent);
	return (double)(now_ns() - start) / 1e9;
}

/* --- asking so often, whatever comes of it --- */

/* The address it comes from is no innocent's. */
enum { FLOOD_FROM = 1, FLOOD_TICK_MS = 1 };

/* So that a port may be used again at once. */
static void cut(int fd)
{
	static const struct linger now = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void flood_end(struct visit *v, bool refused)
{
	cut(v->c.fd);
	v->c.fd = -1;
	load.answers++;
	load.refused += refused;
	histogram_add(&load.latency, now_ns() - v->start);
}

static void flood_event(struct visit *v, uint32_t what)
{
	static const char REFUSED[] = "HTTP/1.1 429 ";
	char text[4096];
	ssize_t n = -1;

	if (!v->requested && what & EPOLLOUT)
		visit_request(v);
	if (what & EPOLLIN)
		n = recv(v->c.fd, text, sizeof(text), 0);
	if (n > 0)
		flood_end(v, n >= (ssize_t)sizeof(REFUSED) - 1 &&
				     memcmp(text, REFUSED, sizeof(REFUSED) - 1) == 0);
	else if (n == 0 || what & (EPOLLERR | EPOLLHUP))
		flood_end(v, false);
}

/* As many as are due, of which each that is on its way leaves a place for others when it is answered. */
static void flood_start(uint64_t due)
{
	for (unsigned i = 0; i < option.connections && load.sent < due; i++)
		if (visits[i].c.fd < 0)
			visit_start(&visits[i]);
}

static double run_flood(double seconds, uint64_t limit)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns();

	begin(start, seconds, limit);
	while (!load.stopping) {
		int n;

		flood_start((uint64_t)((double)(now_ns() - start) / 1e9 * option.rate));
		n = epoll_wait(load.epoll, events, EVENTS, FLOOD_TICK_MS);
		for (int i = 0; i < n; i++)
			flood_event(events[i].data.ptr, events[i].events);
		load.stopping = now_ns() >= load.end;
	}
	for (unsigned i = 0; i < option.connections; i++)
		if (visits[i].c.fd >= 0)
			flood_end(&visits[i], false);
	return (double)(now_ns() - start) / 1e9;
}

/* --- setting up --- */

static void fill(uint8_t *p, size_t n)
{
	static const char TEXT[] = "The quick brown fox jumps over the lazy dog. ";
	size_t at = 0;

	for (unsigned i = 0; option.json && at < n; i++) {
		char row[160];
		size_t len = (size_t)snprintf(row, sizeof(row),
					      "{\"id\":%u,\"user\":\"user-%u\",\"event\":\"price\","
					      "\"value\":%u.%02u,\"open\":%s},",
					      1000 + i * 7, i * 13 % 50, i * 31 % 900, i * 17 % 100,
					      i % 3 ? "true" : "false");

		memcpy(p + at, row, len < n - at ? len : n - at);
		at += len < n - at ? len : n - at;
	}
	for (; at < n; at++)
		p[at] = (uint8_t)TEXT[at % (sizeof(TEXT) - 1)];
}

static void make_stream(void)
{
	uint8_t *payload = malloc(option.size + 1);
	size_t copies = COPIES_BYTES / (option.size + 14);

	if (!payload)
		die("no memory");
	fill(payload, option.size);
	if (copies > option.inflight)
		copies = option.inflight;
	stream_init(&load.stream, option.opcode, payload, option.size, copies ? copies : 1,
		    option.target.compress);
	free(payload);
}

/* An echo has to bring back what was sent; a load on a server that does not is worth nothing. */
static void verify(struct client *c)
{
	const struct stream *s = &load.stream;
	const uint8_t *payload = NULL;
	uint64_t end = now_ns() + PATIENCE_MS * 1000000ull;
	int n;

	c->queued += s->frame_len;
	while ((n = client_read(c, s, &payload)) == 0 && now_ns() < end)
		if (client_flush(c, s) < 0)
			die("the server ended a connection");
	if (n != 1)
		die("the first message was not answered by one");
	if (payload && !option.target.compress && memcmp(payload, s->payload, s->payload_len) != 0)
		die("an echo differs from what was sent");
	c->blocked = false;
}

static void finish(unsigned i)
{
	struct client *c = &load.clients[i];

	if (client_finish(c, &option.target, i % option.rooms) < 0)
		exit(1);
	if (publishes(i))
		c->times = calloc(option.inflight, sizeof(*c->times));
	if (publishes(i) && !c->times)
		die("no memory");
	if (option.arrivals && client_stamp(c) < 0)
		die("the kernel does not tell when something came");
}

static void open_all(void)
{
	unsigned finished = 0;

	load.clients = calloc(option.connections, sizeof(*load.clients));
	if (!load.clients)
		die("no memory");
	for (unsigned i = 0; i < option.connections; i++) {
		if (client_begin(&load.clients[i], &option.target, i, i % option.rooms) < 0)
			exit(1);
		if (i - finished == AT_ONCE)
			finish(finished++);
	}
	while (finished < option.connections)
		finish(finished++);
	if (load.members == 1)
		verify(&load.clients[0]);
	for (unsigned i = 0; i < option.connections; i++)
		watch(&load.clients[i], false, EPOLL_CTL_ADD);
}

static void close_all(void)
{
	for (unsigned i = 0; i < option.connections; i++)
		client_close(&load.clients[i]);
	free(load.clients);
}

static void raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}

static void wait_for_word(void)
{
	if (!option.wait)
		return;
	printf("{\"ready\": true}\n");
	fflush(stdout);
	if (getchar() == EOF)
		exit(0);
}

static void watch_for_line(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };

	if (option.until_line && epoll_ctl(load.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) < 0)
		die("standard input is nothing to wait for");
}

/* Pairs of a latency and how many had it. */
static void print_buckets(const struct histogram *h)
{
	const char *between = "";

	printf(", \"buckets\": [");
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		if (h->buckets[i] == 0)
			continue;
		printf("%s[%.1f, %u]", between, (double)histogram_end(i) / 1e3, h->buckets[i]);
		between = ", ";
	}
	putchar(']');
}

static void print_histogram(const char *name, const struct histogram *h)
{
	printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f", name,
	       (double)histogram_at(h, 0.5) / 1e3, (double)histogram_at(h, 0.99) / 1e3,
	       (double)histogram_at(h, 0.999) / 1e3, (double)h->max / 1e3);
	if (option.buckets)
		print_buckets(h);
	putchar('}');
}

static void print_result(double seconds, double cpu)
{
	printf("{\"mode\": \"%s\", \"connections\": %u, \"size\": %zu, \"inflight\": %u, "
	       "\"messages\": %llu, \"deliveries\": %llu, \"refused\": %llu, \"seconds\": %.6f, "
	       "\"client_cpu\": %.6f",
	       option.mode, option.connections, option.size, option.inflight,
	       (unsigned long long)load.sent, (unsigned long long)load.answers,
	       (unsigned long long)load.refused, seconds, cpu);
	print_histogram("latency_us", &load.latency);
	if (option.arrivals)
		print_histogram("served_us", &load.served);
	puts("}");
	fflush(stdout);
}

static void measure(double (*run)(double seconds, uint64_t limit))
{
	double cpu, seconds;

	if (!option.until_line)
		run(WARM_UP_MS / 1e3, option.messages > 0 ? option.connections : 0);
	wait_for_word();
	watch_for_line();
	cpu = cpu_seconds();
	seconds = run(option.until_line ? FOREVER : option.seconds, option.messages);
	print_result(seconds, cpu_seconds() - cpu);
	/* Closing is no part of what is measured. */
	if (option.wait && getchar() == EOF)
		return;
}

static void mode_messages(void)
{
	load.members = option.connections / option.rooms;
	make_stream();
	open_all();
	measure(run_messages);
	close_all();
}

static void mode_echo(void)
{
	option.rooms = option.connections;
	option.publishers = 1;
	mode_messages();
}

static void mode_room(void)
{
	option.connections -= option.connections % option.rooms;
	if (option.publishers == 0 || option.publishers > option.connections / option.rooms)
		option.publishers = option.connections / option.rooms;
	if (option.rate > 0 && option.publishers > 1)
		die("with --rate a room can have one publisher");
	mode_messages();
}

/* Holds them until standard input ends. */
static void mode_idle(void)
{
	option.rooms = option.connections;
	option.publishers = 0;
	make_stream();
	open_all();
	printf("{\"mode\": \"idle\", \"connections\": %u}\n", option.connections);
	fflush(stdout);
	while (getchar() != EOF)
		;
	close_all();
}

static void mode_churn(void)
{
	static const uint8_t NORMAL[] = { 1000 >> 8, 1000 & 0xff };

	if (option.rate > 0)
		die("--rate is for echo and room");
	/* Ports rest for a minute after use. */
	if (option.target.addresses == 0)
		option.target.addresses = CHURN_ADDRESSES;
	stream_init(&load.stream, CLOSE_FRAME, NORMAL, sizeof(NORMAL), 1, false);
	visits = calloc(option.connections, sizeof(*visits));
	if (!visits)
		die("no memory");
	measure(run_churn);
	free(visits);
}

static void mode_flood(void)
{
	if (option.rate <= 0 || option.until_line)
		die("a flood has a --rate, and lasts for --seconds");
	option.target.addresses = 1;
	option.target.first = FLOOD_FROM;
	visits = calloc(option.connections, sizeof(*visits));
	if (!visits)
		die("no memory");
	for (unsigned i = 0; i < option.connections; i++)
		visits[i].c.fd = -1;
	measure(run_flood);
	free(visits);
}

static const struct mode {
	const char *name;
	void (*run)(void);
} MODES[] = {
	{ "echo", mode_echo },   { "room", mode_room },   { "idle", mode_idle },
	{ "churn", mode_churn }, { "flood", mode_flood },
};

static const struct option OPTIONS[] = {
	{ "port", required_argument, NULL, 'p' },
	{ "path", required_argument, NULL, 'P' },
	{ "connections", required_argument, NULL, 'c' },
	{ "size", required_argument, NULL, 's' },
	{ "inflight", required_argument, NULL, 'i' },
	{ "seconds", required_argument, NULL, 't' },
	{ "messages", required_argument, NULL, 'm' },
	{ "rate", required_argument, NULL, 'r' },
	{ "rooms", required_argument, NULL, 'R' },
	{ "publishers", required_argument, NULL, 'u' },
	{ "addresses", required_argument, NULL, 'a' },
	{ "greetings", required_argument, NULL, 'g' },
	{ "opcode", required_argument, NULL, 'o' },
	{ "tls", no_argument, NULL, 'T' },
	{ "compress", no_argument, NULL, 'z' },
	{ "takeover", no_argument, NULL, 'k' },
	{ "json", no_argument, NULL, 'j' },
	{ "wait", no_argument, NULL, 'w' },
	{ "until-line", no_argument, NULL, 'l' },
	{ "arrivals", no_argument, NULL, 'A' },
	{ "buckets", no_argument, NULL, 'B' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const char USAGE[] =
	"usage: load echo|room|idle|churn|flood --port N [--path /echo] [OPTION...]\n"
	"  --connections N  (64)        --size BYTES   (32)\n"
	"  --inflight N     (1) messages of each publisher that are not answered yet\n"
	"  --seconds N      (1) how long; or --messages N: how many\n"
	"  --rate N         messages a second, whatever the server does; --inflight limits how\n"
	"                   many of a connection may wait; of a flood, attempts a second from one\n"
	"                   address, of which as many are under way as there are connections\n"
	"  --rooms N        (1) \"%d\" in the path stands for the number of the room\n"
	"  --publishers N   (1) of each room; 0: all\n"
	"  --addresses N    how many addresses to come from (as many as are needed)\n"
	"  --greetings N    (0) messages of the server to each who comes, that are no answers\n"
	"  --opcode N       (1, text) 2: binary, 9: ping\n"
	"  --tls --compress --takeover (compressed, the server may keep its window)\n"
	"  --json           a payload that looks like JSON\n"
	"  --wait           for a line on standard input before the start and the end\n"
	"  --until-line     the same, and with --rate it runs until the second line comes\n"
	"  --arrivals       also tells when the kernel had the answers; not with --tls\n"
	"  --buckets        tells of all latencies, too: how many there were of each\n";

static SSL_CTX *make_tls(void)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());

	if (!tls)
		die("no TLS");
	SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	return tls;
}

static void set_option(int letter, char *value)
{
	switch (letter) {
	case 'p':
		option.target.port = atoi(value);
		break;
	case 'P':
		option.target.path = value;
		break;
	case 'c':
		option.connections = (unsigned)atoi(value);
		break;
	case 's':
		option.size = (size_t)atol(value);
		break;
	case 'i':
		option.inflight = (unsigned)atoi(value);
		break;
	case 't':
		option.seconds = atof(value);
		break;
	case 'm':
		option.messages = (uint64_t)atoll(value);
		break;
	case 'r':
		option.rate = atof(value);
		break;
	case 'R':
		option.rooms = (unsigned)atoi(value);
		break;
	case 'u':
		option.publishers = (unsigned)atoi(value);
		break;
	case 'a':
		option.target.addresses = (unsigned)atoi(value);
		break;
	case 'g':
		option.target.greetings = (unsigned)atoi(value);
		break;
	case 'o':
		option.opcode = (uint8_t)atoi(value);
		break;
	case 'T':
		option.target.tls = make_tls();
		break;
	case 'z':
		option.target.compress = true;
		break;
	case 'j':
		option.json = true;
		break;
	case 'k':
		option.target.compress = option.target.takeover = true;
		break;
	case 'A':
		option.arrivals = true;
		break;
	case 'B':
		option.buckets = true;
		break;
	case 'l':
		option.wait = option.until_line = true;
		break;
	case 'w':
		option.wait = true;
		break;
	case 'h':
		fputs(USAGE, stdout);
		exit(0);
	default:
		fputs(USAGE, stderr);
		exit(2);
	}
}

static const struct mode *read_arguments(int argc, char **argv)
{
	int letter;

	option.rooms = option.publishers = 1;
	while ((letter = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1)
		set_option(letter, optarg);
	option.mode = optind < argc ? argv[optind] : "";
	if (option.connections > PORTS_OF_AN_ADDRESS && option.target.addresses == 0)
		option.target.addresses = option.connections / PORTS_OF_AN_ADDRESS + 1;
	for (size_t i = 0; i < sizeof(MODES) / sizeof(MODES[0]); i++)
		if (strcmp(option.mode, MODES[i].name) == 0)
			return &MODES[i];
	set_option('?', NULL);
	return NULL;
}

int main(int argc, char **argv)
{
	const struct mode *m = read_arguments(argc, argv);

	if (option.target.port <= 0 || option.connections == 0 || option.inflight == 0 ||
	    option.rooms == 0 || option.connections < option.rooms)
		set_option('?', NULL);
	raise_files();
	signal(SIGPIPE, SIG_IGN);
	load.epoll = epoll_create1(EPOLL_CLOEXEC);
	m->run();
	return 0;
}
