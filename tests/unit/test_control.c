/*
 * What the master and a worker tell each other, over a pair that holds little: frames whole and in
 * pieces, in order, with their descriptors; and what another process may send that it should not.
 */
// links: base proto bus config net session behaviours admin process
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "failing.h"
#include "process/control.h"

static int pair[2];
static struct control master_end, worker_end;

/* Bytes that a call sends at most, 0: any number; the library's goes by this one. */
static size_t piece;

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	struct msghdr part = *msg;
	struct iovec iov = *msg->msg_iov;

	if (piece > 0 && iov.iov_len > piece)
		iov.iov_len = piece;
	part.msg_iov = &iov;
	return syscall(SYS_sendmsg, fd, &part, flags);
}

static int set_up(void **state)
{
	(void)state;
	assert_int_equal(control_pair(pair), 0);
	control_init(&master_end, pair[0], CONTROL_TO_MASTER);
	control_init(&worker_end, pair[1], CONTROL_TO_WORKER);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	control_fini(&master_end);
	control_fini(&worker_end);
	close(pair[0]);
	if (pair[1] >= 0)
		close(pair[1]);
	return 0;
}

static int open_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int send_stop(int64_t grace)
{
	const struct control_stop s = { .grace = grace, .keep_waiting = 1 };

	return control_send(&master_end, CONTROL_STOP, (uint32_t)grace, &s, NULL, 0);
}

static void expect_stop(int64_t grace)
{
	struct control_frame f;
	const struct control_stop *s;

	assert_int_equal(control_read(&worker_end, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_STOP);
	assert_int_equal(f.id, grace);
	assert_int_equal(f.fd_count, 0);
	s = f.body;
	assert_int_equal(s->grace, grace);
	assert_int_equal(s->keep_waiting, 1);
}

static void expect_nothing(struct control *c)
{
	struct control_frame f;

	assert_int_equal(control_read(c, &f), CONTROL_MORE);
}

static void test_both_ways(void **state)
{
	struct control_frame f;
	const struct control_reloaded done = { 7, 3, 2 };

	(void)state;
	expect_nothing(&worker_end);
	assert_int_equal(send_stop(1), 0);
	expect_stop(1);
	assert_int_equal(control_send(&worker_end, CONTROL_RELOADED, 9, &done, NULL, 0), 0);
	assert_int_equal(control_read(&master_end, &f), CONTROL_FRAME);
	assert_int_equal(f.type, CONTROL_RELOADED);
	assert_int_equal(f.id, 9);
	assert_memory_equal(f.body, &done, sizeof(done));
	expect_nothing(&worker_end);
	expect_nothing(&master_end);
}

/* As the bytes of a frame would lie in the socket. */
static size_t frame(char *out, struct control_header h)
{
	memcpy(out, &h, sizeof(h));
	memset(out + sizeof(h), 1, h.length);
	return sizeof(h) + h.length;
}

static void put(const char *bytes, size_t n)
{
	assert_int_equal(send(pair[0], bytes, n, 0), n);
}

static void test_one_byte_at_a_time(void **state)
{
	char bytes[2 * (sizeof(struct control_header) + CONTROL_BODY_MAX)];
	size_t n = frame(bytes, (struct control_header){ CONTROL_RELEASE, 5,
							 sizeof(struct control_release), 0 });
	struct control_frame f;

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < n; i++) {
			expect_nothing(&worker_end);
			put(bytes + i, 1);
		}
		assert_int_equal(control_read(&worker_end, &f), CONTROL_FRAME);
		assert_int_equal(f.type, CONTROL_RELEASE);
		assert_int_equal(f.id, 5);
	}
}

/* The most that a pair of this kind can be told to hold is little. */
static void hold_little(void)
{
	int size = 1;

	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
}

