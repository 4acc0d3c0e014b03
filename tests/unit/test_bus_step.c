/*
 * A kill between any two instructions. A process is traced through one call of the bus,
 * instruction by instruction, and killed after n of them, for every n (or a sample of them, when
 * there are very many, as in a build with sanitizers). Each time the log must hold the entry whole
 * or not at all, the directory must be sound, and the next worker must be able to go on. And
 * wherever it stands still with the lock, the lock must say whose it is. What is read without
 * the lock is written over between any two instructions of who reads it; and whoever asks for space
 * is told of it, between whichever two instructions it comes.
 *
 * Where ptrace is not allowed, or a traced lock never ends (processors that build atomics from
 * load-linked and store-conditional), the tests are skipped.
 */
// links: base bus
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/presence.h"
#include "bus_step.h"

enum { LAG = 8192, ROOMS = 3 };

static int set_up(void **state)
{
	return set_up_in(state, A_WORKER, LAG, ROOMS);
}

static int set_up_role(void **state)
{
	return set_up_in(state, A_ROLE, LAG, ROOMS);
}

/* The other worker's own entry follows what the dead one may have left, without a gap. */
static uint64_t go_on(struct fixture *f)
{
	struct bus_part part = { "other", 5 };
	const struct bus_meta others = { .kind = 2 };
	uint64_t before = f->last;
	struct bus_entry e;
	enum bus_result result;

	assert_int_equal(bus_append(&f->other, f->room, &others, &part, 1), BUS_OK);
	while ((result = bus_read(&f->other, bus_cursor(&f->other), &e)) == BUS_OK) {
		if (e.room.id == f->room.id)
			assert_int_equal(e.sequence, ++f->last);
		if (e.meta.kind == 1) {
			assert_int_equal(e.meta.sender, f->number);
			assert_int_equal(e.frame_len, 100);
			for (size_t i = 0; i < e.frame_len; i++)
				assert_int_equal(e.frame[i], (uint8_t)f->number);
		}
		bus_advance(&f->other, e.end);
	}
	assert_int_equal(result, BUS_EMPTY);
	assert_int_equal(e.meta.kind, 2);
	assert_int_equal(bus_sequence(&f->other, f->room), f->last);
	assert_null(bus_check_directory(f->victim));
	return f->last - before;
}

static void join_room(struct fixture *f)
{
	uint64_t sequence;

	if (bus_join(f->victim, "room", 4, NULL, &f->room, &sequence) != BUS_OK)
		_exit(1);
}

static void open_room(struct fixture *f)
{
	if (bus_open(f->victim, "room", 4, NULL, &f->room) != BUS_OK)
		_exit(1);
}

static void append(struct fixture *f)
{
	uint8_t bytes[100];
	struct bus_part part = { bytes, sizeof(bytes) };
	const struct bus_meta own = { .sender = f->number, .kind = 1 };

	memset(bytes, (int)f->number, sizeof(bytes));
	if (bus_append(f->victim, f->room, &own, &part, 1) != BUS_OK)
		_exit(1);
}

static uint64_t whole, absent;

static void check_append(struct fixture *f)
{
	uint64_t entries = go_on(f);

	assert_in_range(entries, 1, 2);
	if (entries == 2)
		whole++;
	else
		absent++;
}

static void append_everywhere(struct fixture *f, void (*prepare)(struct fixture *))
{
	whole = absent = 0;
	assert_some_with_the_lock(f, kill_everywhere(f, prepare, append, check_append));
	assert_true(whole > 4);
	assert_true(absent > 4);
}

static void test_append(void **state)
{
	append_everywhere(*state, join_room);
}

/* Who is no reader has no cursor that anybody waits for, and is heard like one who is. */
static void test_append_of_a_role(void **state)
{
	append_everywhere(*state, open_room);
}

enum { IN_BATCH = 3 };

/* By turns to a room that the other is in as well, and to one in which nobody is. */
static void append_batch(struct fixture *f)
{
	uint8_t bytes[100];
	struct bus_part part = { bytes, sizeof(bytes) };
	struct bus_item items[IN_BATCH];

	memset(bytes, (int)f->number, sizeof(bytes));
	for (unsigned i = 0; i < IN_BATCH; i++)
		items[i] = (struct bus_item){
			.room = i % 2 ? f->held[0] : f->room,
			.meta = { .sender = f->number, .kind = 1 },
			.parts = &part,
			.count = 1,
		};
	if (bus_append_all(f->victim, items, IN_BATCH) != BUS_OK)
		_exit(1);
}

