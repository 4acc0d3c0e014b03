/*
 * Listening sockets: what the kernel has of them, who may hold a port, and what becomes of files
 * that stand where a unix socket is to be.
 */
// links: base proto bus config net
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config.h"
#include "net/socket.h"

enum { BACKLOG = 7, NOBODY = 65534 };

static char dir[] = "/tmp/test_socket_XXXXXX", path[sizeof(dir) + 2], other[sizeof(dir) + 2];

static int begin(void **state)
{
	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(other, sizeof(other), "%s/o", dir);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(dir);
}

static struct config_listener on(const char *address)
{
	return (struct config_listener){ .address = (char *)address, .backlog = BACKLOG };
}

static struct config_listener at(const char *name)
{
	return (struct config_listener){ .unix_path = (char *)name,
					 .mode = 0640,
					 .backlog = BACKLOG };
}

static struct config_listener handed_in(const char *name)
{
	return (struct config_listener){ .systemd = (char *)name, .backlog = BACKLOG };
}

static int option_of(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	return lstat(name, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* --- TCP --- */

/* Those that are accepted have what the listening socket was given. */
static void check_accepted(int listening, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int client = socket(AF_INET, SOCK_STREAM, 0), fd;

	assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof(a)), 0);
	fd = accept(listening, NULL, NULL);
	assert_true(fd >= 0);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
	assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 4321);
	close(fd);
	close(client);
}

