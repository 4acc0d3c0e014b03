/*
 * inquired.c - see inquired.h.
 *
 * One question at a time: the next one is read when the answer to this is out. Who asks more than
 * he listens to waits for himself.
 */
#include "process/inquired.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "admin/inquire.h"

static struct {
	struct event *readable, *writable;
	uint64_t number;
	size_t len; /* of the answer */
	char answer[ASK_BYTES_MAX];
} asked;

/* What cannot be sent at all nobody gets; who has asked does not wait for ever. */
static void send_answer(void)
{
	ssize_t n = send(event_get_fd(asked.writable), asked.answer, asked.len,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		event_add(asked.writable, NULL);
	else
		event_add(asked.readable, NULL);
}

static void told(const struct survey_answer *a)
{
	const struct ask_answer head = {
		.number = asked.number, .last = a->last, .closed = a->closed, .more = a->more
	};

	memcpy(asked.answer, &head, sizeof(head));
	memcpy(asked.answer + sizeof(head), a->json, a->len);
	asked.len = sizeof(head) + a->len;
	send_answer();
}

static void readable_cb(evutil_socket_t fd, short what, void *arg)
{
	struct ask_question q;
	ssize_t n = recv(fd, &q, sizeof(q), MSG_DONTWAIT);

	(void)what;
	(void)arg;
	if (n != (ssize_t)sizeof(q) || !survey_is_sound(&q.survey))
		return;
	asked.number = q.number;
	event_del(asked.readable);
	survey_begin(&q.survey, told);
}

static void writable_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	send_answer();
}

int inquired_begin(struct event_base *base, int fd)
{
	asked.readable = event_new(base, fd, EV_READ | EV_PERSIST, readable_cb, NULL);
	asked.writable = event_new(base, fd, EV_WRITE, writable_cb, NULL);
	return asked.readable && asked.writable ? event_add(asked.readable, NULL) : -1;
}

void inquired_end(void)
{
	event_free(asked.readable);
	event_free(asked.writable);
}
