/*
 * entry.c - what the log is told of a connection.
 *
 * The text of an entry says by itself who, where and why, for those who read the journal
 * without its fields. A line about a refusal is of level info whatever it is about: scanners
 * cause them all day.
 *
 * Nobody outside decides how fast the log grows. Each kind of entry has a bucket in the worker,
 * so that a flood of one does not hide the others, and what a behaviour logs of one connection
 * has one in the connection before that. What is left out is counted, and told as one line: how
 * much, in what time, and from about how many addresses, for one client that runs wild and an attack
 * of many are not the same to an operator.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bucket.h"
#include "base/distinct.h"
#include "base/log.h"
#include "behaviour.h"
#include "config/config.h"
#include "net/tls.h"
#include "session/conn_internal.h"
#include "session/session.h"

/* PATH_SHOWN: bytes of a path that an entry has; a peer chooses them. */
enum { MESSAGE_MAX = 2048, PATH_SHOWN = 200 };

enum kind { REFUSED, OPENED_OR_CLOSED, AT_FAULT, BEHAVIOURS, MOVES, IMPOSSIBLE, KINDS };

/*
 * REFUSED is what scanners cause and nobody misses. IMPOSSIBLE there is none, but a fault of ours
 * would be one that a client can repeat. The others let pass what happens when ten thousand clients
 * come back at once.
 */
static struct limit {
	const struct bucket_size size;
	const int level;
	const char *const what;
	struct bucket bucket;
	uint32_t since; /* when the first of those that did not pass came, */
	struct distinct from; /* and the addresses of all of them */
} limits[KINDS] = {
	[REFUSED] = { { 200, 20 }, LOG_INFO, "refusals and failed handshakes" },
	[OPENED_OR_CLOSED] = { { 10000, 1 }, LOG_INFO, "connections that opened or closed" },
	[AT_FAULT] = { { 10000, 10 },
		       LOG_NOTICE,
		       "connections that closed by a fault or miss messages" },
	[BEHAVIOURS] = { { 10000, 1 }, LOG_INFO, "lines of behaviours" },
	[MOVES] = { { 10000, 1 }, LOG_DEBUG, "changes of connections' states" },
	[IMPOSSIBLE] = { { 20, 1000 }, LOG_ERR, "impossible changes of connections' states" },
};

/* What a behaviour logs of one connection. */
static const struct bucket_size connection_size = { 100, 50 };

static uint32_t now(void)
{
	return session.now * SESSION_TICK;
}

/* ", from about 37 addresses"; nothing where nobody has one, as on a unix socket. */
static const char *write_from(char *out, size_t size, unsigned addresses)
{
	if (addresses == 0)
		*out = '\0';
	else if (addresses == 1)
		snprintf(out, size, ", from one address");
	else
		snprintf(out, size, ", from %s %u addresses",
			 addresses < DISTINCT_MOST ? "about" : "more than", addresses);
	return out;
}

static void tell_missed(struct limit *l, uint32_t missed)
{
	char from[48];
	uint32_t ms = now() - l->since;

	if (missed == 0)
		return;
	log_at(l->level, LOG_OF(LOG_SUPPRESSED), "%u more suppressed in %u.%u s%s: %s", missed,
	       ms / 1000, ms % 1000 / 100, write_from(from, sizeof(from), distinct_count(&l->from)),
	       l->what);
	memset(&l->from, 0, sizeof(l->from));
}

/* One that did not pass: it is counted already. */
static void note_missed(struct limit *l, const struct conn *c)
{
	if (l->bucket.missed == 1)
		l->since = now();
	if (c->peer.family != AF_UNIX)
		distinct_add(&l->from, net_peer_network(&c->peer));
}

/* Whether one more entry of the kind is to be written, about c. */
static bool passes(enum kind kind, const struct conn *c)
{
	struct limit *l = &limits[kind];

	if (!log_enabled(l->level))
		return false;
	tell_missed(l, bucket_missed(&l->bucket, &l->size, now()));
	if (bucket_take(&l->bucket, &l->size, now()))
		return true;
	note_missed(l, c);
	return false;
}

void entry_tick(void)
{
	for (int i = 0; i < KINDS; i++)
		tell_missed(&limits[i], bucket_missed(&limits[i].bucket, &limits[i].size, now()));
}

