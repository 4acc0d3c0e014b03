/*
 * bus_internal.h - what the files of the bus share: the layout of the memory that all processes
 * map, and the few calls between the files of the bus.
 *
 * Memory, in this order: struct bus_shared, the heads of the directory's chains, the rooms, the
 * ring, the ring a second time behind itself, the rooms' names, the counts of members, a row for
 * each slot, the keys of bus_append_once, what is kept, the owners of rooms, their buckets, and the lists
 * of members: how often who is in a room has changed, the heads of chains, a row for each slot, those
 * of each slot, the names of their users and how long these are. Zeroes are a valid empty directory, no
 * keys and nobody. What is behind the ring is not touched before it is needed.
 */
#ifndef BUS_BUS_INTERNAL_H
#define BUS_BUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/patience.h"
#include "base/rate.h"
#include "base/segment.h"
#include "bus/bus.h"
#include "bus/presence.h"

enum { BUS_LINE = 64, BUS_ALIGN = 8, BUS_MARKS = 64 };

#define BUS_NO_CURSOR UINT64_MAX

/* What one worker tells the others, and what they want of it. */
struct bus_slot {
	_Alignas(BUS_LINE) _Atomic uint64_t cursor; /* first byte it still needs */
	_Atomic uint64_t awaited; /* by these slots, up to marks: see wake.c */
	_Atomic uint32_t sleeping; /* wants a write to its eventfd */
	_Atomic uint64_t changing; /* odd while its lists of members are: see presence.c */
	_Alignas(BUS_LINE) _Atomic uint64_t marks[SLOTS];
};

/*
 * A room in the directory. Written under the lock, but for members, of which a worker (or the
 * master in its stead) takes its own bit away at any time. A room whose id is 0 was never used.
 */
struct bus_dir_room {
	_Alignas(BUS_LINE) _Atomic uint64_t hash[2]; /* keyed, of its name */
	_Atomic uint64_t id;
	_Atomic uint64_t members; /* a bit per slot */
	_Atomic uint64_t behind; /* of these, who has more than it can pass on */
	_Atomic uint64_t sequence;
	_Atomic uint64_t last; /* position of its newest entry, 0: none yet */
	_Atomic uint32_t next; /* in its chain: index + 1, 0: the end */
	_Atomic uint32_t batched; /* for who has the lock, see batch.c */
};

_Static_assert(sizeof(struct bus_dir_room) == BUS_LINE, "the manual says how large a room is");

/*
 * The name of the room at the same place of the directory. A name is written while id is 0, and
 * then is that room's; its memory is not touched ahead of that.
 */
struct bus_dir_name {
	_Alignas(BUS_LINE) _Atomic uint64_t id;
	_Atomic uint32_t len;
	char bytes[BUS_ROOM_NAME_MAX];
};

/*
 * The newest append, for who finds its author dead. It is true when new_tail is the tail, and
 * then what the entries from position on say of their rooms is (again) put into the directory.
 */
struct bus_redo {
	_Atomic uint64_t new_tail;
	_Atomic uint64_t position;
	_Atomic uint64_t keys; /* that there are with its own; 0: it has none */
};

/* The first entry in a part of the ring (list.c). */
struct bus_mark {
	_Atomic uint64_t position; /* 0: none yet */
	_Atomic int64_t time;
};

/* What was published with a key, see once.c. Written under the lock. */
struct bus_key {
	_Alignas(BUS_LINE) _Atomic uint64_t key[2];
	_Atomic uint64_t request[2];
	_Atomic int64_t time;
	_Atomic uint64_t answer; /* the first of its answers, counted from the first ever */
	_Atomic uint32_t count; /* of its answers */
	_Atomic uint32_t next; /* in its chain: place + 1, 0: the end */
};

struct bus_answer {
	_Atomic uint64_t sequence, members;
};

/* Keys and answers are counted from the first ever; their places are used again in that order. */
struct bus_keys {
	_Alignas(BUS_LINE) _Atomic uint64_t first; /* the oldest that is kept */
	_Atomic uint64_t end; /* behind the newest */
	_Atomic uint32_t chains[BUS_KEYS];
	struct bus_key keys[BUS_KEYS];
	struct bus_answer answers[BUS_KEY_ANSWERS];
};

