/*
 * The bus between processes: several that publish, read, sleep and wake each other at once, and
 * the same while they are killed at random moments, hundreds of times.
 *
 * Each message carries who sent it, its number there, and bytes that follow from both. So a
 * reader can tell a gap, a double and a torn entry. A process says what it was promised (an
 * append that returned) in memory that outlives it.
 */
// links: base bus
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "test_bus_check.h"

enum {
	SIZE = 1 << 18,
	LAG = 1 << 16,
	ROOMS = 12, /* fewer than there are names, so that rooms are given up and taken */
	NAMES = 30,
	LIVES = 1 << 15, /* processes, over a whole test */
	IDS = 1 << 20, /* rooms, likewise */
	BURST = 32, /* messages in one turn */
	BATCH = 5, /* at most, that are there all or none */
	PATIENCE_MS = 10000, /* a sleeper that hears nothing for so long was forgotten */
};

struct payload {
	uint32_t life;
	uint32_t number;
	uint32_t len; /* of the bytes that follow */
	uint32_t seed;
};

/* What all processes of a test and their parent share besides the bus. */
struct board {
	_Atomic bool stop;
	_Atomic bool failed;
	char text[200];
	_Atomic uint32_t ready;
	_Atomic uint64_t digest[SLOTS];
	_Atomic uint32_t promised[LIVES];
};

struct player {
	struct bus *b;
	int slot;
	uint32_t life;
	unsigned seed;
	uint32_t sent;
	uint32_t to_send; /* UINT32_MAX: until told to stop */
	bool churn; /* joins and leaves other rooms as well */
	const struct bus_keep *keep; /* of all rooms that it is in */
	bool batches; /* publishes several at a time, too */
	bool everything; /* was there from the start: knows each room's first entry */
	struct bus_room room;
	uint64_t last; /* sequence in room */
	uint64_t received;
	uint64_t to_receive;
	uint64_t digest;
};

enum { KIND_BATCH = BUS_KIND_MESSAGE + 1 };

static const struct bus_meta message = { .kind = BUS_KIND_MESSAGE };
static struct board *board;
static struct bus *master;
static int wakeups[SLOTS];
static unsigned seed;
static pid_t pids[SLOTS];
static uint32_t lives;

/* Of a process that reads everything: what it saw last of each room and sender. */
static uint64_t last_in_room[IDS];
static uint64_t last_of_life[LIVES];
static uint64_t last_of_batches[LIVES];

static int set_up(void **state)
{
	struct bus_limits l = { .size = SIZE, .lag = LAG, .max_rooms = ROOMS };

	(void)state;
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	assert_true(board != MAP_FAILED);
	bus_check_open(wakeups);
	master = bus_new(&l, wakeups);
	assert_non_null(master);
	seed = bus_check_seed();
	lives = 0;
	memset(pids, 0, sizeof(pids));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < SLOTS; i++) {
		if (pids[i] > 0) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	}
	bus_free(master);
	bus_check_close(wakeups);
	munmap(board, sizeof(*board));
	return 0;
}

static void kick_all(void)
{
	uint64_t one = 1;

	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(write(wakeups[i], &one, sizeof(one)), sizeof(one));
}

/* In a child, where cmocka's assertions have no home. */
static void require(bool good, const char *what, uint64_t a, uint64_t b)
{
	if (good)
		return;
	if (!atomic_exchange(&board->failed, true))
		snprintf(board->text, sizeof(board->text), "%s: %llu, %llu", what,
			 (unsigned long long)a, (unsigned long long)b);
	_exit(1);
}

/* All alike, which is quick, so that much of a process's time is spent in appends. */
static void fill(uint8_t *bytes, uint32_t len, uint32_t x)
{
	memset(bytes, (int)(x * 2654435769U >> 24), len);
}

/* A message as it is sent. */
struct message {
	struct payload head;
	uint8_t bytes[3000];
	struct bus_part parts[2];
};