static void test_tcp(void **state)
{
	struct config_listener l = on("127.0.0.1");
	int port = socket_probe(&l), fd, second;

	(void)state;
	assert_in_range(port, 1, 65535);
	fd = socket_listen(&l, port, NULL);
	assert_true(fd >= 0);
	assert_int_equal(socket_port(fd), port);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	socket_set_patience(fd, 4321);
	check_accepted(fd, port);
	/* each worker has one of its own; to a probe the port is then another program's */
	second = socket_listen(&l, port, NULL);
	assert_true(second >= 0);
	l.port = port;
	assert_int_equal(socket_probe(&l), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	close(second);
}

/* One for all addresses of IPv6 is not for those of IPv4, too: that is another listener. */
static void test_ipv6_is_by_itself(void **state)
{
	struct config_listener l = on("::");
	int port = socket_probe(&l), fd;

	(void)state;
	if (port < 0 && errno == EAFNOSUPPORT)
		skip();
	assert_in_range(port, 1, 65535);
	fd = socket_listen(&l, port, NULL);
	assert_true(fd >= 0);
	assert_int_equal(socket_port(fd), port);
	assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	close(fd);
}

static void test_what_is_no_address(void **state)
{
	struct config_listener l = on("localhost"), absent = on("192.0.2.1");

	(void)state;
	assert_int_equal(socket_probe(&l), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(socket_listen(&l, 1, NULL), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(socket_probe(&absent), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(socket_listen(&absent, 1, NULL), -1);
	assert_int_equal(errno, EADDRNOTAVAIL);
	assert_int_equal(socket_port(-1), -1);
	assert_int_equal(errno, EBADF);
}

static void check_name(struct config_listener l, const char *expected)
{
	char name[SOCKET_NAME_MAX];

	socket_name(&l, 80, name);
	assert_string_equal(name, expected);
}

static void test_names(void **state)
{
	(void)state;
	check_name(on("127.0.0.1"), "127.0.0.1:80");
	check_name(on("::1"), "[::1]:80");
	check_name(at("/run/x"), "unix:/run/x");
	check_name(handed_in("web"), "systemd:web");
}

static void test_who_shares(void **state)
{
	struct config_listener tcp = on("::1"), local = at("/run/x"), theirs = handed_in("web");

	(void)state;
	assert_false(socket_is_shared(&tcp));
	assert_true(socket_is_shared(&local));
	assert_true(socket_is_shared(&theirs));
}

/* --- sockets that somebody else opened --- */

static void check_no_copy(int fd, int error)
{
	struct config_listener l = handed_in("web");

	assert_int_equal(socket_copy(fd, &l), -1);
	assert_int_equal(errno, error);
	close(fd);
}

static void test_no_copy_of_what_takes_no_connections(void **state)
{
	int fds[2];

	(void)state;
	check_no_copy(socket(AF_INET, SOCK_DGRAM, 0), EPROTOTYPE);
	check_no_copy(socket(AF_INET, SOCK_STREAM, 0), EPROTOTYPE);
	assert_int_equal(pipe(fds), 0);
	check_no_copy(fds[0], ENOTSOCK);
	close(fds[1]);
	check_no_copy(-1, EBADF);
}

static void test_copy(void **state)
{
	struct config_listener l = handed_in("web");
	int fd = socket(AF_INET, SOCK_STREAM, 0), copy;

	(void)state;
	assert_int_equal(listen(fd, 1), 0);
	copy = socket_copy(fd, &l);
	assert_true(copy >= 0 && copy != fd);
	assert_true(fcntl(copy, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(copy, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(option_of(copy, IPPROTO_TCP, TCP_NODELAY), 1);
	close(copy);
	close(fd);
}

/* How many may wait is for who opened it to say, and ours where that were we ourselves. */
static void test_backlog_of_a_copy(void **state)
{
	struct config_listener theirs = handed_in("web"), ours = on("127.0.0.1");
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int fd = socket(AF_INET, SOCK_STREAM, 0), copy;

	(void)state;
	assert_int_equal(listen(fd, 3), 0);
	copy = socket_copy(fd, &theirs);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_sacked, 3); /* that is where it stands of one that listens */
	close(copy);
	copy = socket_copy(fd, &ours);
	len = sizeof(info);
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
	assert_int_equal(info.tcpi_sacked, BACKLOG);
	close(copy);
	close(fd);
}

/* --- unix sockets --- */

static void test_unix(void **state)
{
	struct config_listener l = at(path);
	struct socket_file file, found;
	int fd = socket_listen(&l, 0, &file);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(socket_port(fd), 0);
	socket_set_patience(fd, 1000);
	assert_int_equal(mode_of(path), 0640);
	assert_int_equal(socket_file_find(path, true, &found), 0);
	assert_true(found.dev == file.dev && found.ino == file.ino);
	l.mode = 0600;
	assert_int_equal(socket_set_rights(&l, &file), 0);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(socket_set_rights(&l, &file), 0);
	socket_file_remove(path, &file);
	assert_int_equal(mode_of(path), 0);
	socket_file_remove(path, &file);
	assert_int_equal(socket_set_rights(&l, &file), -1);
	assert_int_equal(errno, ENOENT);
	close(fd);
}

/* While somebody listens nobody else does; what he left is no hindrance. */
static void test_one_that_is_in_use(void **state)
{
	struct config_listener l = at(path);
	struct socket_file file, second;
	int fd = socket_listen(&l, 0, &file), again;

	(void)state;
	assert_int_equal(socket_listen(&l, 0, &second), -1);
	assert_int_equal(errno, EADDRINUSE);
	close(fd);
	again = socket_listen(&l, 0, &second);
	assert_true(again >= 0);
	close(again);
}

/* A file, a link to a socket, a folder: whatever it is, it is not ours to remove. */
static void check_stays(const struct config_listener *l)
{
	struct socket_file file;

	assert_int_equal(socket_listen(l, 0, &file), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(socket_file_find(l->unix_path, false, &file), -1);
	assert_int_equal(errno, EEXIST);
}

static void test_what_is_no_socket_stays(void **state)
{
	struct config_listener l = at(path), real = at(other);
	struct socket_file file;
	int fd;

	(void)state;
	close(open(path, O_CREAT | O_WRONLY, 0600));
	check_stays(&l);
	assert_int_equal(unlink(path), 0);
	fd = socket_listen(&real, 0, &file);
	assert_int_equal(symlink(other, path), 0);
	check_stays(&l);
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	check_stays(&l);
	assert_int_equal(rmdir(path), 0);
}

/* What has been put in its place is neither removed nor given its mode. */
static void test_one_that_was_replaced(void **state)
{
	struct config_listener l = at(path);
	struct socket_file first, second;
	int fd = socket_listen(&l, 0, &first), again;

	(void)state;
	assert_int_equal(unlink(path), 0);
	again = socket_listen(&l, 0, &second);
	assert_true(again >= 0);
	l.mode = 0666;
	assert_int_equal(socket_set_rights(&l, &first), -1);
	assert_int_equal(errno, ENOENT);
	socket_file_remove(path, &first);
	assert_int_equal(mode_of(path), 0640);
	close(fd);
	close(again);
}

static void test_paths_that_cannot_be(void **state)
{
	char longest[200], missing[] = "/nowhere/at/all";
	struct config_listener far = at(longest), nowhere = at(missing);
	struct socket_file file;

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(socket_listen(&far, 0, &file), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(socket_listen(&nowhere, 0, &file), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(socket_file_make_way("/dev/null/x"), -1);
	assert_int_equal(errno, ENOTDIR);
}

/* A name without a folder is one in that where the process is. */
static void test_relative_path(void **state)
{
	struct config_listener l = at("s");
	struct socket_file file;
	int fd;

	(void)state;
	assert_int_equal(chdir(dir), 0);
	fd = socket_listen(&l, 0, &file);
	assert_true(fd >= 0);
	assert_int_equal(mode_of(path), 0640);
	socket_file_remove("s", &file);
	assert_int_equal(mode_of(path), 0);
	close(fd);
	assert_int_equal(chdir("/"), 0);
}

/* Root takes what nobody listens on only where it is root's; and nobody's group is no group. */
static void test_one_of_another_user(void **state)
{
	static char group[] = "nogroup";
	struct config_listener l = at(path);
	struct socket_file file, again;
	struct stat st;
	int fd;

	(void)state;
	if (geteuid() != 0)
		skip();
	l.group = group;
	l.gid = NOBODY;
	fd = socket_listen(&l, 0, &file);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_gid, NOBODY);
	assert_int_equal(chown(path, NOBODY, NOBODY), 0);
	assert_int_equal(socket_file_find(path, true, &again), -1);
	assert_int_equal(errno, EEXIST);
	assert_int_equal(socket_file_find(path, false, &again), 0);
	assert_int_equal(socket_listen(&l, 0, &again), -1);
	assert_int_equal(errno, EEXIST);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* Where a socket listens on row 0, whether one on row 1 would have some of the same. */
static void test_covers(void **state)
{
	static const struct {
		const char *has, *wanted;
		bool covers;
	} rows[] = {
		{ "127.0.0.1", "127.0.0.1", true }, { "127.0.0.1", "127.0.0.2", false },
		{ "127.0.0.1", "0.0.0.0", true },   { "0.0.0.0", "127.0.0.2", true },
		{ "127.0.0.1", "::", false },       { "127.0.0.1", "::1", false },
	};
	struct socket_file file;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config_listener l = on(rows[i].has), w = on(rows[i].wanted);
		int port = socket_probe(&l), fd = socket_listen(&l, port, &file);

		assert_true(fd >= 0);
		assert_false(socket_covers(fd, &w)); /* of any port there is another one */
		w.port = port;
		assert_int_equal(socket_covers(fd, &w), rows[i].covers);
		w.port = port ^ 1;
		assert_false(socket_covers(fd, &w));
		w = at(path);
		assert_false(socket_covers(fd, &w));
		close(fd);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_covers, begin, end),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_ipv6_is_by_itself),
		cmocka_unit_test(test_what_is_no_address),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_who_shares),
		cmocka_unit_test(test_no_copy_of_what_takes_no_connections),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_backlog_of_a_copy),
		TEST(test_unix),
		TEST(test_one_that_is_in_use),
		TEST(test_what_is_no_socket_stays),
		TEST(test_one_that_was_replaced),
		TEST(test_paths_that_cannot_be),
		TEST(test_relative_path),
		TEST(test_one_of_another_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