/* A member that its worker lists, see presence.c. Rows are named by their number from 1; 0: none. */
struct bus_row {
	_Atomic uint64_t id; /* of its connection */
	_Atomic uint32_t next, previous; /* in its chain; of one that is free only next */
};

/* The name of its user, zeroes behind it; of a row without one it is not touched. */
struct bus_user {
	_Alignas(BUS_LINE) _Atomic uint64_t words[BUS_USER_MAX / sizeof(uint64_t)];
};

_Static_assert(sizeof(struct bus_row) == 16, "the manual says how large it is");
_Static_assert(sizeof(struct bus_user) == BUS_USER_MAX, "the manual says how large it is");

/* For whom rooms count, see owners.c. Written under the lock, but for doubts. */
struct bus_owner {
	_Atomic uint64_t id; /* 0: nobody's yet */
	_Atomic uint64_t believed; /* the count is as good as it was with so many doubts */
	_Atomic uint32_t rooms;
};

struct bus_owners {
	_Alignas(BUS_LINE) _Atomic uint64_t doubts;
	struct bus_owner all[BUS_OWNERS];
	/* For each place of the directory: the room's id times BUS_OWNERS, and the owner's place. 0: none */
	_Atomic uint64_t marks[];
};

/* Words of struct bus_keeping that are stored all or none, see ledger.c. */
enum { BUS_LEDGER_WORDS = 12 };

struct bus_ledger {
	_Atomic uint64_t count; /* of words that are being stored, 0: none */
	struct {
		_Atomic uint64_t at; /* counted from the first of struct bus_keeping */
		_Atomic uint64_t value;
	} words[BUS_LEDGER_WORDS];
};

/*
 * What the room at the same place of the directory keeps: its newest entries, count of them,
 * numbered up to upto. See keep.c. Written under the lock.
 */
struct bus_dir_keep {
	_Alignas(
		BUS_LINE) _Atomic uint64_t limits; /* messages << 32 | bytes, 0: it keeps nothing */
	_Atomic uint64_t terms; /* ttl << 32 | group */
	_Atomic uint64_t from; /* position of the oldest, 0: there is none */
	_Atomic uint64_t upto; /* the last number that is accounted for */
	_Atomic uint64_t count;
	_Atomic uint64_t size; /* bytes in the ring */
	_Atomic uint64_t said; /* with limits: where its newest was written when it was new */
	_Atomic uint64_t start; /* the room's numbers are above it */
};

_Static_assert(sizeof(struct bus_dir_keep) == BUS_LINE, "the manual says how large a room is");

enum { BUS_GROUPS = UINT16_MAX + 1 };
#define BUS_NO_EDGE ((uint64_t)1 << 63)

struct bus_keeping {
	_Alignas(BUS_LINE) _Atomic uint64_t keepers; /* rooms that have limits */
	_Atomic uint64_t size; /* bytes that all rooms keep */
	_Atomic uint64_t edge; /* nothing that is kept is before it; BUS_NO_EDGE: nothing is */
	_Atomic uint64_t groups; /* all that ever kept something are below */
	_Atomic uint64_t floor; /* no room that is gone came to a larger number */
	_Alignas(BUS_LINE) _Atomic uint64_t cleaner; /* its slot + 1, 0: there was none */
	_Atomic int64_t beat; /* when it last called */
	_Atomic uint64_t sweep; /* the place at which the look for what is too old goes on */
	_Alignas(BUS_LINE) struct bus_ledger ledger;
	_Alignas(BUS_LINE) _Atomic uint64_t kept[BUS_GROUPS], evicted[BUS_GROUPS];
	struct bus_dir_keep rooms[];
};

struct bus_shared {
	struct segment_header header;

	_Alignas(BUS_LINE) pthread_mutex_t lock;
	_Atomic uint32_t broken; /* not 0: a recovery failed, the log is over */
	_Atomic uint64_t acquisitions;