static void compose(struct player *p, uint32_t number, struct message *m)
{
	m->head = (struct payload){ .life = p->life, .number = number };
	m->head.len = (uint32_t)rand_r(&p->seed) % (rand_r(&p->seed) % 8 ? 100 : sizeof(m->bytes));
	m->head.seed = (uint32_t)rand_r(&p->seed);
	fill(m->bytes, m->head.len, m->head.seed ^ m->head.life ^ m->head.number);
	m->parts[0] = (struct bus_part){ &m->head, sizeof(m->head) };
	m->parts[1] = (struct bus_part){ m->bytes, m->head.len };
}

static enum bus_result note_sent(struct player *p, enum bus_result result, uint32_t count)
{
	require(result == BUS_OK || result == BUS_FULL, "append", result, 0);
	if (result == BUS_OK)
		p->sent += count;
	atomic_store(&board->promised[p->life], p->sent);
	return result;
}

static enum bus_result send_one(struct player *p, struct bus_room room)
{
	const struct bus_meta meta = { .sender = p->life, .kind = BUS_KIND_MESSAGE };
	static struct message m;

	compose(p, p->sent + 1, &m);
	return note_sent(p, bus_append(p->b, room, &meta, m.parts, 2), 1);
}

/* Numbered from a multiple of BATCH on, so that who reads them knows where a batch ends. */
static enum bus_result send_batch(struct player *p, struct bus_room room)
{
	static struct message m[BATCH];
	struct bus_item items[BATCH];

	for (uint32_t i = 0; i < BATCH; i++) {
		compose(p, p->sent + 1 + i, &m[i]);
		items[i] = (struct bus_item){
			.room = room,
			.meta = { .sender = p->life, .kind = KIND_BATCH },
			.parts = m[i].parts,
			.count = 2,
		};
	}
	return note_sent(p, bus_append_all(p->b, items, BATCH), BATCH);
}

static enum bus_result send_some(struct player *p, struct bus_room room)
{
	return p->batches && p->sent % BATCH == 0 ? send_batch(p, room) : send_one(p, room);
}

static void check_bytes(const struct bus_entry *e, struct payload *head)
{
	static uint8_t bytes[3000];

	require(e->frame_len >= sizeof(*head), "short entry", e->frame_len, 0);
	memcpy(head, e->frame, sizeof(*head));
	require(head->len <= sizeof(bytes) && e->frame_len == sizeof(*head) + head->len,
		"length of an entry", e->frame_len, head->len);
	require(head->life < LIVES && e->meta.sender == head->life, "author", head->life,
		e->meta.sender);
	fill(bytes, head->len, head->seed ^ head->life ^ head->number);
	require(memcmp(bytes, e->frame + sizeof(*head), head->len) == 0, "torn entry", head->life,
		head->number);
}

static void check_next(uint64_t *last, uint64_t number, const char *what)
{
	require(number == *last + 1, what, number, *last);
	*last = number;
}

static void check_entry(struct player *p, const struct bus_entry *e)
{
	struct payload head;

	check_bytes(e, &head);
	if (e->meta.kind == BUS_KIND_KEPT)
		return;
	if (p->everything) {
		require(e->room.id < IDS, "room id", e->room.id, 0);
		/* what is made anew begins anywhere */
		if (last_in_room[e->room.id] == 0)
			last_in_room[e->room.id] = e->sequence - 1;
		check_next(&last_in_room[e->room.id], e->sequence, "sequence in a room");
		check_next(&last_of_life[head.life], head.number, "number of an author");
		if (e->meta.kind == KIND_BATCH)
			last_of_batches[head.life] = head.number;
	}
	if (e->room.id != p->room.id || e->sequence <= p->last)
		return;
	require(e->sequence == p->last + 1, "sequence after a join", e->sequence, p->last);
	p->last = e->sequence;
	p->received++;
	p->digest = (p->digest ^ head.life ^ (uint64_t)head.number << 32) * 0x9e3779b97f4a7c15;
}

/* One turn's reading; a budget, so that cursors also stop in the middle. */
static bool read_some(struct player *p)
{
	uint64_t position = bus_cursor(p->b);
	enum bus_result result = BUS_OK;
	struct bus_entry e;

	for (int n = 0; n < 100; n++) {
		result = bus_read(p->b, position, &e);
		if (result != BUS_OK)
			break;
		check_entry(p, &e);
		position = e.end;
	}
	require(result == BUS_OK || result == BUS_EMPTY, "read", result, position);
	bus_advance(p->b, position);
	return result == BUS_OK;
}