static void test_many_wait(void **state)
{
	int64_t sent = 0;

	(void)state;
	hold_little();
	while (send_stop(sent) == 0)
		sent++;
	assert_int_equal(errno, ENOBUFS);
	/* those that wait, and a few in the socket */
	assert_int_equal(master_end.waiting, CONTROL_QUEUE_MAX);
	assert_in_range(sent, CONTROL_QUEUE_MAX + 1, CONTROL_QUEUE_MAX + 64);
	for (int64_t i = 0; i < sent; i++) {
		control_flush(&master_end);
		expect_stop(i);
	}
	expect_nothing(&worker_end);
	assert_int_equal(master_end.waiting, 0);
}

static void send_level(uint64_t level)
{
	const struct control_log_level l = { level };

	assert_int_equal(control_send(&master_end, CONTROL_LOG_LEVEL, (uint32_t)level, &l, NULL, 0),
			 0);
}

static void send_drain(uint32_t id)
{
	const struct control_drain d = { .on = 1, .most = id };

	assert_int_equal(control_send(&master_end, CONTROL_DRAIN, id, &d, NULL, 0), 0);
}

/* Reads up to the first one that is none of an administrator's, which is a STOP. */
static uint32_t read_stop(uint32_t *level, uint32_t *drained)
{
	struct control_frame f;

	for (;;) {
		enum control_verdict v;

		while ((v = control_read(&worker_end, &f)) == CONTROL_MORE)
			control_flush(&master_end);
		assert_int_equal(v, CONTROL_FRAME);
		if (f.type == CONTROL_STOP)
			return f.id;
		*(f.type == CONTROL_DRAIN ? drained : level) = f.id;
	}
}

/* Whoever goes on and on asking a worker that does not read takes the place of nobody. */
static void test_only_the_newest_waits(void **state)
{
	uint32_t level = 0, drained = 0;

	(void)state;
	hold_little();
	for (uint32_t i = 1; i <= 3 * CONTROL_QUEUE_MAX; i++) {
		send_drain(2 * i);
		send_level(i);
	}
	assert_int_equal(master_end.waiting, 2);
	assert_int_equal(send_stop(1), 0);
	send_drain(1);
	assert_int_equal(send_stop(2), 0);
	assert_int_equal(master_end.waiting, 4);
	assert_int_equal(read_stop(&level, &drained), 1);
	assert_int_equal(level, 3 * CONTROL_QUEUE_MAX);
	/* the last drain comes behind what was sent ahead of it */
	assert_int_not_equal(drained, 1);
	assert_int_not_equal(drained, 6 * CONTROL_QUEUE_MAX);
	assert_int_equal(read_stop(&level, &drained), 2);
	assert_int_equal(drained, 1);
	expect_nothing(&worker_end);
	assert_int_equal(master_end.waiting, 0);
}

/* Half of it is with the other side: it goes on, and the next one is another. */
static void test_the_newest_in_pieces(void **state)
{
	uint32_t level = 0, drained = 0;

	(void)state;
	hold_little();
	piece = 11;
	for (uint32_t i = 1; i <= 200; i++)
		send_drain(i);
	assert_in_range(master_end.waiting, 1, 2);
	failing_nth(1); /* there is a frame for it already */
	send_drain(201);
	failing_end();
	assert_int_equal(send_stop(1), 0);
	assert_int_equal(read_stop(&level, &drained), 1);
	piece = 0;
	assert_int_equal(drained, 201);
	expect_nothing(&worker_end);
}

static int read_count;

static void read_all(void *arg)
{
	struct event_base *base = arg;

	expect_stop(read_count++);
	if (read_count == 100)
		event_base_loopbreak(base);
}

/* Nobody flushes: what waits goes out when there is room. */
static void test_loop_sends_what_waits(void **state)
{
	static const struct timeval limit = { 20, 0 };
	struct event_base *base = event_base_new();

	(void)state;
	hold_little();
	read_count = 0;
	assert_int_equal(control_watch(&master_end, base, read_all, base), 0);
	assert_int_equal(control_watch(&worker_end, base, read_all, base), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_stop(i), 0);
	assert_true(master_end.waiting > 0);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	assert_int_equal(read_count, 100);
	control_fini(&master_end);
	control_fini(&worker_end);
	event_base_free(base);
}