	_Alignas(BUS_LINE) _Atomic uint64_t tail; /* all before it is published */
	_Atomic uint64_t mark_at; /* an entry from here on has a mark */

	_Alignas(BUS_LINE) _Atomic uint64_t reserve; /* all that may be overwritten is before it */
	struct bus_redo redo;

	_Alignas(BUS_LINE) _Atomic uint64_t freed; /* grows when membership bits are cleared */
	_Atomic uint64_t changes; /* of who is in a room, of all rooms */
	_Atomic uint64_t recoveries; /* how often an owner was found dead */
	_Atomic uint64_t last_id;
	_Atomic uint32_t used; /* rooms from here on were never used */
	_Atomic uint32_t hand; /* where the search for a free room goes on */

	struct bus_mark marks[BUS_MARKS];
	struct bus_slot slots[SLOTS];
};

enum bus_flags {
	BUS_NOT_TO_SENDER = 1,
	BUS_KEPT = 2, /* it was carried; readers of what is new see BUS_KIND_KEPT */
	BUS_JSON = 4,
};

/* The head of an entry in the ring; the frame follows, then up to seven bytes of nothing. */
struct bus_head {
	uint64_t id;
	uint64_t sequence;
	uint64_t previous; /* position of the room's entry before this one, 0: none */
	_Atomic uint64_t next; /* of the one behind it, if both are kept and that is there */
	uint64_t sender;
	int64_t time;
	uint32_t index;
	uint16_t kind;
	uint16_t flags; /* enum bus_flags */
	uint32_t frame_len;
	uint32_t check; /* low half of the entry's own position */
};

/* Who held up appends, and what is to be asked of them. */
struct bus_held {
	bool again; /* nobody did, or not any more */
	uint64_t slots;
	uint64_t marks[SLOTS]; /* of these slots */
	uint64_t freed; /* as it was before the first of them was found */
};

/* One process's view. All but the pointed-to memory is private, and so needs no second look. */
struct bus {
	struct segment segment;
	struct bus_shared *shared;
	_Atomic uint32_t *chains;
	struct bus_dir_room *rooms;
	struct bus_dir_name *names;
	_Atomic uint32_t *counts; /* see bus_count_of */
	struct rate *rates; /* one for each room */
	_Atomic uint32_t *changes; /* of who is in it, one for each room */
	_Atomic uint32_t *heads; /* as counts */
	struct bus_row *rows; /* `members` of each slot */
	struct bus_user *users; /* as rows */
	_Atomic uint8_t *user_lens; /* of each; 0: it has none, and the name is not read */
	struct bus_keys *keys;
	struct bus_owners *owners;
	struct bus_keeping *keeping;
	uint64_t keeping_words; /* of 64 bits */
	uint8_t *ring;
	size_t meta; /* bytes before the ring */
	size_t size;
	size_t lag;
	uint32_t max_rooms;
	uint32_t members;
	uint32_t chain_mask;
	uint64_t epoch;
	uint64_t key[2];
	int wakeups[SLOTS];
	bool populated;

	int slot; /* -1: the master */
	uint32_t joined; /* rooms this worker is a reader of */
	uint32_t rows_used; /* of its own, those that ever were */
	uint32_t free_row; /* the first of these that is free again, 0: none */
	uint64_t to_wake; /* slots to look at in bus_wake_readers */
	uint64_t floor; /* no cursor is before it */
	uint64_t far; /* slots that may be more than lag behind; no other is, up to ... */
	uint64_t open_until; /* ... a tail that is here, nor is one of all too far for the ring */
	uint64_t scan_at; /* look at the cursors again when the tail is here */
	struct bus_held held; /* since the last bus_want_space */
	uint64_t asked; /* slots that know that this one waits for them */
	struct patience patience[2]; /* with who holds the lock, by enum bus_patience */
	uint64_t full_freed; /* all rooms had members when `freed` was this */
	struct bus_evicted evicted; /* by this process, and not told yet */
};

/* How long to wait for the lock: 2 ms, 200 ms. */
enum bus_patience { BUS_BRIEFLY, BUS_PATIENTLY };

