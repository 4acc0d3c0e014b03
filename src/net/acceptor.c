/*
 * acceptor.c - see acceptor.h.
 *
 * A socket whose connections are not to be accepted now stays readable, and a loop that is told so
 * again and again would spin: the socket is left alone for a while. That is so when the rate is
 * used up, and when there is no place for one more, which may end earlier (acceptor_go_on). It is
 * so, too, when accept itself fails for want of descriptors: one is kept spare and given up to
 * accept and close one connection, whose peer then knows.
 *
 * One that finishes goes on until its queue is empty. As long as others come meanwhile it is not,
 * so there is an end to that: QUEUE_MAX are more than any queue had when it began.
 *
 * Who comes between the last look at the queue and the end of the socket would be reset, and so would he
 * whom the kernel has answered and who has not answered that. So the kernel is told ahead of the last looks
 * to take no notice of who begins to connect: he tries again after a second, and finds another socket, or
 * none. Those of whom it had taken notice come into the queue until the last look. A filter would say it
 * better, but kernels begin to keep those of TCP for who is privileged; so packets must have come no way at all.
 */
#include "net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/bucket.h"
#include "base/log.h"

/* LAST_LOOKS: by pauses[LACK_CALLERS] a quarter of a second, and less than it takes until somebody tries again. */
enum { ACCEPTS_A_TURN = 64, QUEUE_MAX = 65536, LAST_LOOKS = 5, HOPS_MOST = 255 };

/* What became of an attempt. */
enum took {
	TOOK_ONE, /* and there may be another one */
	TOOK_ENOUGH, /* the others are for the next turn */
	TOOK_NONE, /* nobody can be accepted for a while */
	TOOK_ALL, /* the queue is empty */
};

/* Why nothing is accepted for a while. */
enum lack { LACK_FILES, LACK_TURN, LACK_PLACE, LACK_TIME, LACK_CALLERS };

/* How long that is; of LACK_PLACE at most. */
static const struct timeval pauses[] = {
	[LACK_FILES] = { .tv_usec = 250000 },  [LACK_TURN] = { .tv_usec = 100000 },
	[LACK_PLACE] = { .tv_usec = 100000 },  [LACK_TIME] = { .tv_usec = 0 },
	[LACK_CALLERS] = { .tv_usec = 50000 },
};

struct acceptor {
	struct event *event;
	struct event *resume;
	LIST_ENTRY(acceptor) entry; /* among those that wait, or those that finish */
	bool waits; /* for a place */
	enum acceptor_end end; /* of one that finishes */
	unsigned looks; /* of the last ones: how many it still has */
	acceptor_gone_fn *gone; /* NULL: it does not finish */
	unsigned rest; /* of one that does: how many it may still accept */
	acceptor_may_fn may;
	acceptor_fn fn;
	void *arg;
	int fd;
	int family;
	unsigned rate; /* connections a second, 0: any number */
	unsigned left; /* of them, until the end of this tenth of a second */
	int64_t tenth; /* which one that is, of the monotonic clock */
};

/* One for the process: all acceptors run out at the same moment. */
static int spare = -1;

/* Those that wait for a place, and those that finish. */
static LIST_HEAD(, acceptor) waiting = LIST_HEAD_INITIALIZER(waiting);
static LIST_HEAD(, acceptor) finishing = LIST_HEAD_INITIALIZER(finishing);