static void send_adopt(uint64_t slot, const int *fds, size_t n)
{
	const struct control_adopt a = { .slot = slot, .listeners = 3 };

	assert_int_equal(control_send(&master_end, CONTROL_ADOPT, 0, &a, fds, n), 0);
}

/* Each frame has its own descriptors, though the caller's are closed while it waits. */
static void test_descriptors_in_order(void **state)
{
	struct control_frame f;
	int before = open_files();
	char text[8];

	(void)state;
	hold_little();
	for (int i = 0; i < 40; i++) {
		int pipes[2], fds[2];

		assert_int_equal(pipe(pipes), 0);
		text[0] = (char)i;
		assert_int_equal(write(pipes[1], text, 1), 1);
		fds[0] = pipes[0];
		fds[1] = pipes[1];
		send_adopt((uint64_t)i, fds, i % 3 ? 2 : 1);
		if (i % 5 == 0)
			assert_int_equal(send_stop(i), 0);
		close(pipes[0]);
		close(pipes[1]);
	}
	for (int i = 0; i < 40; i++) {
		control_flush(&master_end);
		assert_int_equal(control_read(&worker_end, &f), CONTROL_FRAME);
		assert_int_equal(((const struct control_adopt *)f.body)->slot, i);
		assert_int_equal(f.fd_count, i % 3 ? 2 : 1);
		assert_int_equal(read(f.fds[0], text, sizeof(text)), 1);
		assert_int_equal(text[0], i);
		if (i % 5 == 0) {
			control_flush(&master_end);
			expect_stop(i);
		}
	}
	expect_nothing(&worker_end);
	assert_int_equal(open_files(), before);
}

/* A frame that does not go out at once goes on where it was, and has its descriptors once. */
static void test_frame_in_pieces(void **state)
{
	struct control_frame f;
	int before = open_files();

	(void)state;
	for (piece = 1; piece < 50; piece++) {
		send_adopt(piece, pair, 2);
		assert_int_equal(send_stop((int64_t)piece), 0);
		assert_int_equal(control_read(&worker_end, &f), CONTROL_FRAME);
		assert_int_equal(((const struct control_adopt *)f.body)->slot, piece);
		assert_int_equal(f.fd_count, 2);
		expect_stop((int64_t)piece);
	}
	piece = 0;
	expect_nothing(&worker_end);
	assert_int_equal(open_files(), before);
}

/* The same with a socket that is full in the middle of a frame. */
static void test_frame_in_pieces_that_wait(void **state)
{
	(void)state;
	hold_little();
	piece = 11;
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_stop(i), 0);
	assert_true(master_end.waiting > 50);
	for (int i = 0; i < 100; i++) {
		struct control_frame f;
		enum control_verdict v;

		while ((v = control_read(&worker_end, &f)) == CONTROL_MORE)
			control_flush(&master_end);
		assert_int_equal(v, CONTROL_FRAME);
		assert_int_equal(f.id, i);
	}
	piece = 0;
	expect_nothing(&worker_end);
}

static void test_who_takes_a_descriptor_keeps_it(void **state)
{
	struct control_frame f;
	int fds[2] = { pair[0], pair[0] }, taken, other;

	(void)state;
	send_adopt(1, fds, 2);
	assert_int_equal(control_read(&worker_end, &f), CONTROL_FRAME);
	taken = f.fds[0];
	other = f.fds[1];
	f.fds[0] = -1;
	expect_nothing(&worker_end);
	assert_true(fcntl(taken, F_GETFD) >= 0);
	assert_int_equal(fcntl(other, F_GETFD), -1);
	close(taken);
}

static void test_no_descriptors_to_be_had(void **state)
{
	const struct control_adopt a = { .slot = 1 };
	int fds[2] = { pair[0], -1 }, before = open_files();

	(void)state;
	assert_int_equal(control_send(&master_end, CONTROL_ADOPT, 0, &a, fds, 2), -1);
	assert_int_equal(errno, EBADF);
	assert_int_equal(open_files(), before);
	expect_nothing(&worker_end);
	assert_int_equal(send_stop(1), 0);
	expect_stop(1);
}