static void open_two(struct fixture *f)
{
	open_room(f);
	if (bus_open(f->victim, "second", 6, NULL, &f->held[0]) != BUS_OK)
		_exit(1);
}

/* How many entries of a room are linked from the last one, all with their numbers. */
static uint64_t count_links(const struct bus *b, struct bus_room room)
{
	uint64_t sequence = bus_sequence(b, room), count = 0;

	for (uint64_t position = b->rooms[room.index].last; position != 0; count++) {
		struct bus_head head;

		if (b->shared->reserve - position > b->size)
			break;
		bus_copy_head(b, position, &head);
		assert_int_equal(head.id, room.id);
		assert_int_equal(head.sequence, sequence - count);
		position = head.previous;
	}
	return count;
}

/* All of it can be read, in both rooms, or nothing. */
static void check_batch(struct fixture *f)
{
	static uint64_t second;
	const struct bus_meta others = { .kind = 2 };
	struct bus_room room;
	uint64_t entries = go_on(f), now;

	assert_int_equal(bus_open(&f->other, "second", 6, NULL, &room), BUS_OK);
	if (f->number == 0)
		second = 0;
	now = bus_sequence(&f->other, room);
	assert_true(count_links(&f->other, f->room) >= entries);
	assert_true(count_links(&f->other, room) >= now - second);
	if (entries == 1) {
		absent++;
		assert_int_equal(now, second);
	} else {
		whole++;
		assert_int_equal(entries, 1 + IN_BATCH - IN_BATCH / 2);
		assert_int_equal(now, second + IN_BATCH / 2);
	}
	/* the next one is numbered and linked behind them, and the room stays */
	assert_int_equal(bus_append(&f->other, room, &others, NULL, 0), BUS_OK);
	second = now + 1;
	assert_int_equal(bus_sequence(&f->other, room), second);
	assert_true(count_links(&f->other, room) >= second - now);
	bus_advance(&f->other, f->other.shared->tail);
}

static void test_batch(void **state)
{
	whole = absent = 0;
	assert_some_with_the_lock(*state,
				  kill_everywhere(*state, open_two, append_batch, check_batch));
	assert_true(whole > 4);
	assert_true(absent > 4);
}

static void redo(struct fixture *f)
{
	if (!bus_redo_newest(f->victim))
		_exit(1);
}

/* What its author has finished is finished again, and nobody who looks meanwhile sees less of it. */
static void test_redone_twice(void **state)
{
	struct fixture *f = *state;
	struct bus_item items[IN_BATCH];
	uint64_t last;
	pid_t pid;

	for (unsigned i = 0; i < IN_BATCH; i++)
		items[i] = (struct bus_item){ .room = f->room, .meta = { .kind = 1 } };
	assert_int_equal(bus_append_all(&f->other, items, IN_BATCH), BUS_OK);
	last = f->other.rooms[f->room.index].last;
	pid = start(f, NULL, redo);
	if (pid < 0)
		skip_for("needs ptrace, which is not allowed here");
	do {
		assert_int_equal(bus_sequence(&f->other, f->room), IN_BATCH);
		assert_int_equal(f->other.rooms[f->room.index].last, last);
	} while (step(pid, 1) == 1);
	end(f, pid);
}

static enum bus_result append_with_key(struct fixture *f, struct bus *b)
{
	uint8_t bytes[100];
	struct bus_part part = { bytes, sizeof(bytes) };
	struct bus_once once = { { { f->number, 1 } }, { { f->number, 2 } }, BUS_KEY_MS };
	struct bus_item items[2];
	enum bus_result result;

	memset(bytes, (int)f->number, sizeof(bytes));
	for (unsigned i = 0; i < 2; i++)
		items[i] = (struct bus_item){
			.room = f->room,
			.meta = { .sender = f->number, .kind = 1 },
			.parts = &part,
			.count = 1,
		};
	result = bus_append_once(b, items, 2, &once);
	if (result == BUS_OK || result == BUS_REPEATED) {
		f->answers[0] = items[0].sequence;
		f->answers[1] = items[1].sequence;
	}
	return result;
}

static void append_once(struct fixture *f)
{
	if (append_with_key(f, f->victim) != BUS_OK)
		_exit(1);
}