static void open_spare(void)
{
	if (spare < 0)
		spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool out_of_files(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void turn_one_away(struct acceptor *a)
{
	int fd;

	if (spare < 0)
		return;
	close(spare);
	spare = -1;
	fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	open_spare();
}

static int64_t now_in_tenths(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * 10 + t.tv_nsec / 100000000;
}

/* Who keeps all descriptors in use could have it said four times a second for ever. */
static void log_pause(int error)
{
	static const struct bucket_size size = { 4, 10000 };
	static struct bucket bucket;
	uint32_t now = (uint32_t)(now_in_tenths() * 100);
	uint32_t missed = bucket_missed(&bucket, &size, now);

	if (missed > 0)
		log_warning(LOG_OF(LOG_SUPPRESSED), "%u more suppressed: pauses in accepting",
			    missed);
	if (bucket_take(&bucket, &size, now))
		log_warning(LOG_OF(FILES_EXHAUSTED),
			    "cannot accept connections: %s; pausing for 250 ms. Raise "
			    "LimitNOFILE= or lower max_connections",
			    strerror(error));
}

static void pause_for(struct acceptor *a, enum lack lack)
{
	event_del(a->event);
	event_add(a->resume, &pauses[lack]);
	if (lack != LACK_PLACE)
		return;
	a->waits = true;
	LIST_INSERT_HEAD(&waiting, a, entry);
}

static void wait_no_more(struct acceptor *a)
{
	if (!a->waits)
		return;
	a->waits = false;
	LIST_REMOVE(a, entry);
}

static void go_on(struct acceptor *a)
{
	wait_no_more(a);
	event_del(a->resume);
	event_add(a->event, NULL);
}

void acceptor_go_on(void)
{
	while (!LIST_EMPTY(&waiting))
		go_on(LIST_FIRST(&waiting));
}

/*
 * How far a packet must still be able to go (RFC 5082), 0: any. Of a listening socket that goes for who begins
 * to connect; a connection inherits it, for all that comes. Nobody begins with more than HOPS_MOST, few with it.
 */
static void want_hops(int fd, int family, int least)
{
	if (family == AF_INET)
		(void)setsockopt(fd, IPPROTO_IP, IP_MINTTL, &least, sizeof(least));
	else if (family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_MINHOPCOUNT, &least, sizeof(least));
}

static enum took accept_one(struct acceptor *a)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct net_peer peer;
	int fd = accept4(a->fd, (struct sockaddr *)&sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		/* whoever else has the socket may have begun with the last looks */
		want_hops(fd, sa.ss_family, 0);
		net_peer_set(&peer, &sa, fd);
		return a->fn(fd, &peer, a->arg) ? TOOK_ONE : TOOK_ENOUGH;
	}
	if (out_of_files(errno)) {
		log_pause(errno);
		turn_one_away(a);
		pause_for(a, LACK_FILES);
		return TOOK_NONE;
	}
	/* Everything else but "none waits" is one connection that broke in the queue. */
	return errno != EAGAIN && errno != EINVAL && errno != EBADF ? TOOK_ONE : TOOK_ALL;
}

/*
 * Whether the rate allows one more. It is dealt out in tenths of a second, the
 * remainder of the division to the first ones of each second.
 */
static bool take_turn(struct acceptor *a)
{
	int64_t now;

	if (a->rate == 0)
		return true;
	now = now_in_tenths();
	if (now != a->tenth) {
		a->tenth = now;
		a->left = a->rate / 10 + ((unsigned)(now % 10) < a->rate % 10);
	}
	if (a->left > 0) {
		a->left--;
		return true;
	}
	pause_for(a, LACK_TURN);
	return false;
}

static bool find_place(struct acceptor *a)
{
	if (a->may())
		return true;
	pause_for(a, LACK_PLACE);
	return false;
}

static void close_up(struct acceptor *a)
{
	acceptor_gone_fn *gone = a->gone;
	void *arg = a->arg;

	if (a->end != ACCEPTOR_LEAVES)
		shutdown(a->fd, SHUT_RD);
	LIST_REMOVE(a, entry);
	acceptor_free(a);
	gone(arg);
}

static void look_again(struct acceptor *a)
{
	want_hops(a->fd, a->family, HOPS_MOST);
	a->looks--;
	pause_for(a, a->end == ACCEPTOR_MAKES_WAY ? LACK_CALLERS : LACK_TIME);
}

/* That its queue is empty no event would tell, if what was taken was the last. */
static void finish_on(struct acceptor *a, enum took t)
{
	if ((t == TOOK_ALL && a->looks == 0) || a->rest == 0)
		close_up(a);
	else if (t == TOOK_ALL)
		look_again(a);
	else if (t != TOOK_NONE)
		pause_for(a, LACK_TIME);
}

static bool may_accept(struct acceptor *a)
{
	if (!a->gone)
		return find_place(a) && take_turn(a);
	if (a->rest == 0)
		return false;
	a->rest--;
	return true;
}

static void accept_some(struct acceptor *a)
{
	enum took t = TOOK_ONE;

	for (int i = 0; i < ACCEPTS_A_TURN && t == TOOK_ONE && may_accept(a); i++)
		t = accept_one(a);
	if (a->gone)
		finish_on(a, t);
}

static void accept_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	accept_some(arg);
}

static void resume(struct acceptor *a)
{
	go_on(a);
	if (a->gone)
		accept_some(a);
}

static void resume_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	resume(arg);
}

struct acceptor *acceptor_new(struct event_base *base, int fd, acceptor_may_fn may, acceptor_fn fn,
			      void *arg)
{
	struct acceptor *a = calloc(1, sizeof(*a));
	socklen_t len = sizeof(a->family);

	if (!a) {
		close(fd);
		return NULL;
	}
	open_spare();
	a->fd = fd;
	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &a->family, &len);
	a->may = may;
	a->fn = fn;
	a->arg = arg;
	a->event = event_new(base, fd, EV_READ | EV_PERSIST, accept_cb, a);
	a->resume = evtimer_new(base, resume_cb, a);
	if (!a->event || !a->resume || event_add(a->event, NULL) < 0) {
		acceptor_free(a);
		return NULL;
	}
	return a;
}

void acceptor_set(struct acceptor *a, void *arg, unsigned rate)
{
	a->arg = arg;
	a->rate = rate;
}

void acceptor_finish(struct acceptor *a, enum acceptor_end end, acceptor_gone_fn *gone)
{
	static const unsigned looks[] = {
		[ACCEPTOR_LEAVES] = 0,
		[ACCEPTOR_SHUTS] = 1,
		[ACCEPTOR_MAKES_WAY] = LAST_LOOKS,
	};

	go_on(a);
	a->end = end;
	a->looks = looks[end];
	a->gone = gone;
	a->rest = QUEUE_MAX;
	LIST_INSERT_HEAD(&finishing, a, entry);
	accept_some(a);
}

bool acceptor_some_finish(void)
{
	return !LIST_EMPTY(&finishing);
}

void acceptor_finish_no_more(void)
{
	while (!LIST_EMPTY(&finishing))
		close_up(LIST_FIRST(&finishing));
}

void acceptor_free(struct acceptor *a)
{
	wait_no_more(a);
	if (a->event)
		event_free(a->event);
	if (a->resume)
		event_free(a->resume);
	close(a->fd);
	free(a);
}