static void join_main(struct player *p)
{
	enum bus_result result;

	do
		result = bus_join(p->b, "main", 4, p->keep, &p->room, &p->last);
	while (result == BUS_FULL);
	require(result == BUS_OK, "join", result, 0);
}

/* A visit to another room. */
static void visit(struct player *p)
{
	char name[16];
	struct bus_room room;
	uint64_t sequence;
	enum bus_result result;
	int len = snprintf(name, sizeof(name), "room %d", rand_r(&p->seed) % NAMES);

	result = bus_join(p->b, name, (size_t)len, p->keep, &room, &sequence);
	require(result != BUS_CORRUPT && result != BUS_TOO_BIG, "visit", result, 0);
	if (result != BUS_OK)
		return;
	if (rand_r(&p->seed) % 4 == 0)
		send_one(p, room);
	bus_leave(p->b, room);
	/* time stands still, and so each of them is the cleaner when no lower one is there */
	if (p->keep && rand_r(&p->seed) % 8 == 0)
		require(bus_carry(p->b, 0, 0) != BUS_CORRUPT, "carry", 0, 0);
}

/* As a worker does when a turn left nothing to do. */
static void doze(struct player *p)
{
	struct pollfd fd = { .fd = wakeups[p->slot], .events = POLLIN };
	uint64_t count;
	int n;

	if (bus_sleep(p->b))
		return;
	do
		n = poll(&fd, 1, PATIENCE_MS);
	while (n < 0 && errno == EINTR);
	require(n == 1, "forgotten sleeper", (uint64_t)p->slot, p->received);
	require(read(fd.fd, &count, sizeof(count)) == sizeof(count), "eventfd", 0, 0);
	bus_awake(p->b);
}

/* Returns true when there is nothing to send, or no room for it. */
static bool publish(struct player *p)
{
	for (int n = 0; n < BURST && p->sent < p->to_send; n++)
		if (send_some(p, p->room) == BUS_FULL)
			return !bus_want_space(p->b);
	return p->sent >= p->to_send;
}

static void turn(struct player *p)
{
	bool idle = true;

	if (!atomic_load(&board->stop))
		idle = publish(p);
	if (p->churn)
		visit(p);
	if (read_some(p))
		idle = false;
	bus_wake_readers(p->b);
	if (idle && p->received < p->to_receive)
		doze(p);
}

static void start(struct player *p, void (*play)(struct player *))
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	pids[p->slot] = pid;
	if (pid != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	p->b = master;
	bus_set_slot(master, p->slot);
	play(p);
	_exit(0);
}