/* All places of keys, so that for each that comes one has to go. */
static void give_all_keys(struct fixture *f)
{
	struct bus_part part = { "other", 5 };
	struct bus_once once = { .now = 0 };

	for (uint64_t n = 0; n < BUS_KEYS; n++) {
		struct bus_item item = { .room = f->room, .parts = &part, .count = 1 };

		once.key.half[0] = n;
		item.meta.kind = 2;
		assert_int_equal(bus_append_once(&f->other, &item, 1, &once), BUS_OK);
		bus_advance(&f->other, f->other.shared->tail);
	}
	f->last = bus_sequence(&f->other, f->room);
}

/* Each key that is kept is in a chain, and no other is; the oldest may be about to go. */
static void check_keys(const struct bus_keys *k)
{
	uint64_t found = 0;

	for (uint32_t chain = 0; chain < BUS_KEYS; chain++)
		for (uint32_t i = k->chains[chain]; i != 0; i = k->keys[i - 1].next)
			found++;
	assert_in_range(k->end - k->first - found, 0, 1);
}

/* Who asks again finds that it was published, or publishes it now. */
static void check_once(struct fixture *f)
{
	uint64_t before = f->last;
	enum bus_result result;

	result = append_with_key(f, &f->other);
	/* what the dead one had begun is finished by now */
	check_keys(f->victim->keys);
	assert_true(result == BUS_OK || result == BUS_REPEATED);
	if (result == BUS_REPEATED)
		whole++;
	else
		absent++;
	assert_int_equal(f->answers[0], before + 1);
	assert_int_equal(f->answers[1], before + 2);
	assert_int_equal(go_on(f), 3);
	assert_int_equal(append_with_key(f, &f->other), BUS_REPEATED);
	assert_int_equal(f->answers[1], before + 2);
	assert_int_equal(f->victim->keys->end - f->victim->keys->first, BUS_KEYS);
}

static void test_once(void **state)
{
	struct fixture *f = *state;

	whole = absent = 0;
	give_all_keys(f);
	assert_some_with_the_lock(f, kill_everywhere(f, open_room, append_once, check_once));
	assert_true(whole > 4);
	assert_true(absent > 4);
}

/* All places of the directory but the other's are free, and an id is never seen twice. */
static void check_join(struct fixture *f)
{
	static uint64_t newest;
	struct bus_room rooms[ROOMS];
	uint64_t sequence;

	if (f->number == 0)
		newest = 0;
	go_on(f);
	for (unsigned i = 0; i < ROOMS - 1; i++) {
		char name[32];
		int len = snprintf(name, sizeof(name), "fresh %u %u", f->number, i);

		assert_int_equal(bus_join(&f->other, name, (size_t)len, NULL, &rooms[i], &sequence),
				 BUS_OK);
		assert_int_equal(sequence, 0);
		assert_true(rooms[i].id > newest);
		newest = rooms[i].id;
	}
	assert_int_equal(bus_join(&f->other, "many", 4, NULL, &rooms[0], &sequence),
			 BUS_ROOMS_FULL);
	assert_null(bus_check_directory(f->victim));
	for (uint32_t i = 0; i < ROOMS; i++)
		if (i != f->room.index)
			bus_leave(&f->other,
				  (struct bus_room){ .id = f->victim->rooms[i].id, .index = i });
}

static void join_new(struct fixture *f)
{
	char name[32] = "new";
	struct bus_room room;
	uint64_t sequence;

	memcpy(name + 3, &f->number, sizeof(f->number));
	if (bus_join(f->victim, name, 3 + sizeof(f->number), NULL, &room, &sequence) != BUS_OK)
		_exit(1);
}

/* From the second kill on all rooms were used once, so a free one is taken out of its chain. */
static void test_join(void **state)
{
	assert_some_with_the_lock(*state, kill_everywhere(*state, NULL, join_new, check_join));
}

/* The other's room and the new one are there; what a dead one left takes no place for good. */
static void check_open(struct fixture *f)
{
	struct bus_room room;
	char name[32];

	go_on(f);
	for (unsigned i = 0; i < 2 * ROOMS; i++) {
		int len = snprintf(name, sizeof(name), "fresh %u %u", f->number, i);

		assert_int_equal(bus_open(&f->other, name, (size_t)len, NULL, &room), BUS_OK);
	}
	assert_null(bus_check_directory(f->victim));
}

static void open_new(struct fixture *f)
{
	char name[32] = "new";
	struct bus_room room;

	memcpy(name + 3, &f->number, sizeof(f->number));
	if (bus_open(f->victim, name, 3 + sizeof(f->number), NULL, &room) != BUS_OK)
		_exit(1);
}

