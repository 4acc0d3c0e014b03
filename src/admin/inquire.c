/*
 * inquire.c - see inquire.h.
 */
#include "admin/inquire.h"

#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "base/slots.h"
#include "proto/json_memory.h"

/* PATIENCE: seconds that a worker may take. */
enum { PATIENCE = 2, PENDING_MAX = 1024 };

struct pending {
	TAILQ_ENTRY(pending) entry;
	uint64_t number;
	struct event *deadline;
	ask_told_fn *told;
	void *arg;
};

static struct {
	struct event_base *base;
	const int *sockets;
	struct event *readable[SLOTS_WORKERS];
	TAILQ_HEAD(, pending) pending;
	size_t count;
	uint64_t number; /* of the last one */
} asked;

static void forget(struct pending *p)
{
	TAILQ_REMOVE(&asked.pending, p, entry);
	asked.count--;
	event_free(p->deadline);
	free(p);
}

static void tell(struct pending *p, const struct ask_answer *a, json_t *list)
{
	ask_told_fn *told = p->told;
	void *arg = p->arg;

	forget(p);
	told(a, list, arg);
}

static void deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	tell(arg, NULL, NULL);
}

static struct pending *find(uint64_t number)
{
	struct pending *p;

	TAILQ_FOREACH (p, &asked.pending, entry) {
		if (p->number == number)
			return p;
	}
	return NULL;
}

/* What no worker can have said is as if it had said nothing. */
static void read_answer(const char *bytes, size_t len)
{
	struct ask_answer a;
	struct pending *p;
	json_t *list;

	if (len < sizeof(a))
		return;
	memcpy(&a, bytes, sizeof(a));
	p = find(a.number);
	if (!p)
		return;
	list = json_memory_read(bytes + sizeof(a), len - sizeof(a), 0, NULL);
	if (json_is_array(list)) {
		tell(p, &a, list);
		return;
	}
	json_decref(list);
	tell(p, NULL, NULL);
}

static void readable_cb(evutil_socket_t fd, short what, void *arg)
{
	static char bytes[ASK_BYTES_MAX];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	(void)what;
	(void)arg;
	if (n > 0)
		read_answer(bytes, (size_t)n);
}

int ask_begin(struct event_base *base, const int *sockets)
{
	asked.base = base;
	asked.sockets = sockets;
	TAILQ_INIT(&asked.pending);
	/* Answers to who was here before are not to be taken for ours. */
	if (getrandom(&asked.number, sizeof(asked.number), 0) != (ssize_t)sizeof(asked.number))
		return -1;
	for (int i = 0; i < SLOTS_WORKERS; i++) {
		asked.readable[i] =
			event_new(base, sockets[i], EV_READ | EV_PERSIST, readable_cb, NULL);
		if (!asked.readable[i] || event_add(asked.readable[i], NULL) < 0)
			return -1;
	}
	return 0;
}

void ask_end(void)
{
	while (!TAILQ_EMPTY(&asked.pending))
		forget(TAILQ_FIRST(&asked.pending));
	for (int i = 0; i < SLOTS_WORKERS; i++)
		if (asked.readable[i])
			event_free(asked.readable[i]);
}

static int send_question(int slot, const struct survey_question *q)
{
	struct ask_question bytes;

	memset(&bytes, 0, sizeof(bytes));
	bytes.number = ++asked.number;
	bytes.survey = *q;
	return send(asked.sockets[slot], &bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) < 0
		       ? -1
		       : 0;
}

int ask(int slot, const struct survey_question *q, ask_told_fn *told, void *arg)
{
	static const struct timeval patience = { .tv_sec = PATIENCE };
	struct pending *p = asked.count < PENDING_MAX ? calloc(1, sizeof(*p)) : NULL;

	if (!p)
		return -1;
	p->deadline = evtimer_new(asked.base, deadline_cb, p);
	if (!p->deadline || event_add(p->deadline, &patience) < 0 || send_question(slot, q) < 0) {
		if (p->deadline)
			event_free(p->deadline);
		free(p);
		return -1;
	}
	p->number = asked.number;
	p->told = told;
	p->arg = arg;
	TAILQ_INSERT_TAIL(&asked.pending, p, entry);
	asked.count++;
	return 0;
}