static void expect_verdict(const char *bytes, size_t n, enum control_verdict wanted)
{
	struct control_frame f;

	put(bytes, n);
	assert_int_equal(control_read(&worker_end, &f), wanted);
}

/* The length is wrong for the type, or more than any has; there are descriptors too many, or few. */
static void test_what_cannot_be(void **state)
{
	static const struct control_header bad[] = {
		{ CONTROL_STOP, 0, sizeof(struct control_stop) - 1, 0 },
		{ CONTROL_STOP, 0, sizeof(struct control_stop) + 1, 0 },
		{ CONTROL_STOP, 0, 0, 0 },
		{ CONTROL_STOP, 0, UINT32_MAX, 0 },
		{ CONTROL_STOP, 0, sizeof(struct control_stop), 1 },
		{ CONTROL_PREPARE, 0, sizeof(struct control_prepare), 0 },
		{ CONTROL_PREPARE, 0, sizeof(struct control_prepare), 2 },
		{ CONTROL_COMMIT, 0, sizeof(struct control_decision), CONFIG_LISTENERS_MAX + 1 },
		{ CONTROL_COMMIT, 0, sizeof(struct control_decision), UINT32_MAX },
		{ CONTROL_ABORT, 0, sizeof(struct control_decision), 1 },
		/* of no type, but longer than any, or with more descriptors */
		{ 0x3f, 0, CONTROL_BODY_MAX + 1, 0 },
		{ 0x3f, 0, 0, CONTROL_FDS_MAX + 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_verdict((const char *)&bad[i], sizeof(bad[i]), CONTROL_BAD);
		tear_down(state);
		set_up(state);
	}
}

static void test_descriptors_that_did_not_come(void **state)
{
	char bytes[sizeof(struct control_header) + CONTROL_BODY_MAX];
	size_t n = frame(bytes, (struct control_header){ CONTROL_ADOPT, 0,
							 sizeof(struct control_adopt), 1 });

	(void)state;
	expect_verdict(bytes, n, CONTROL_BAD);
}

/* More of them in one call than a frame may have, and none that the header does not tell of. */
static void test_descriptors_nobody_told_of(void **state)
{
	union {
		char bytes[CMSG_SPACE(100 * sizeof(int))];
		struct cmsghdr align;
	} a;
	static const size_t counts[] = { 1, CONTROL_FDS_MAX + 1, 100 };
	int before = open_files();

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		char bytes[sizeof(struct control_header) + CONTROL_BODY_MAX];
		size_t n = frame(bytes, (struct control_header){ CONTROL_STOP, 0,
								 sizeof(struct control_stop), 0 });
		struct iovec iov = { bytes, n };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = a.bytes };
		struct cmsghdr *m;
		struct control_frame f;

		msg.msg_controllen = CMSG_SPACE(counts[k] * sizeof(int));
		m = CMSG_FIRSTHDR(&msg);
		m->cmsg_level = SOL_SOCKET;
		m->cmsg_type = SCM_RIGHTS;
		m->cmsg_len = CMSG_LEN(counts[k] * sizeof(int));
		for (size_t i = 0; i < counts[k]; i++)
			memcpy(CMSG_DATA(m) + i * sizeof(int), &pair[0], sizeof(int));
		assert_int_equal(sendmsg(pair[0], &msg, 0), n);
		assert_int_equal(control_read(&worker_end, &f), CONTROL_BAD);
		assert_int_equal(open_files(), before);
		tear_down(state);
		set_up(state);
	}
}