static void test_open_of_a_role(void **state)
{
	assert_some_with_the_lock(*state, kill_everywhere(*state, NULL, open_new, check_open));
}

/* The members are the other's, and of nobody who is dead, or has the slot next. */
static void check_members(struct fixture *f)
{
	struct bus next = *f->victim;
	struct bus_room room;
	uint64_t sequence;

	bus_set_slot(&next, f->slot);
	assert_int_equal(bus_members(&f->other, f->room), 3);
	assert_int_equal(bus_join(&next, "room", 4, NULL, &room, &sequence), BUS_OK);
	assert_int_equal(bus_members(&f->other, f->room), 3);
	bus_leave(&next, room);
	go_on(f);
}

static void say_how_many(struct fixture *f)
{
	bus_go(&f->other, f->room, 3, 0);
	join_room(f);
	bus_go(f->victim, f->room, 5, 0);
}

static void come_and_go(struct fixture *f)
{
	bus_go(f->victim, f->room, 7, 0);
	bus_leave(f->victim, f->room);
	join_room(f);
	bus_go(f->victim, f->room, 9, 0);
}

static void test_members(void **state)
{
	assert_some_with_the_lock(
		*state, kill_everywhere(*state, say_how_many, come_and_go, check_members));
}

/* At every instruction at which nobody else gets the lock, it is the victim's by name. */
static void test_owner_is_named_wherever_it_stands(void **state)
{
	struct fixture *f = *state;
	pthread_mutex_t *lock = &f->victim->shared->lock;
	pid_t pid = start(f, f->slot < SLOTS_WORKERS ? join_room : open_room, append);
	unsigned steps = 0, held = 0;
	uint64_t count;

	if (pid < 0)
		skip();
	do {
		if (pthread_mutex_trylock(lock) == 0) {
			pthread_mutex_unlock(lock);
			assert_int_equal(bus_lock_owner(f->victim, &count), 0);
		} else {
			held++;
			assert_int_equal(bus_lock_owner(f->victim, &count), pid);
		}
	} while (step(pid, 1) == 1 && ++steps < TOO_MANY_STEPS);
	end(f, pid);
	if (steps == TOO_MANY_STEPS)
		skip();
	print_message("%u of %u instructions with the lock\n", held, steps);
	assert_true(held > 50);
}

/* All bytes of an entry are the low ones of its number. */
static void say_some(struct fixture *f)
{
	static uint8_t bytes[2000];
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE };

	/* As many as reach to what is being read, into it, or beyond. */
	for (unsigned i = 0; i < 36 + f->number % 16; i++) {
		struct bus_part part = { bytes, 1000 + 37 * i % 1000 };

		memset(bytes, (int)(bus_sequence(&f->other, f->room) + 1), part.len);
		assert_int_equal(bus_append(&f->other, f->room, &meta, &part, 1), BUS_OK);
		bus_advance(&f->other, f->other.shared->tail);
	}
}

static void fill_the_log(struct fixture *f)
{
	uint64_t until = f->other.shared->tail + SIZE;

	while (f->other.shared->tail < until)
		say_some(f);
}

static void look_back(struct fixture *f)
{
	static struct bus_entry entries[3];
	static uint8_t bytes[SIZE];
	struct bus_past past = { entries, 3, 0, bytes, sizeof(bytes), 0, 0, 0 };

	enum bus_result result = bus_history(f->victim, f->room, UINT64_MAX, &past);

	if (result != BUS_OK && result != BUS_EMPTY)
		_exit(1);
	for (size_t i = past.first; i < past.most; i++) {
		const struct bus_entry *e = &entries[i];

		if (i > past.first && e->sequence != e[-1].sequence + 1)
			_exit(1);
		if (e->frame_len < 1000 || e->frame[0] != (uint8_t)e->sequence ||
		    memcmp(e->frame, e->frame + 1, e->frame_len - 1) != 0)
			_exit(1);
	}
}

static void test_history_is_never_torn(void **state)
{
	meddle_everywhere(*state, fill_the_log, look_back, say_some, NULL);
}

/* A name of one letter, as many times as can be. */
static void open_one(struct fixture *f, char letter, struct bus_room *room)
{
	char name[BUS_ROOM_NAME_MAX];

	memset(name, letter, sizeof(name));
	memcpy(name, &f->number, sizeof(f->number));
	assert_int_equal(bus_open(&f->other, name, sizeof(name), NULL, room), BUS_OK);
}

static void open_a(struct fixture *f)
{
	open_one(f, 'a', &f->held[0]);
}

