/*
 * Shared memory that says what it is: made here, attached by another process, and refused where it
 * is anything else.
 */
// links: base
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/segment.h"
#include "failing.h"

/* two pages, four that are there twice, and three behind them */
enum { PAGE = 4096, SIZE = 9 * PAGE, TWICE_AT = 2 * PAGE, TWICE = 4 * PAGE };

struct inside {
	struct segment_header header;
	_Atomic uint64_t ours, theirs;
};

static const struct segment_layout layout = {
	.name = "ignyx-test",
	.version = 3,
	.size = SIZE,
	.twice_at = TWICE_AT,
	.twice = TWICE,
	.parts = { sizeof(struct inside), 64 },
};

static struct segment make(const struct segment_layout *l)
{
	struct segment s;

	assert_int_equal(segment_make(&s, l), 0);
	return s;
}

/* A descriptor goes to a process that was there before the segment, as to one behind an exec. */
static void send_fd(int to, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(to, &m, 0), 1);
}

static int receive_fd(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control,
			    .msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(from, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

/* In the other process: reads what the first has written, and answers in the same memory. */
static int attach_and_answer(int from)
{
	struct segment s;
	const char *why;
	struct inside *in;
	uint8_t *bytes;

	if (segment_attach(&s, receive_fd(from), &layout, true, &why) != 0)
		return 1;
	in = s.at;
	bytes = s.at;
	if (atomic_load(&in->ours) != 41 || s.fd != -1)
		return 2;
	for (int second = 0; second <= TWICE; second += TWICE)
		if (bytes[TWICE_AT + second] != 7 || bytes[TWICE_AT + TWICE - 1 + second] != 8)
			return 3;
	if (bytes[TWICE_AT - 1] != 6 || bytes[TWICE_AT + 2 * TWICE] != 9 ||
	    bytes[SIZE + TWICE - 1] != 10)
		return 5;
	atomic_store(&in->theirs, 42);
	segment_free(&s);
	return s.at == NULL ? 0 : 4;
}

static void test_another_process_attaches(void **state)
{
	int pair[2], status;
	struct segment s;
	struct inside *in;
	pid_t pid;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(attach_and_answer(pair[1]));
	s = make(&layout);
	in = s.at;
	atomic_store(&in->ours, 41);
	/* the last byte that is there once, the ends of what is there twice, and of what is behind */
	assert_int_equal(pwrite(s.fd, "\6\7", 2, TWICE_AT - 1), 2);
	assert_int_equal(pwrite(s.fd, "\10\11", 2, TWICE_AT + TWICE - 1), 2);
	assert_int_equal(pwrite(s.fd, "\12", 1, SIZE - 1), 1);
	send_fd(pair[0], s.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&in->theirs), 42);
	segment_free(&s);
	close(pair[0]);
	close(pair[1]);
}

static void refuses(int fd, const struct segment_layout *l, const char *reason)
{
	struct segment s;
	const char *why;

	errno = 0;
	assert_int_equal(segment_attach(&s, fd, l, false, &why), -1);
	assert_string_equal(why, reason);
	assert_int_equal(errno, EINVAL);
	assert_null(s.at);
	assert_int_equal(s.fd, -1);
	/* it is the caller's */
	assert_true(fd < 0 || fcntl(fd, F_GETFD) >= 0);
}

/* The segment is as layout says, and who attaches knows another. */
static void test_what_is_not_known(void **state)
{
	struct segment s = make(&layout), again;
	const char *why;
	struct segment_layout l;

	(void)state;
#define WITH(field, value, reason) (l = layout, l.field = (value), refuses(s.fd, &l, reason))
	WITH(name, "ignyx-tes", "it is something else");
	WITH(name, "ignyx-test2", "it is something else");
	WITH(version, 2, "its layout is of another version");
	WITH(version, 4, "its layout is of another version");
	WITH(version, UINT64_C(1) << 32 | 3, "its layout is of another version");
	WITH(size, SIZE - PAGE, "its sizes are others");
	WITH(size, SIZE + PAGE, "its sizes are others");
	WITH(twice_at, PAGE, "its sizes are others");
	WITH(twice, 0, "its sizes are others");
	WITH(twice, SIZE, "its sizes are others");
	WITH(parts[0], 0, "its sizes are others");
	WITH(parts[1], 60, "its sizes are others");
	WITH(parts[SEGMENT_PARTS - 1], 1, "its sizes are others");
#undef WITH
	assert_int_equal(segment_attach(&again, s.fd, &layout, false, &why), 0);
	assert_null(why);
	segment_free(&again);
	segment_free(&s);
}

/* A file with such a header, of any length and seals; -1 for no header. */
static int forge(size_t size, int header_bytes, int seals)
{
	struct segment s = make(&layout);
	int fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, s.at, (size_t)header_bytes, 0), header_bytes);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	segment_free(&s);
	return fd;
}