/* Of no type, or of one that is for the other side: what is behind it is read. */
static void test_unknown_types_are_passed_over(void **state)
{
	static const uint32_t types[] = { 0, 0x3f, CONTROL_READY, CONTROL_TYPES, UINT32_MAX };
	char bytes[sizeof(struct control_header) + CONTROL_BODY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t n = frame(
			bytes, (struct control_header){ types[i], 0,
							(uint32_t)(i % 2 * CONTROL_BODY_MAX), 0 });

		put(bytes, n);
		assert_int_equal(send_stop((int64_t)i), 0);
		expect_stop((int64_t)i);
	}
	expect_nothing(&worker_end);
}

/* Whoever sends such frames for ever is left for a moment, and heard again. */
static void test_unknown_frames_without_end(void **state)
{
	struct control_frame f;
	char bytes[sizeof(struct control_header) + CONTROL_BODY_MAX];
	size_t n = frame(bytes, (struct control_header){ 0x3f, 0, 0, 0 });

	(void)state;
	for (int i = 0; i < 2 * CONTROL_A_TURN + 1; i++)
		put(bytes, n);
	assert_int_equal(send_stop(7), 0);
	assert_int_equal(control_read(&worker_end, &f), CONTROL_MORE);
	assert_int_equal(control_read(&worker_end, &f), CONTROL_MORE);
	expect_stop(7);
	expect_nothing(&worker_end);
}

static void test_half_a_frame_and_the_end(void **state)
{
	static const struct control_header h = { CONTROL_STOP, 0, sizeof(struct control_stop), 0 };
	struct control_frame f;

	for (size_t n = 0; n < sizeof(h) + 1; n++) {
		char bytes[sizeof(h) + CONTROL_BODY_MAX];

		frame(bytes, h);
		if (n > 0)
			put(bytes, n);
		shutdown(pair[0], SHUT_WR);
		if (n > 0)
			assert_int_equal(control_read(&worker_end, &f), CONTROL_BAD);
		assert_int_equal(control_read(&worker_end, &f), CONTROL_ENDED);
		tear_down(state);
		set_up(state);
	}
}

static void test_other_side_is_gone(void **state)
{
	(void)state;
	hold_little();
	for (int i = 0; i < 100; i++)
		assert_int_equal(send_stop(i), 0);
	close(pair[1]);
	pair[1] = -1;
	assert_int_equal(send_stop(100), -1);
	assert_int_equal(errno, EPIPE);
	assert_int_equal(master_end.waiting, 0);
}

/* What a dead worker had not read, or had begun to say, is not its successor's. */
static void test_reset(void **state)
{
	static const struct control_header half = { CONTROL_READY, 0, sizeof(struct control_ready),
						    0 };
	int fds[1] = { pair[0] }, before = open_files();

	(void)state;
	hold_little();
	for (int i = 0; i < 20; i++)
		send_adopt(1, fds, 1);
	assert_true(master_end.waiting > 0);
	assert_int_equal(send(pair[1], &half, 9, 0), 9);
	expect_nothing(&master_end);
	assert_int_equal(send(pair[1], &half, 3, 0), 3);
	control_reset(&master_end, pair[1]);
	assert_int_equal(open_files(), before);
	expect_nothing(&worker_end);
	expect_nothing(&master_end);
	assert_int_equal(send_stop(4), 0);
	expect_stop(4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_both_ways),
		TEST(test_one_byte_at_a_time),
		TEST(test_many_wait),
		TEST(test_only_the_newest_waits),
		TEST(test_the_newest_in_pieces),
		TEST(test_loop_sends_what_waits),
		TEST(test_descriptors_in_order),
		TEST(test_frame_in_pieces),
		TEST(test_frame_in_pieces_that_wait),
		TEST(test_who_takes_a_descriptor_keeps_it),
		TEST(test_no_descriptors_to_be_had),
		TEST(test_what_cannot_be),
		TEST(test_descriptors_that_did_not_come),
		TEST(test_descriptors_nobody_told_of),
		TEST(test_unknown_types_are_passed_over),
		TEST(test_unknown_frames_without_end),
		TEST(test_half_a_frame_and_the_end),
		TEST(test_other_side_is_gone),
		TEST(test_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