static void assert_ended_well(int slot)
{
	int status;

	assert_int_equal(waitpid(pids[slot], &status, 0), pids[slot]);
	pids[slot] = 0;
	if (board->failed)
		fail_msg("%s (BUS_TEST_SEED=%u)", board->text, seed);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

enum { PLAYERS = 4, EACH = 20000 };

static void play_to_the_end(struct player *p)
{
	join_main(p);
	atomic_fetch_add(&board->ready, 1);
	while (atomic_load(&board->ready) < PLAYERS)
		usleep(100);
	while (p->received < p->to_receive)
		turn(p);
	atomic_store(&board->digest[p->slot], p->digest);
	bus_wake_readers(p->b);
	bus_leave(p->b, p->room);
}

/* All publish and read at once: all see all, in one order, and no sleeper is forgotten. */
static void test_one_order_for_all(void **state)
{
	(void)state;
	for (int i = 0; i < PLAYERS; i++) {
		struct player p = { .slot = i,
				    .life = (uint32_t)i,
				    .seed = seed + (unsigned)i,
				    .to_send = EACH,
				    .to_receive = (uint64_t)PLAYERS * EACH };

		start(&p, play_to_the_end);
	}
	for (int i = 0; i < PLAYERS; i++)
		assert_ended_well(i);
	for (int i = 1; i < PLAYERS; i++)
		assert_int_equal(board->digest[i], board->digest[0]);
	for (int i = 0; i < PLAYERS; i++)
		assert_int_equal(master->shared->slots[i].cursor, BUS_NO_CURSOR);
	assert_int_equal(master->shared->recoveries, 0);
}

/* Whether it has nothing to send, or no space for it in either room. */
static bool publish_to_both(struct player *p, const struct bus_room rooms[2])
{
	bool full = true;

	bus_want_nothing(p->b);
	for (int n = 0; n < BURST && p->sent < p->to_send; n++)
		full &= send_one(p, rooms[n % 2]) == BUS_FULL;
	return full || p->sent >= p->to_send;
}

/* Is a member of one of two rooms and publishes to both, until all have done so. */
static void play_in_two_rooms(struct player *p)
{
	static const char *const names[2] = { "left", "right" };
	struct bus_room rooms[2];
	uint32_t before = 0;

	p->room.id = 0;
	for (int i = 0; i < 2; i++)
		require(bus_open(p->b, names[i], strlen(names[i]), NULL, &rooms[i]) == BUS_OK,
			"open", 0, 0);
	require(bus_join(p->b, names[p->slot % 2], strlen(names[p->slot % 2]), NULL,
			 &rooms[p->slot % 2], &p->last) == BUS_OK,
		"join", 0, 0);
	while (atomic_load(&board->ready) < PLAYERS) {
		bool idle = publish_to_both(p, rooms);

		if (before < p->to_send && p->sent == p->to_send)
			atomic_fetch_add(&board->ready, 1);
		before = p->sent;
		idle &= !read_some(p);
		bus_wake_readers(p->b);
		idle &= !bus_want_space(p->b);
		if (idle && atomic_load(&board->ready) < PLAYERS)
			doze(p);
	}
	kick_all();
}

/* With no space in one room, or the other, or both, nobody is forgotten. */
static void test_two_rooms(void **state)
{
	(void)state;
	for (int i = 0; i < PLAYERS; i++) {
		struct player p = {
			.slot = i, .life = (uint32_t)i, .seed = seed + (unsigned)i, .to_send = EACH
		};

		start(&p, play_in_two_rooms);
	}
	for (int i = 0; i < PLAYERS; i++)
		assert_ended_well(i);
}

static void end_with_the_lock(int sig)
{
	uint64_t acquisitions;

	(void)sig;
	if (bus_lock_owner(master, &acquisitions) == getpid())
		raise(SIGKILL);
}

/* Killed sooner or later. */
static void play_until_killed(struct player *p)
{
	signal(SIGUSR1, end_with_the_lock);
	join_main(p);
	for (;;)
		turn(p);
}

/* Reads everything from the first entry on, and at the end compares with what was promised. */
static void play_witness(struct player *p)
{
	join_main(p);
	atomic_fetch_add(&board->ready, 1);
	while (!atomic_load(&board->stop))
		turn(p);
	while (read_some(p))
		continue;
	for (uint32_t life = 0; life < LIVES; life++) {
		uint32_t promised = atomic_load(&board->promised[life]);

		uint64_t batched = last_of_batches[life];

		require(batched % BATCH == 0, "part of a batch", batched, last_of_life[life]);
		/* One that was killed may have published a last one and not lived to know. */
		require(last_of_life[life] == promised || last_of_life[life] == promised + 1 ||
				(batched == last_of_life[life] && batched == promised + BATCH),
			"promised and seen", promised, last_of_life[life]);
	}
}

enum { WITNESS = 0, VICTIMS = 3, KILL_MS = 1500, KILLS_AT_LEAST = 200, MS_AT_MOST = 30000 };

static const struct bus_keep some = { .messages = 20, .bytes = LAG / 16 };

static void start_victim(int slot)
{
	struct player p = {
		.slot = slot, .keep = &some, .to_send = UINT32_MAX, .to_receive = UINT64_MAX
	};

	assert_true(lives < LIVES - 1);
	p.life = ++lives;
	p.seed = (unsigned)rand_r(&seed);
	p.churn = p.life % 2 == 0;
	p.batches = p.life % 3 != 0;
	start(&p, play_until_killed);
}

/* What the master does when a worker has died. */
static void kill_one(int slot)
{
	int status;

	kill(pids[slot], SIGKILL);
	assert_int_equal(waitpid(pids[slot], &status, 0), pids[slot]);
	pids[slot] = 0;
	if (board->failed)
		fail_msg("%s (BUS_TEST_SEED=%u)", board->text, seed);
	assert_true(WIFSIGNALED(status));
	bus_clear_slot(master, slot);
	kick_all();
}

static unsigned elapsed_ms(const struct timespec *since)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned)((t.tv_sec - since->tv_sec) * 1000 +
			  (t.tv_nsec - since->tv_nsec) / 1000000);
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/*
 * Every other time it is asked to end itself where it holds the lock, for a random moment is mostly
 * outside. Whoever has but one processor never sees another one hold it for long.
 */
