/*
 * log.c - one entry per decision, see log.h.
 *
 * The journal is spoken to in its native datagram protocol, by hand, because a
 * full journal must not block: what cannot be sent is dropped and counted. A
 * pipe or terminal on stderr is opened a second time, so that it can be
 * non-blocking for us alone.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/printable.h"

enum { MESSAGE_MAX = 2048, ENTRY_MAX = 8192, LINE_MAX_BYTES = 4096 };

static const char JOURNAL[] = "/run/systemd/journal/socket";

int log_level = LOG_INFO;

static struct {
	const char *identifier;
	int slot;
	bool admin;
	uint64_t generation;
	int journal; /* -1: not used */
	int out; /* descriptor for plain lines */
	bool socket; /* out is one */
	bool bare; /* neither journal nor terminal: nobody shows when a line came */
	enum log_time time;
	uint64_t dropped, told, taken;
} sink = { .identifier = "ignyxd", .slot = -1, .journal = -1, .out = STDERR_FILENO };

static const struct {
	const char *word, *id;
} events[LOG_EVENT_COUNT] = {
#define LOG_EVENT(name, word, id) [LOG_EVENT_##name] = { word, id },
#include "base/log_event.def"
#undef LOG_EVENT
};

const char *log_event_word(enum log_event event)
{
	return events[event].word;
}

static const char *level_name(int level)
{
	return level <= LOG_ERR       ? "error"
	       : level == LOG_WARNING ? "warning"
	       : level == LOG_NOTICE  ? "notice"
	       : level == LOG_INFO    ? "info"
				      : "debug";
}

/* A bounded text under construction; what does not fit is cut. */
struct text {
	char *p;
	size_t len, size;
};

static void put_bytes(struct text *t, const void *p, size_t n)
{
	if (n > t->size - t->len)
		n = t->size - t->len;
	memcpy(t->p + t->len, p, n);
	t->len += n;
}

static void put(struct text *t, const char *s)
{
	put_bytes(t, s, strlen(s));
}

/* What a peer or a file said cannot act on a terminal or forge a line. */
static void put_escaped(struct text *t, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	while (*p) {
		size_t n = printable(p);
		char hex[5];

		if ((n ? n : sizeof(hex) - 1) > t->size - t->len)
			return;
		if (n == 0) {
			snprintf(hex, sizeof(hex), "\\x%02x", *p++);
			put(t, hex);
			continue;
		}
		put_bytes(t, p, n);
		p += n;
	}
}

/* Half of the entry at most: escapes make a message long, and a peer must not push the fields out. */
static void put_message(struct text *t, const char *message)
{
	size_t whole = t->size;

	t->size = whole / 2;
	put_escaped(t, message);
	t->size = whole;
}

static void put_number(struct text *t, const char *name, long long n, const char *end)
{
	char s[64];

	snprintf(s, sizeof(s), "%s%lld%s", name, n, end);
	put(t, s);
}

static void put_word(struct text *t, const char *name, const char *value, const char *end)
{
	if (!value || !*value)
		return;
	put(t, name);
	put_escaped(t, value);
	put(t, end);
}

static void put_conn(struct text *t, const char *name, uint64_t conn, const char *end)
{
	char s[32];

	if (conn == 0)
		return;
	snprintf(s, sizeof(s), "%llx", (unsigned long long)conn);
	put_word(t, name, s, end);
}

static void journal_entry(struct text *t, int level, const struct log_fields *f,
			  const char *message)
{
	put(t, "MESSAGE=");
	put_message(t, message);
	put(t, "\n");
	put_number(t, "PRIORITY=", level, "\n");
	put_word(t, "SYSLOG_IDENTIFIER=", sink.identifier, "\n");
	put_word(t, "MESSAGE_ID=", events[f->event].id, "\n");
	put_word(t, "IGNYX_EVENT=", events[f->event].word, "\n");
	put_conn(t, "IGNYX_CONN=", f->conn, "\n");
	put_word(t, "IGNYX_PEER=", f->peer, "\n");
	put_word(t, "IGNYX_ENDPOINT=", f->endpoint, "\n");
	put_word(t, "IGNYX_ROOM=", f->room, "\n");
	put_word(t, "IGNYX_PROXY=", f->proxy, "\n");
	put_word(t, "IGNYX_CLIENT=", f->client, "\n");
	put_word(t, "IGNYX_USER=", f->user, "\n");
	if (f->code)
		put_number(t, "IGNYX_CODE=", f->code, "\n");
	put_word(t, "IGNYX_REASON=", reason_word(f->reason), "\n");
	if (sink.slot >= 0)
		put_number(t, "IGNYX_WORKER=", sink.slot, "\n");
	put_number(t, "IGNYX_GENERATION=", (long long)sink.generation, "\n");
}