/*
 * Takes the lock and mends what a dead owner left. BUS_OK: call bus_unlock. BUS_FULL: it could
 * not be had within the bound. BUS_CORRUPT: it never can again.
 */
enum bus_result bus_lock(struct bus *b, enum bus_patience patience)
	__attribute__((warn_unused_result));
void bus_unlock(struct bus *b);

/* Of a new lock: whether bus_lock_owner can be trusted with this C library. */
bool bus_lock_names_owner(pthread_mutex_t *lock);

/* Under the lock: finishes the newest append in the directory. False: the record cannot be true. */
bool bus_redo_newest(struct bus *b);

/*
 * How many members a worker has in the room at a place. It alone writes it, and it counts for
 * nothing unless the room has the worker's bit: a row of the dead need not be cleared.
 */
static inline _Atomic uint32_t *bus_count_of(const struct bus *b, int slot, uint32_t index)
{
	return &b->counts[(size_t)slot * b->max_rooms + index];
}

/*
 * See presence.c. bus_presence_begin: this process has its slot, in which another may have died.
 * bus_presence_join: it becomes a reader of the room at a place. bus_presence_changed: who is in that
 * room has changed.
 */
void bus_presence_begin(struct bus *b);
void bus_presence_join(struct bus *b, uint32_t index);
void bus_presence_changed(struct bus *b, uint32_t index);

/*
 * Of a list as it was copied, see who.c. bus_who_name: what is no name goes, and users get their keys.
 * bus_who_sort: puts it in order, each once.
 */
void bus_who_name(const struct bus *b, struct bus_present *p);
void bus_who_sort(struct bus_present *p);

/* Under the lock: an entry at this position is the first behind mark_at. */
void bus_mark(struct bus *b, uint64_t position, int64_t time);

/*
 * Whether the room at a place has members, keeps something, or has an entry that can be read. If
 * not, it is free.
 */
bool bus_in_use(const struct bus *b, uint32_t index);

/*
 * Under the lock: finds a place for a new room, and takes the one that has it out of the directory.
 * BUS_OK, BUS_ROOMS_FULL or BUS_CORRUPT.
 */
enum bus_result bus_take_place(struct bus *b, uint32_t *index);

/* Under the lock: takes a room out of its chain. False: that is none. */
bool bus_unlink_room(struct bus *b, struct bus_dir_room *r);

/*
 * Under the lock, the steps of an append with a key, see once.c. bus_key_look: BUS_OK, or what is
 * to be returned instead of publishing. bus_key_write: nobody finds it yet; returns how many keys
 * there are with it. bus_key_finish: now it is found; 0: there is none. False: that many cannot be.
 */
enum bus_result bus_key_look(struct bus *b, const struct bus_once *once, struct bus_item *items,
			     size_t count);
uint64_t bus_key_write(struct bus *b, const struct bus_once *once, const struct bus_item *items,
		       size_t count);
bool bus_key_finish(struct bus *b, uint64_t keys);

/*
 * Under the lock, see ledger.c. bus_ledger_put: a word of struct bus_keeping is to be stored, the
 * n-th. bus_ledger_commit: now all n are. bus_ledger_redo: what who died had committed. False: that
 * cannot be.
 */
void bus_ledger_put(struct bus *b, unsigned *n, _Atomic uint64_t *word, uint64_t value);
void bus_ledger_commit(struct bus *b, unsigned n);
bool bus_ledger_redo(struct bus *b);

/* What a room keeps, apart from its limits. */
struct bus_window {
	uint64_t from, upto, count, size; /* as of struct bus_dir_keep */
};

/*
 * Under the lock, see keep.c. bus_keep_set: what the room at this place keeps from now on.
 * bus_keep_note: it has an entry more, of so many bytes in the ring, which is published.
 * bus_keep_drop: it loses its oldest, which counts as evicted or not. bus_keep_move: all of it is
 * at this position now. bus_keep_end: the room is about to go, with all that it keeps. False: what
 * is in the memory cannot be true.
 */
