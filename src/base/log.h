/*
 * log.h - one entry per decision, with fields.
 *
 * In the journal an entry is structured (MESSAGE, PRIORITY, MESSAGE_ID and the
 * IGNYX_ fields); elsewhere it is a plain line on stderr, with the time in front where nobody
 * else adds it. A stalled reader
 * never blocks the process: what cannot be written at once is dropped and
 * counted, and the count is logged when there is room again. Control
 * characters and bytes that are not UTF-8 appear as \xNN.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR, _WARNING, _NOTICE, _INFO, _DEBUG are the levels */

#include "base/reason.h"

/* What happened, for IGNYX_EVENT and MESSAGE_ID; the table is log_event.def. */
enum log_event {
#define LOG_EVENT(name, word, id) LOG_EVENT_##name,
#include "base/log_event.def"
#undef LOG_EVENT
	LOG_EVENT_COUNT
};

/* The word of an event, "" for LOG_EVENT_NONE. */
const char *log_event_word(enum log_event event);

/* The fields of one entry; zero means absent. Strings are lent for the call. */
struct log_fields {
	enum log_event event;
	enum reason reason;
	uint64_t conn; /* connection id, unique in the life of the daemon */
	int code; /* WebSocket close code or HTTP status */
	const char *peer;
	const char *endpoint;
	const char *room;
	const char *client; /* of its verified certificate */
	const char *user; /* by its token */
	const char *proxy; /* address of the proxy that speaks for the peer */
};

/*
 * Chooses journal or stderr (the journal if stderr is connected to it, as
 * $JOURNAL_STREAM tells) and opens what is needed, so that it works after a
 * change of user. Call it once, first thing in main.
 */
void log_init(const char *identifier);

/* The descriptors that it writes to, for who closes all others; returns their number. */
enum { LOG_DESCRIPTORS = 2 };
size_t log_descriptors(int out[LOG_DESCRIPTORS]);

/* Entries below this level (LOG_ERR .. LOG_DEBUG) are skipped. Default: LOG_INFO. */
void log_set_level(int level);
int log_level_now(void);

/* Whether a plain line begins with the time; AUTO: if stderr is neither journal nor terminal. */
enum log_time { LOG_TIME_AUTO, LOG_TIME_ALWAYS, LOG_TIME_NEVER };
void log_set_time(enum log_time when);

/*
 * Which worker this process is (-1: the master), that it is the one which answers administrators, and
 * which configuration it runs.
 */
void log_set_worker(int slot);
void log_set_admin(void);
void log_set_generation(uint64_t generation);

extern int log_level;

static inline bool log_enabled(int level)
{
	return level <= log_level;
}

/* Writes one entry; f may be NULL. Use the macros below, which check the level first. */
void log_write(int level, const struct log_fields *f, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_at(level, fields, ...)                                                                 \
	do {                                                                                       \
		if (log_enabled(level))                                                            \
			log_write(level, fields, __VA_ARGS__);                                     \
	} while (0)
#define log_err(fields, ...) log_at(LOG_ERR, fields, __VA_ARGS__)
#define log_warning(fields, ...) log_at(LOG_WARNING, fields, __VA_ARGS__)
#define log_notice(fields, ...) log_at(LOG_NOTICE, fields, __VA_ARGS__)
#define log_info(fields, ...) log_at(LOG_INFO, fields, __VA_ARGS__)
#define log_debug(fields, ...) log_at(LOG_DEBUG, fields, __VA_ARGS__)

/* How many entries the log did not take since the last call. */
uint64_t log_take_dropped(void);

/* The child of a fork: what its parent could not write is its parent's to tell. */
void log_forked(void);

/* Start, stop, reload, the end of a process: whatever log_level is, who looks for them finds them. */
#define log_always(level, fields, ...) log_write(level, fields, __VA_ARGS__)

/* The fields of an entry that has no others: log_always(LOG_INFO, LOG_OF(RELOADED), "..."). */
#define LOG_OF(name) (&(struct log_fields){ .event = LOG_EVENT_##name })

#endif