void entry_fini(void)
{
	for (int i = 0; i < KINDS; i++)
		tell_missed(&limits[i], bucket_rest(&limits[i].bucket));
}

/* Where the addresses of an entry are written. */
struct texts {
	char peer[NET_PEER_TEXT_MAX], proxy[NET_PEER_TEXT_MAX];
};

static struct log_fields fields(const struct conn *c, enum log_event event, struct texts *texts)
{
	struct log_fields f = { .event = event,
				.conn = c->id,
				.peer = net_peer_format(&c->peer, texts->peer),
				.endpoint = c->endpoint ? c->endpoint->path : NULL,
				.room = conn_room(c),
				.user = conn_user(c) };

	if (c->extra)
		f.client = c->extra->client;
	if (c->extra && c->extra->proxy.family != 0)
		f.proxy = net_peer_format(&c->extra->proxy, texts->proxy);
	return f;
}

void entry_opened(const struct conn *c)
{
	struct texts texts;
	char tls[96] = "";
	struct log_fields f;

	if (!passes(OPENED_OR_CLOSED, c))
		return;
	f = fields(c, LOG_EVENT_CONN_OPEN, &texts);
	tls_describe(&c->link.transport, tls, sizeof(tls));
	log_info(&f, "opened %s %s%s%s", f.endpoint, f.peer, *tls ? " with " : "", tls);
}

/* Milliseconds matter in a short life only. */
static void write_duration(char *out, size_t size, uint32_t ms)
{
	if (ms < 1000)
		snprintf(out, size, "0.%03u", ms);
	else
		snprintf(out, size, "%u.%u", ms / 1000, ms % 1000 / 100);
}

static size_t write_number(char *out, size_t size, uint64_t number, const char *what)
{
	if (number == 0)
		return 0;
	return (size_t)snprintf(out, size, "; %llu messages %s", (unsigned long long)number, what);
}

/* What not every connection has: "; 7 messages dropped; round trip 0.125 ms". */
static void write_rest(char *out, size_t size, const struct conn *c)
{
	size_t n = 0;

	*out = '\0';
	if (c->extra) {
		n = write_number(out, size, c->extra->dropped, "dropped");
		n += write_number(out + n, size - n, c->extra->unheard, "not taken");
	}
	if (c->ping_state == PING_ANSWERED)
		snprintf(out + n, size - n, "; round trip %u.%03u ms", c->ping / 1000,
			 c->ping % 1000);
}

void entry_closed(const struct conn *c)
{
	struct texts texts;
	char duration[24], rest[160];
	enum kind kind = reason_is_fault(c->reason) ? AT_FAULT : OPENED_OR_CLOSED;
	struct log_fields f;

	if (!passes(kind, c))
		return;
	f = fields(c, LOG_EVENT_CONN_CLOSE, &texts);
	f.code = conn_close_code(c);
	f.reason = c->reason;
	write_duration(duration, sizeof(duration), (uint32_t)session_clock() - c->opened);
	write_rest(rest, sizeof(rest), c);
	log_at(limits[kind].level, &f,
	       "closed %s %s: %s (%d) after %s s%s; %llu messages, %llu bytes received; "
	       "%llu messages, %llu bytes sent%s",
	       f.endpoint, f.peer, reason_word(f.reason), f.code, duration,
	       session.cutting ? ", cut" : "", (unsigned long long)c->messages_in,
	       (unsigned long long)c->bytes_in, (unsigned long long)c->link.messages,
	       (unsigned long long)c->link.bytes, rest);
}

/* One word of an entry's text: a space in it would be taken for the end. */
static const char *path_word(const char *path, char *out, size_t size)
{
	size_t n = 0;

	for (; *path && n + sizeof("\\x20...") <= size; path++)
		if (*path == ' ')
			n += (size_t)snprintf(out + n, size - n, "\\x20");
		else
			out[n++] = *path;
	snprintf(out + n, size - n, "%s", *path ? "..." : "");
	return out;
}