static void open_others(struct fixture *f)
{
	open_one(f, 'b', &f->held[1]);
	open_one(f, 'c', &f->held[1]);
}

static void read_name(struct fixture *f)
{
	char name[BUS_ROOM_NAME_MAX];

	if (bus_name(f->victim, f->held[0], name) < 0)
		return;
	if (name[sizeof(f->number)] != 'a' ||
	    memcmp(name + sizeof(f->number), name + sizeof(f->number) + 1,
		   sizeof(name) - sizeof(f->number) - 1) != 0)
		_exit(1);
}

static void test_names_are_never_torn(void **state)
{
	meddle_everywhere(*state, open_a, read_name, open_others, NULL);
}

/* A room of which name, messages and members all say the same. */
static void join_one(struct fixture *f, char letter, uint32_t number)
{
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE };
	struct bus_part part = { "x", 1 };
	uint64_t sequence;

	assert_int_equal(bus_join(&f->other, &letter, 1, NULL, &f->held[2], &sequence), BUS_OK);
	for (uint32_t i = 0; i < number; i++)
		assert_int_equal(bus_append(&f->other, f->held[2], &meta, &part, 1), BUS_OK);
	bus_go(&f->other, f->held[2], number, 0);
	bus_advance(&f->other, f->other.shared->tail);
}

/* One place of the directory is left for it. */
static void join_a(struct fixture *f)
{
	uint64_t sequence;

	if (f->held[1].id == 0)
		assert_int_equal(bus_join(&f->other, "stays", 5, NULL, &f->held[1], &sequence),
				 BUS_OK);
	bus_leave(&f->other, f->held[2]);
	fill_the_log(f);
	join_one(f, 'a', 1);
	f->held[0] = f->held[2];
	/* what comes in its place begins there */
	f->answers[0] = bus_sequence(&f->other, f->held[0]);
}

static void join_b_instead(struct fixture *f)
{
	bus_leave(&f->other, f->held[2]);
	fill_the_log(f);
	join_one(f, 'b', 2);
	assert_int_equal(f->held[2].index, f->held[0].index);
}

static void list_it(struct fixture *f)
{
	struct bus_listed r;
	unsigned number;

	if (!bus_list(f->victim, f->held[0].index, &r))
		return;
	number = r.name[0] == 'a' ? 1 : 2;
	if (r.name_len != 1 || r.name[0] != "?ab"[number] ||
	    (number == 1 ? r.sequence > f->answers[0] : r.sequence < f->answers[0]) ||
	    (r.members != 0 && r.members != number))
		_exit(1);
}

static void test_a_listed_room_is_one(void **state)
{
	meddle_everywhere(*state, join_a, list_it, join_b_instead, NULL);
}

static void count_members(struct fixture *f)
{
	if (bus_members(f->victim, f->held[0]) > 1)
		_exit(1);
}

static void test_members_are_of_one_room(void **state)
{
	meddle_everywhere(*state, join_a, count_members, join_b_instead, NULL);
}

static bool is_told(struct fixture *f, int slot)
{
	uint64_t count;

	return read(f->wakeups[slot], &count, sizeof(count)) == (ssize_t)sizeof(count);
}

static enum bus_result say(struct fixture *f, struct bus *b)
{
	static uint8_t bytes[LAG / 2];
	struct bus_part part = { bytes, sizeof(bytes) };
	const struct bus_meta meta = { .kind = BUS_KIND_MESSAGE };

	return bus_append(b, f->room, &meta, &part, 1);
}

/* Neither has space, nor has found that it may have some. */
static bool waits(struct fixture *f, struct bus *b)
{
	if (say(f, b) == BUS_OK)
		return false;
	bus_wake_readers(b);
	return !bus_want_space(b);
}

/* The other, who is in two rooms, is so far behind that it holds up both. */
static void hold_up(struct fixture *f)
{
	uint64_t sequence;

	bus_advance(&f->other, f->other.shared->tail);
	if (!(f->victim->rooms[f->room.index].members & 1 << OTHER))
		assert_int_equal(bus_join(&f->other, "room", 4, NULL, &f->room, &sequence), BUS_OK);
	if (f->other.joined == 1)
		assert_int_equal(bus_join(&f->other, "more", 4, NULL, &f->held[0], &sequence),
				 BUS_OK);
	while (say(f, &f->other) == BUS_OK)
		continue;
	while (is_told(f, f->slot))
		continue;
}