static void await_moment(int slot, unsigned n)
{
	enum { ASKED = 30 };

	usleep((useconds_t)(rand_r(&seed) % 3000));
	for (int i = 0; n % 2 == 0 && i < ASKED && !has_ended(pids[slot]); i++) {
		kill(pids[slot], SIGUSR1);
		usleep(100);
	}
}

/* The newest are there, as many as are kept by their number or by their bytes. */
static void check_main_is_kept(struct bus_room room)
{
	static struct bus_entry entries[100];
	static uint8_t bytes[LAG];
	struct bus_past past = { entries, 100, 0, bytes, sizeof(bytes), 0, 0, 1 };
	uint64_t number = bus_sequence(master, room), size = 0;
	struct payload head;

	assert_null(bus_check_keeping(master));
	assert_int_equal(bus_history(master, room, UINT64_MAX, &past), BUS_EMPTY);
	for (size_t i = past.most; i-- > past.first;) {
		assert_int_equal(entries[i].sequence, number--);
		check_bytes(&entries[i], &head);
		size += bus_entry_size(entries[i].frame_len);
	}
	assert_false(board->failed);
	print_message("%zu entries kept, %llu bytes\n", past.most - past.first,
		      (unsigned long long)size);
	assert_true(past.most - past.first == some.messages ||
		    size + bus_entry_size(sizeof(struct message)) > some.bytes);
}

/* All rooms can be used again, once the log has gone round. */
static void check_rooms_are_free(void)
{
	struct bus_room room;
	uint64_t sequence;
	static char bytes[LAG / 2];
	char name[32];
	struct bus_part part = { bytes, sizeof(bytes) };

	assert_null(bus_check_directory(master));
	bus_set_slot(master, WITNESS);
	assert_int_equal(bus_join(master, "main", 4, NULL, &room, &sequence), BUS_OK);
	check_main_is_kept(room);
	for (int n = 0; n < SIZE / (LAG / 2) + 2;) {
		enum bus_result result = bus_append(master, room, &message, &part, 1);

		assert_true(result == BUS_OK || (result == BUS_FULL && bus_want_space(master)));
		n += result == BUS_OK;
		bus_advance(master, master->shared->tail);
	}
	for (int n = 0; n < ROOMS - 1; n++) {
		snprintf(name, sizeof(name), "fresh %d", n);
		assert_int_equal(bus_join(master, name, strlen(name), NULL, &room, &sequence),
				 BUS_OK);
	}
	assert_int_equal(bus_join(master, "many", 4, NULL, &room, &sequence), BUS_ROOMS_FULL);
	assert_null(bus_check_directory(master));
}

/* Kills at any time: no gap, no double, nothing torn, and nothing left behind. */
static void test_kill_at_any_time(void **state)
{
	struct player witness = { .slot = WITNESS, .everything = true, .to_receive = UINT64_MAX };
	unsigned given = seed, kills = 0, ms;
	struct timespec begin;

	(void)state;
	start(&witness, play_witness);
	while (atomic_load(&board->ready) == 0)
		usleep(100);
	for (int i = 1; i <= VICTIMS; i++)
		start_victim(i);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		int slot = 1 + rand_r(&seed) % VICTIMS;

		await_moment(slot, kills);
		kill_one(slot);
		start_victim(slot);
		kills++;
		ms = elapsed_ms(&begin);
	} while (ms < MS_AT_MOST &&
		 (ms < KILL_MS || kills < KILLS_AT_LEAST || master->shared->recoveries < 5));
	for (int i = 1; i <= VICTIMS; i++)
		kill_one(i);
	atomic_store(&board->stop, true);
	kick_all();
	seed = given;
	assert_ended_well(WITNESS);
	bus_clear_slot(master, WITNESS);
	print_message("%u kills, %llu of them in the lock, %llu entries' bytes\n", kills,
		      (unsigned long long)master->shared->recoveries,
		      (unsigned long long)master->shared->tail);
	assert_true(master->shared->recoveries >= 5);
	check_rooms_are_free();
}

