/*
 * noting.c - see noting.h.
 */
#include "process/noting.h"

#include "base/chronicle.h"
#include "base/clock.h"
#include "base/log.h"
#include "process/shared.h"

static void note(struct chronicle_entry *e, enum log_event event, const char *text)
{
	e->time = clock_wall_ms();
	e->event = (uint8_t)event;
	chronicle_put_texts(e, text, NULL);
	chronicle_write(shared.chronicle, CHRONICLE_DAEMON, e);
}

void noting_reload(bool applied, const char *summary)
{
	struct chronicle_entry e = { 0 };

	note(&e, applied ? LOG_EVENT_RELOADED : LOG_EVENT_RELOAD_REFUSED, summary);
}

void noting_worker_death(pid_t pid, const char *how, unsigned lost, uint64_t next_conn)
{
	struct chronicle_entry e = { .conn = next_conn, .lost = lost, .pid = pid };

	note(&e, LOG_EVENT_WORKER_DIED, how);
}

void noting_admin_death(pid_t pid, const char *how)
{
	struct chronicle_entry e = { .pid = pid };

	note(&e, LOG_EVENT_ADMIN_DIED, how);
}