void bus_keep_set(struct bus *b, uint32_t index, const struct bus_keep *keep);
bool bus_keep_note(struct bus *b, uint32_t index, uint64_t position, const struct bus_head *head);
bool bus_keep_drop(struct bus *b, uint32_t index, bool evicted);
/* Fills in what a room keeps, without the lock: what changes meanwhile is told as not known. */
void bus_keep_list(const struct bus *b, uint32_t index, struct bus_listed *r);
void bus_keep_move(struct bus *b, uint32_t index, uint64_t position);
void bus_keep_end(struct bus *b, uint32_t index);

/* The oldest entry of a window; false: it cannot be one. */
bool bus_keep_oldest(const struct bus *b, uint32_t index, const struct bus_window *w,
		     struct bus_head *head);
struct bus_window bus_keep_window(const struct bus_dir_keep *k);

/* Whether a window is more than the limits allow, and an entry older than its room's ttl. */
bool bus_keep_is_over(const struct bus_dir_keep *k, const struct bus_window *w);
bool bus_keep_is_old(const struct bus_dir_keep *k, int64_t time, int64_t now);

/*
 * Under the lock, see carry.c: carries what is kept out of the way of n bytes more, and what then
 * has to be carried out of the way of that; the tail may be another after it. BUS_OK: there is
 * nothing more in the way. BUS_FULL: there is, try again.
 */
enum bus_result bus_make_way(struct bus *b, size_t n, int64_t now);

/* The directory's room of this handle, or NULL if the handle and the directory disagree. */
struct bus_dir_room *bus_room_at(const struct bus *b, struct bus_room room);

/* Of an entry whose frame has this many bytes: how many it has in the ring. */
static inline size_t bus_entry_size(size_t frame_len)
{
	return (sizeof(struct bus_head) + frame_len + BUS_ALIGN - 1) & ~(size_t)(BUS_ALIGN - 1);
}

/* Copies the head at position, each word once, so that what was checked is what is used. */
void bus_copy_head(const struct bus *b, uint64_t position, struct bus_head *head);

/* Whether a copied head can be that of an entry at position, with so many bytes up to the tail. */
bool bus_head_credible(const struct bus *b, const struct bus_head *head, uint64_t position,
		       uint64_t available);

/* What a head says of its entry, of which frame is the frame. */
struct bus_entry bus_entry_of(const struct bus_head *head, uint64_t position, const uint8_t *frame);

/* The room in a place may have no readers any more: then it counts for nobody. */
void bus_uncount(struct bus *b, uint32_t index);

/* Any process: rooms may count for somebody that have no readers. */
void bus_doubt(struct bus *b);

/* Takes the slot's bit out of every room. Any process, at any time. */
void bus_directory_clear(struct bus *b, int slot);

/* The frame of an entry has at most so many bytes. */
static inline size_t bus_frame_max(const struct bus *b)
{
	return b->size / 4 - sizeof(struct bus_head);
}

/* Looks at all cursors, brings what is known of them up to date, and has the slow ones woken. */
void bus_scan(struct bus *b, uint64_t tail);

/*
 * Under the lock: whether a room may have an entry at the tail. BUS_FULL: who holds it up is in
 * b->held now. BUS_CORRUPT: a cursor cannot be true.
 */
enum bus_result bus_look_for_space(struct bus *b, const struct bus_dir_room *r, uint64_t tail);

/* The same for what is nobody's message: whether the slowest cursor allows it. */
enum bus_result bus_look_at_ring(struct bus *b, uint64_t tail);

/* A slot is reader of a room less, or its cursor is gone: those that wait for it try again. */
void bus_release(struct bus *b, int slot);

/* The same for one that is dead, and itself waits for nobody. */
void bus_release_dead(struct bus *b, int slot);

/* The start of the entry at position, in the first of the two mappings. */
static inline uint8_t *bus_ring_at(const struct bus *b, uint64_t position)
{
	return b->ring + (position & (b->size - 1));
}

static inline uint64_t bus_slot_bit(int slot)
{
	return slot < 0 ? 0 : (uint64_t)1 << slot;
}

#endif