static bool holds_up(const struct fixture *f)
{
	uint64_t cursor = f->victim->shared->slots[OTHER].cursor;

	return f->victim->rooms[f->room.index].members & 1 << OTHER &&
	       f->victim->shared->tail - cursor > LAG;
}

static void wait_for_the_other(struct fixture *f)
{
	if (waits(f, f->victim) && !holds_up(f) && !is_told(f, f->slot))
		_exit(1);
}

static void go_forward(struct fixture *f)
{
	bus_advance(&f->other, f->other.shared->tail);
}

static void leave(struct fixture *f)
{
	bus_leave(&f->other, f->room);
}

static void test_told_of_a_cursor_that_moves(void **state)
{
	meddle_everywhere(*state, hold_up, wait_for_the_other, go_forward, NULL);
}

static void test_told_of_a_reader_that_leaves(void **state)
{
	meddle_everywhere(*state, hold_up, wait_for_the_other, leave, NULL);
}

/* The same from the other side: who goes forward, or leaves, is stepped through. */
static void victim_holds_up(struct fixture *f)
{
	uint64_t sequence;

	f->victim->joined = 0;
	bus_set_slot(f->victim, f->slot);
	bus_advance(&f->other, f->other.shared->tail);
	assert_int_equal(bus_join(f->victim, "room", 4, NULL, &f->room, &sequence), BUS_OK);
	assert_int_equal(bus_join(f->victim, "more", 4, NULL, &f->held[0], &sequence), BUS_OK);
	do
		bus_advance(&f->other, f->other.shared->tail);
	while (say(f, &f->other) == BUS_OK);
	bus_want_nothing(&f->other);
	while (is_told(f, OTHER))
		continue;
}

static void victim_goes_forward(struct fixture *f)
{
	bus_advance(f->victim, f->victim->shared->tail);
}

static void victim_leaves(struct fixture *f)
{
	bus_leave(f->victim, f->room);
}

static bool other_waits;

static void wait_for_the_victim(struct fixture *f)
{
	other_waits = waits(f, &f->other);
}

static void check_told(struct fixture *f)
{
	assert_true(!other_waits || is_told(f, OTHER));
}

static void test_tells_as_it_moves(void **state)
{
	meddle_everywhere(*state, victim_holds_up, victim_goes_forward, wait_for_the_victim,
			  check_told);
}

static void test_tells_as_it_leaves(void **state)
{
	meddle_everywhere(*state, victim_holds_up, victim_leaves, wait_for_the_victim, check_told);
}

/* Nothing is left of one that died while it waited, or was about to. */
static void check_waits_no_more(struct fixture *f)
{
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(f->victim->shared->slots[i].awaited, 0);
	assert_int_equal(bus_awaited(f->victim), 0);
	hold_up(f);
}

static void find_no_space(struct fixture *f)
{
	if (say(f, f->victim) != BUS_FULL)
		_exit(1);
}

static void ask(struct fixture *f)
{
	if (bus_want_space(f->victim))
		_exit(1);
}

static void test_dies_as_it_asks(void **state)
{
	hold_up(*state);
	assert_true(kill_everywhere(*state, find_no_space, ask, check_waits_no_more) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_append, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_append_of_a_role, set_up_role, tear_down),
		cmocka_unit_test_setup_teardown(test_batch, set_up_role, tear_down),
		cmocka_unit_test_setup_teardown(test_redone_twice, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_once, set_up_role, tear_down),
		cmocka_unit_test_setup_teardown(test_join, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_open_of_a_role, set_up_role, tear_down),
		cmocka_unit_test_setup_teardown(test_members, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_owner_is_named_wherever_it_stands, set_up,
						tear_down),
		{ "test_owner_is_named_wherever_it_stands of a role",
		  test_owner_is_named_wherever_it_stands, set_up_role, tear_down, NULL },
		cmocka_unit_test_setup_teardown(test_history_is_never_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_are_never_torn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_listed_room_is_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_members_are_of_one_room, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_told_of_a_cursor_that_moves, set_up,
						tear_down),
		{ "test_told_of_a_cursor_that_moves of a role", test_told_of_a_cursor_that_moves,
		  set_up_role, tear_down, NULL },
		cmocka_unit_test_setup_teardown(test_told_of_a_reader_that_leaves, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_tells_as_it_moves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tells_as_it_leaves, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dies_as_it_asks, set_up, tear_down),
		{ "test_dies_as_it_asks of a role", test_dies_as_it_asks, set_up_role, tear_down,
		  NULL },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