void entry_refused(const struct conn *c, enum reason reason, int status, const char *path,
		   const char *why)
{
	struct texts texts;
	struct log_fields f;
	char word[PATH_SHOWN], with[16] = "";

	if (!passes(REFUSED, c))
		return;
	f = fields(c, LOG_EVENT_CONN_REFUSED, &texts);
	f.code = status;
	f.reason = reason;
	if (!path)
		path = f.endpoint;
	if (status != 0)
		snprintf(with, sizeof(with), " with %d", status);
	log_info(&f, "refused %s%s%s%s: %s", f.peer, path ? " " : "",
		 path ? path_word(path, word, sizeof(word)) : "", with,
		 why ? why : reason_text(reason));
}

void entry_dropping(const struct conn *c)
{
	struct texts texts;
	struct log_fields f;

	if (!passes(AT_FAULT, c))
		return;
	f = fields(c, LOG_EVENT_CONN_DROPPING, &texts);
	f.reason = REASON_SLOW_CONSUMER;
	log_notice(
		&f,
		"dropping messages to %s %s: it reads slower than it is sent to, and max_pending "
		"(%lld bytes) is reached%s%s",
		f.endpoint, f.peer, (long long)c->endpoint->limits.max_pending,
		c->endpoint->limits.slow_consumer < SLOW_CONSUMER_DROP_OLDEST
			? ""
			: ", or slow_consumer or max_age has it so",
		c->endpoint->limits.access_log ? "; the entry at its end has the number" : "");
}

void entry_unheard(const struct conn *c, enum reason reason)
{
	struct texts texts;
	struct log_fields f;

	if (!passes(OPENED_OR_CLOSED, c))
		return;
	f = fields(c, LOG_EVENT_CONN_UNHEARD, &texts);
	f.reason = reason;
	log_info(&f, "not taking messages of %s %s: %s", f.endpoint, f.peer, reason_text(reason));
}

void entry_move(const struct conn *c, const char *from, const char *to)
{
	const struct log_fields f = { .event = LOG_EVENT_CONN_STATE,
				      .conn = c->id,
				      .reason = c->reason };

	if (passes(MOVES, c))
		log_debug(&f, "%s -> %s", from, to);
}

void entry_impossible(const struct conn *c, const char *from, const char *to)
{
	const struct log_fields f = { .event = LOG_EVENT_CONN_STATE, .conn = c->id };

	if (passes(IMPOSSIBLE, c))
		log_err(&f, "a connection cannot go from %s to %s; please report this", from, to);
}

/* What c's behaviour had to say and was kept from: once its bucket allows, or at c's end. */
static void tell_of_behaviour(const struct conn *c, uint32_t missed)
{
	struct texts texts;
	struct log_fields f;

	if (missed == 0)
		return;
	if (!passes(BEHAVIOURS, c)) {
		/* One of them it has counted, where it counts at all. */
		bucket_miss(&limits[BEHAVIOURS].bucket, missed - 1);
		return;
	}
	f = fields(c, LOG_EVENT_LOG_SUPPRESSED, &texts);
	log_info(&f, "%u more suppressed: lines of %s %s", missed, f.endpoint, f.peer);
}

void entry_look_again(struct conn *c)
{
	tell_of_behaviour(c, bucket_missed(&c->extra->lines, &connection_size, now()));
}

void entry_last(struct conn *c)
{
	if (c->extra)
		tell_of_behaviour(c, bucket_rest(&c->extra->lines));
}

/* Without memory for a bucket of its own that of the worker must do; a last line has no flood. */
static bool connection_passes(struct conn *c)
{
	struct conn_extra *extra = c->state_now == CONN_DEAD ? NULL : conn_need_extra(c);

	if (!extra)
		return true;
	entry_look_again(c);
	if (bucket_take(&extra->lines, &connection_size, now()))
		return true;
	if (extra->lines.missed == 1)
		timer_update(c);
	return false;
}

void conn_log(struct conn *c, const char *fmt, ...)
{
	struct texts texts;
	char text[MESSAGE_MAX];
	struct log_fields f;
	va_list ap;

	if (!log_enabled(LOG_INFO) || !connection_passes(c) || !passes(BEHAVIOURS, c))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	f = fields(c, LOG_EVENT_BEHAVIOUR, &texts);
	log_info(&f, "%s", text);
}