static void test_what_is_damaged(void **state)
{
	static const struct {
		size_t size;
		int header, seals;
		const char *reason; /* NULL: it is taken */
	} rows[] = {
		{ SIZE, sizeof(struct segment_header), F_SEAL_SHRINK, NULL },
		{ SIZE, sizeof(struct segment_header), 0, "it is no memory that is sealed" },
		{ SIZE, sizeof(struct segment_header), F_SEAL_GROW,
		  "it is no memory that is sealed" },
		{ SIZE - 1, sizeof(struct segment_header), F_SEAL_SHRINK,
		  "it is not as long as it says" },
		{ SIZE + 1, sizeof(struct segment_header), F_SEAL_SHRINK,
		  "it is not as long as it says" },
		{ sizeof(struct segment_header), sizeof(struct segment_header), F_SEAL_SHRINK,
		  "it is not as long as it says" },
		{ sizeof(struct segment_header) - 1, 0, F_SEAL_SHRINK, "it is too short" },
		{ 0, 0, F_SEAL_SHRINK, "it is too short" },
		{ SIZE, 0, F_SEAL_SHRINK, "it is something else" },
		{ SIZE, SEGMENT_MAGIC_LEN, F_SEAL_SHRINK, "its layout is of another version" },
		{ SIZE, offsetof(struct segment_header, size), F_SEAL_SHRINK,
		  "its sizes are others" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int fd = forge(rows[i].size, rows[i].header, rows[i].seals);
		const char *why;
		struct segment s;

		if (rows[i].reason) {
			refuses(fd, &layout, rows[i].reason);
		} else {
			assert_int_equal(segment_attach(&s, fd, &layout, true, &why), 0);
			segment_free(&s);
		}
		close(fd);
	}
}

static void test_what_is_no_memory(void **state)
{
	int ends[2], file = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	assert_int_equal(pipe(ends), 0);
	refuses(-1, &layout, "it is no memory that is sealed");
	refuses(ends[0], &layout, "it is no memory that is sealed");
	refuses(file, &layout, "it is no memory that is sealed");
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void test_sealed(void **state)
{
	struct segment s = make(&layout);

	(void)state;
	assert_int_equal(ftruncate(s.fd, 0), -1);
	assert_int_equal(ftruncate(s.fd, 2 * SIZE), -1);
	assert_int_equal(fcntl(s.fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	segment_free(&s);
}

/* Who made it goes on writing; others read, and cannot have more. */
static void test_one_writer(void **state)
{
	struct segment_layout l = layout;
	struct segment s, other;
	const char *why;

	(void)state;
	l.one_writer = true;
	s = make(&l);
	assert_int_equal(segment_attach(&other, s.fd, &l, true, &why), -1);
	assert_int_equal(errno, EPERM);
	assert_string_equal(why, strerror(EPERM));
	assert_int_equal(segment_attach(&other, s.fd, &l, false, &why), 0);
	assert_int_equal(mprotect(other.at, SIZE, PROT_READ | PROT_WRITE), -1);
	((struct inside *)s.at)->ours = 5;
	assert_int_equal(((struct inside *)other.at)->ours, 5);
	segment_free(&other);
	segment_free(&s);
}

/* What is inside of nothing but the header, of no whole page, and what is read alone. */
static void test_small(void **state)
{
	const struct segment_layout l = { .name = "a-name-of-15-by",
					  .version = 1,
					  .size = sizeof(struct inside) };
	struct segment s = make(&l), other;
	const char *why;

	(void)state;
	assert_int_equal(s.mapped, sizeof(struct inside));
	((struct inside *)s.at)->ours = 6;
	assert_int_equal(segment_attach(&other, s.fd, &l, false, &why), 0);
	assert_int_equal(((struct inside *)other.at)->ours, 6);
	segment_free(&other);
	segment_free(&s);
}

static unsigned maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	char line[512];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, "ignyx-test") != NULL;
	fclose(f);
	return n;
}

/* No memory, at any step: nothing is left over. */
static void test_no_memory(void **state)
{
	struct segment whole = make(&layout), s;
	const unsigned before = maps();
	const char *why;
	unsigned n;

	(void)state;
	assert_int_equal(before, 2);
	for (n = 1; failing_nth(n), segment_make(&s, &layout) < 0; n++) {
		assert_true(failing_end());
		assert_int_equal(errno, ENOMEM);
		assert_null(s.at);
		assert_int_equal(maps(), before);
	}
	failing_end();
	assert_int_equal(n, 4);
	segment_free(&s);
	for (n = 1; failing_nth(n), segment_attach(&s, whole.fd, &layout, true, &why) < 0; n++) {
		assert_true(failing_end());
		assert_string_equal(why, strerror(ENOMEM));
		assert_int_equal(maps(), before);
	}
	failing_end();
	assert_int_equal(n, 4);
	segment_free(&s);
	segment_free(&whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_process_attaches),
		cmocka_unit_test(test_what_is_not_known),
		cmocka_unit_test(test_what_is_damaged),
		cmocka_unit_test(test_what_is_no_memory),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_one_writer),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