/* RFC 3339, in UTC: lines of several machines can be sorted. */
static void put_time(struct text *t)
{
	char s[48];
	struct timespec now;
	struct tm tm;
	size_t n;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!gmtime_r(&now.tv_sec, &tm))
		return;
	n = strftime(s, sizeof(s), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(s + n, sizeof(s) - n, ".%03ldZ ", now.tv_nsec / 1000000);
	put(t, s);
}

static void plain_line(struct text *t, int level, const struct log_fields *f, const char *message)
{
	if (sink.time == LOG_TIME_AUTO ? sink.bare : sink.time == LOG_TIME_ALWAYS)
		put_time(t);
	put(t, sink.identifier);
	if (sink.slot >= 0)
		put_number(t, "[worker ", sink.slot, "]: ");
	else
		put(t, sink.admin ? "[admin]: " : "[master]: ");
	put(t, level_name(level));
	put(t, ": ");
	put_message(t, message);
	put_word(t, " event=", events[f->event].word, "");
	put_conn(t, " conn=", f->conn, "");
	put_word(t, " peer=", f->peer, "");
	put_word(t, " endpoint=", f->endpoint, "");
	/* Most rooms have the name of their endpoint; once is enough for a reader. */
	if (f->room && (!f->endpoint || strcmp(f->room, f->endpoint) != 0))
		put_word(t, " room=", f->room, "");
	put_word(t, " proxy=", f->proxy, "");
	put_word(t, " client=", f->client, "");
	put_word(t, " user=", f->user, "");
	if (f->code)
		put_number(t, " code=", f->code, "");
	put_word(t, " reason=", reason_word(f->reason), "");
	t->size++;
	put(t, "\n");
}

/* Journald restarts now and then: its socket is looked up for every entry. */
static bool send_journal(const struct text *t)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	memcpy(to.sun_path, JOURNAL, sizeof(JOURNAL));
	return sendto(sink.journal, t->p, t->len, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&to, sizeof(to)) >= 0;
}

static bool write_line(const struct text *t)
{
	if (sink.socket)
		return send(sink.out, t->p, t->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	return write(sink.out, t->p, t->len) >= 0;
}

static bool emit(int level, const struct log_fields *f, const char *message)
{
	char bytes[ENTRY_MAX];
	struct text t = { .p = bytes };

	if (sink.journal >= 0) {
		t.size = sizeof(bytes);
		journal_entry(&t, level, f, message);
		return send_journal(&t);
	}
	t.size = LINE_MAX_BYTES - 1;
	plain_line(&t, level, f, message);
	return write_line(&t);
}

/* Once there is room again, how much is missing. */
static void tell_dropped(void)
{
	const struct log_fields f = { .event = LOG_EVENT_LOG_DROPPED };
	uint64_t missing = sink.dropped - sink.told;
	char message[96];

	if (missing == 0)
		return;
	snprintf(message, sizeof(message), "%llu log entries were dropped: the log was not read",
		 (unsigned long long)missing);
	if (emit(LOG_WARNING, &f, message))
		sink.told = sink.dropped;
}

void log_write(int level, const struct log_fields *f, const char *fmt, ...)
{
	static const struct log_fields none;
	int saved = errno;
	char message[MESSAGE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	/* One that just fits may have been cut by who made it. */
	if (len >= MESSAGE_MAX - 1)
		message[bytes_whole(message, MESSAGE_MAX - 1)] = '\0';
	tell_dropped();
	if (!emit(level, f ? f : &none, message))
		sink.dropped++;
	errno = saved;
}

uint64_t log_take_dropped(void)
{
	uint64_t more = sink.dropped - sink.taken;

	sink.taken = sink.dropped;
	return more;
}

void log_forked(void)
{
	sink.told = sink.taken = sink.dropped;
}

static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

static void open_stderr(void)
{
	struct stat st;
	int fd;

	if (fstat(STDERR_FILENO, &st) < 0)
		return;
	sink.socket = S_ISSOCK(st.st_mode);
	if (!S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
		return;
	fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		sink.out = fd;
}

void log_init(const char *identifier)
{
	bool journal = stderr_is_journal();

	sink.identifier = identifier;
	sink.bare = !journal && !isatty(STDERR_FILENO);
	if (journal)
		sink.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sink.journal < 0)
		open_stderr();
}

size_t log_descriptors(int out[LOG_DESCRIPTORS])
{
	out[0] = sink.journal;
	out[1] = sink.out;
	return LOG_DESCRIPTORS;
}

void log_set_level(int level)
{
	log_level = level;
}

int log_level_now(void)
{
	return log_level;
}

void log_set_time(enum log_time when)
{
	sink.time = when;
}

void log_set_worker(int slot)
{
	sink.slot = slot;
}

void log_set_admin(void)
{
	sink.admin = true;
}

void log_set_generation(uint64_t generation)
{
	sink.generation = generation;
}