/* An owner that is stopped costs the others a bounded wait, and can be told by the master. */
static void hold_the_lock(struct player *p)
{
	require(bus_lock(p->b, BUS_BRIEFLY) == BUS_OK, "lock", 0, 0);
	raise(SIGSTOP);
	bus_unlock(p->b);
}

static void test_stopped_owner(void **state)
{
	struct player p = { .slot = 5 };
	struct bus_room room;
	uint64_t sequence, before, after;
	struct timespec begin;
	unsigned took = UINT_MAX;
	int status;

	(void)state;
	bus_set_slot(master, 1);
	assert_int_equal(bus_join(master, "main", 4, NULL, &room, &sequence), BUS_OK);
	start(&p, hold_the_lock);
	assert_int_equal(waitpid(pids[5], &status, WUNTRACED), pids[5]);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(bus_lock_owner(master, &before), pids[5]);
	/* A hundred publishers do not wait a hundred times 2 ms; on a busy machine, once in a while. */
	for (int tries = 0; took >= 150; tries++) {
		assert_in_range(tries, 0, 9);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (int n = 0; n < 100; n++) {
			struct bus_part part = { "x", 1 };

			assert_int_equal(bus_append(master, room, &message, &part, 1), BUS_FULL);
		}
		took = elapsed_ms(&begin);
	}
	assert_int_equal(bus_join(master, "other", 5, NULL, &room, &sequence), BUS_FULL);
	assert_int_equal(bus_lock_owner(master, &after), pids[5]);
	assert_int_equal(before, after);

	kill_one(5);
	assert_int_equal(bus_lock_owner(master, &after), 0);
	assert_int_equal(bus_join(master, "other", 5, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(bus_lock_owner(master, &after), 0);
	assert_true(after > before);
	assert_int_equal(master->shared->recoveries, 1);
}

/* A record that cannot be true ends the log for all, not only for who found it. */
static void die_with_the_lock(struct player *p)
{
	require(bus_lock(p->b, BUS_BRIEFLY) == BUS_OK, "lock", 0, 0);
	p->b->shared->redo.new_tail = p->b->shared->tail;
	p->b->shared->redo.position = p->b->shared->tail + BUS_ALIGN;
	raise(SIGKILL);
}

/* The newest entry is of another room than the one in its place. */
static void die_with_another_room(struct player *p)
{
	require(bus_lock(p->b, BUS_BRIEFLY) == BUS_OK, "lock", 0, 0);
	p->b->rooms[0].id++;
	raise(SIGKILL);
}

static void check_recovery_of_nonsense(void (*die)(struct player *p))
{
	struct player p = { .slot = 5 };
	struct bus other = *master;
	struct bus_room room;
	uint64_t sequence;

	start(&p, die);
	waitpid(pids[5], NULL, 0);
	pids[5] = 0;
	bus_set_slot(master, 0);
	bus_set_slot(&other, 1);
	assert_int_equal(bus_join(master, "main", 4, NULL, &room, &sequence), BUS_CORRUPT);
	assert_int_equal(bus_join(&other, "main", 4, NULL, &room, &sequence), BUS_CORRUPT);
	assert_int_equal(bus_join(master, "main", 4, NULL, &room, &sequence), BUS_CORRUPT);
}

static void test_recovery_of_nonsense(void **state)
{
	(void)state;
	check_recovery_of_nonsense(die_with_the_lock);
}

static void test_recovery_of_another_room(void **state)
{
	struct bus_room room;
	uint64_t sequence;

	(void)state;
	bus_set_slot(master, 0);
	assert_int_equal(bus_join(master, "main", 4, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(room.index, 0);
	assert_int_equal(bus_append(master, room, &message, NULL, 0), BUS_OK);
	check_recovery_of_nonsense(die_with_another_room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_order_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_rooms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_kill_at_any_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stopped_owner, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_recovery_of_nonsense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_recovery_of_another_room, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
