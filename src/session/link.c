/*
 * link.c - see link.h.
 *
 * In the usual case a run goes to the transport in one call, and nothing here allocates or looks
 * at a frame: what is needed to count was told with it. Only what did not leave is gone through,
 * by its marks; no byte of it is ever parsed again.
 *
 * Of the first frame that is pending a part may have left: it must go out whole, whatever becomes
 * of the others. What many links have to keep of the same run is in a chunk that they share, but
 * little is copied: a chunk is not to be there for some bytes of it. So a link holds memory for
 * CHUNK_MAX / SHARE_MIN times its bytes at the worst, and two chunks at its ends.
 *
 * A long message that came in memory of its own is not copied at all: that is kept, up to its last byte.
 */
#include "session/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/metrics.h"
#include "config/config.h"
#include "net/wide.h"
#include "session/portion.h"
#include "session/session.h"
#include "session/turn.h"
#include "session/unsent.h"

/* No frame is shorter than its header, of two bytes. */
enum { CORK_SIZE = 64 * 1024, CORK_FRAMES = CORK_SIZE / 2 };

enum { WIDE_MIN = 64 * 1024, WIDE_PART = 8 /* of max_memory */ };

enum { SHARE_MIN = 4 * 1024, WRITE_PARTS = 16 };

/* What is written beyond the end of a turn, as long as it is quick. */
enum { QUICK_MOST = 4 * PORTION_MOST };

struct portion link_portion = { PORTION_MOST };

enum { PONG_MAX = 2 + 125, SECOND = 1000 / SESSION_TICK };

struct link_pending {
	struct unsent unsent;
	uint8_t pong_len; /* of the newest unsent pong, behind all; 0: none */
	uint8_t pong[PONG_MAX];
};

/* What is being gathered. */
static uint64_t marks[CORK_FRAMES];
static uint8_t gathered[CORK_SIZE];
static struct {
	struct link *owner; /* NULL: nobody's output */
	struct link_run run;
	size_t others; /* frames that are no messages */
	struct iovec part; /* all of it: `gathered`, or the only frame so far, which is lent */
} cork = { .run = { .parts = &cork.part, .count = 1, .marks = marks } };

/*
 * By the second, rounded up: what waits is in few pieces, and none is thought to be older than it
 * is.
 */
static uint32_t this_second(void)
{
	return (session.now + SECOND - 1) / SECOND * SECOND;
}

/* What the transport holds now has waited since then. */
static void stamp(struct link *l, uint32_t since)
{
	l->transport.stamp = (uint16_t)(since / SECOND);
}

static enum link_verdict note(struct link *l, enum link_verdict v)
{
	if (v > l->verdict)
		l->verdict = (uint8_t)v;
	return v;
}

static enum link_verdict broken(struct link *l, int error)
{
	l->error = (uint8_t)error;
	return note(l, LINK_BROKEN);
}

/* n bytes of a frame have left, and with them the frame if `whole`. */
static void count_part(struct link *l, uint64_t mark, size_t n, bool whole, struct link_count *sent)
{
	size_t len = link_mark_length(mark);

	if (link_mark_kind(mark) == LINK_HTTP)
		return;
	l->bytes += n;
	sent->bytes += n;
	if (link_mark_kind(mark) == LINK_CONTROL) {
		sent->others += n;
	} else if (whole) {
		l->messages++;
		sent->messages++;
		/* its other parts are in others, which it is all together */
		sent->others += n - len + link_header_more(len);
	} else {
		sent->others += n;
	}
}

int link_init(struct link *l, struct event_base *base, int fd, event_callback_fn cb, void *arg)
{
	return transport_init(&l->transport, base, fd, cb, arg);
}

static void forget_pending(struct link *l)
{
	struct link_pending *p = l->pending;

	if (!p)
		return;
	unsent_end(&p->unsent);
	free(p);
	l->pending = NULL;
}

void link_fini(struct link *l)
{
	link_uncork(l);
	forget_pending(l);
	transport_fini(&l->transport);
}

/* --- sending --- */

/* Of a run's parts what is behind the first `skip` bytes, `most` of it. Returns how many these are. */
static int parts_of(const struct link_run *r, size_t skip, size_t most,
		    struct iovec parts[WRITE_PARTS])
{
	int count = 0;

	for (int i = 0; i < r->count && most > 0; i++) {
		const struct iovec *p = &r->parts[i];
		size_t gone = skip < p->iov_len ? skip : p->iov_len;
		size_t n = p->iov_len - gone < most ? p->iov_len - gone : most;

		skip -= gone;
		most -= n;
		if (n > 0)
			parts[count++] = (struct iovec){ (uint8_t *)p->iov_base + gone, n };
	}
	return count;
}

/* Whether the socket takes more now than it did, where so much is left of what is this link's alone. */
static bool widen(struct link *l, size_t rest)
{
	return rest >= WIDE_MIN &&
	       wide_ask(&l->transport, (size_t)session.config->max_memory / WIDE_PART);
}

/*
 * The socket has taken `sent` bytes, and no more. Where the rest is long, and would be copied for
 * this link alone, it is asked to take more. Returns how many it has then. Apart, for what it needs
 * on the stack is not to be paid for by all others.
 */
static __attribute__((noinline)) size_t send_rest(struct link *l, const struct link_run *r,
						  bool last, size_t sent)
{
	struct iovec rest[WRITE_PARTS];
	ssize_t n;

	if (r->copy || r->given || r->count > WRITE_PARTS || !widen(l, r->len - sent))
		return sent;
	n = transport_ops(&l->transport)
		    ->write(&l->transport, rest, parts_of(r, sent, SIZE_MAX, rest), last);
	if (n <= 0)
		return sent;
	turn_spend_on((uint64_t)n, TURN_SEND);
	return sent + (size_t)n;
}

/*
 * Whether one portion more is written, though the turn may be over: to come back for it costs more than some
 * that are quick. Not of what others get, too: it is copied as a whole if this link does not take it.
 */
static bool may_send_more(const struct link_run *r, size_t sent)
{
	return !turn_is_over() ||
	       (!r->copy && sent < QUICK_MOST && link_portion.bytes == PORTION_MOST);
}

/* Writes a portion of what may be long; of what is not the time is of no interest. */
static ssize_t write_portion(struct link *l, const struct iovec *parts, int count, bool last,
			     size_t len)
{
	const int64_t before = len < PORTION_LEAST ? 0 : session_clock_us();
	ssize_t n = transport_ops(&l->transport)->write(&l->transport, parts, count, last);

	if (before != 0 && n > 0)
		portion_took(&link_portion, (size_t)n, session_clock_us() - before);
	return n;
}

/* As the transport's write, in portions. */
static ssize_t send_portions(struct link *l, const struct link_run *r, bool last)
{
	struct iovec parts[WRITE_PARTS];
	size_t sent = 0, most;
	ssize_t n;

	do {
		most = r->len - sent < link_portion.bytes ? r->len - sent : link_portion.bytes;
		n = write_portion(l, parts, parts_of(r, sent, most, parts),
				  last && sent + most == r->len, most);
		if (n < 0)
			return sent > 0 ? (ssize_t)sent : -1;
		turn_spend_on((uint64_t)n, TURN_SEND);
		sent += (size_t)n;
	} while (sent < r->len && !l->transport.want_write &&
		 ((size_t)n == most || (r->given && widen(l, r->len - sent))) &&
		 may_send_more(r, sent));
	return (ssize_t)sent;
}

/*
 * What need not be copied to be kept; and of what is long what others get, too: the first of those who do not
 * take it has it copied as a whole, which is enough for a turn without a write of as much. Any other
 * would only be copied, too.
 */
static bool goes_in_portions(const struct link_run *r)
{
	return r->given || (r->len > PORTION_MOST && r->copy && r->count <= WRITE_PARTS);
}

/* As the transport's write, of what is long. Apart for the same reason as send_rest. */
static __attribute__((noinline)) ssize_t send_long(struct link *l, const struct link_run *r,
						   bool last)
{
	ssize_t n;

	if (goes_in_portions(r))
		return send_portions(l, r, last);
	n = transport_ops(&l->transport)->write(&l->transport, r->parts, r->count, last);
	if (n > 0)
		turn_spend_on((uint64_t)n, TURN_SEND);
	return n;
}

enum link_verdict link_send(struct link *l, const struct link_run *r, bool last, size_t *sent)
{
	ssize_t n;

	*sent = 0;
	if (l->pending || l->verdict != LINK_TAKEN)
		return l->verdict < LINK_OVER ? LINK_KEPT : (enum link_verdict)l->verdict;
	if (r->len >= WIDE_MIN)
		n = send_long(l, r, last);
	else
		n = transport_ops(&l->transport)->write(&l->transport, r->parts, r->count, last);
	if (n < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	*sent = (size_t)n;
	if (l->transport.want_write) {
		stamp(l, this_second());
		if ((size_t)n == r->len)
			note(l, LINK_KEPT);
	}
	if ((size_t)n < r->len)
		*sent = send_rest(l, r, last, (size_t)n);
	if (*sent < r->len)
		return LINK_KEPT;
	l->bytes += r->len - r->http;
	l->messages += r->messages;
	return LINK_TAKEN;
}

/* --- what is pending --- */

static bool need_pending(struct link *l)
{
	if (!l->pending)
		l->pending = calloc(1, sizeof(*l->pending));
	return l->pending;
}

/* A frame of a run that is being kept. */
struct kept {
	size_t at, len; /* in the run */
	size_t gone; /* bytes of it that have left */
	uint64_t mark;
	uint32_t marks; /* bytes of the marks ahead of its own */
};

/* Whether a part of which so much is left is taken as it is, with its memory. */
static bool is_taken(const struct link_run *r, int part, size_t left)
{
	return r->given && part == r->count - 1 && left >= LINK_GIVEN_MIN &&
	       left >= r->given->len / 2;
}

/* Bytes [skip, to) of a part. */
static bool keep_part(struct unsent *b, const struct link_run *r, const struct kept *f, int part,
		      size_t skip, size_t to, uint64_t mark)
{
	if (is_taken(r, part, to - skip))
		return unsent_give(b, r->given, skip, mark, f->gone, this_second());
	turn_spend_on(to - skip, TURN_KEEP);
	return unsent_copy(b, (uint8_t *)r->parts[part].iov_base + skip, to - skip, mark, f->gone,
			   this_second());
}

static bool copy_frame(struct unsent *b, const struct link_run *r, const struct kept *f)
{
	size_t skip = f->at + f->gone, end = f->at + f->len;
	uint64_t mark = f->mark;

	for (int i = 0; i < r->count && end > 0; i++) {
		size_t len = r->parts[i].iov_len, to = len < end ? len : end;

		if (skip < to) {
			if (!keep_part(b, r, f, i, skip, to, mark))
				return false;
			mark = 0;
		}
		skip = skip > len ? skip - len : 0;
		end = end > len ? end - len : 0;
	}
	return true;
}

static bool share_frame(struct unsent *b, struct chunk_copy *k, const struct kept *f)
{
	uint32_t at = k->at + (uint32_t)f->at;

	return unsent_share(b, k->chunk, at + (uint32_t)f->gone, at + (uint32_t)f->len,
			    k->mark + f->marks, f->gone, this_second());
}

/* False: no memory. */
static bool keep_frame(struct link *l, const struct link_run *r, const struct kept *f, bool shared)
{
	if (!need_pending(l))
		return false;
	if (!shared)
		return copy_frame(&l->pending->unsent, r, f);
	return chunk_copy_run(r->copy, r) && share_frame(&l->pending->unsent, r->copy, f);
}

static size_t pending_bytes(const struct link *l)
{
	return l->pending ? l->pending->unsent.bytes : 0;
}

size_t link_told(const struct link *l)
{
	return l->pending ? l->pending->unsent.told : 0;
}

static bool fits(const struct link *l, size_t len, size_t max)
{
	return pending_bytes(l) - link_told(l) + len <= max;
}

/* Whether all that a chunk had for it, up to the run, waits there: then this is no new piece. */
static bool follows(const struct piece *p, const struct chunk_copy *k)
{
	return p->chunk->shared && p->end == (p->chunk == k->chunk ? k->at : p->chunk->end);
}

static bool is_to_share(const struct link *l, const struct link_run *r, size_t sent)
{
	const struct unsent *b = l->pending ? &l->pending->unsent : NULL;
	const struct piece *last = b ? unsent_last(b) : NULL;

	if (!r->copy)
		return false;
	return r->len - sent >= SHARE_MIN ||
	       (last && (b->copied >= SHARE_MIN || follows(last, r->copy)));
}

/* Of a message that is to be kept. */
static void make_space(struct link *l, size_t len, size_t max, enum link_policy policy,
		       const struct gap_form *told)
{
	size_t n;

	if (policy < LINK_DROP_OLDEST || !l->pending || len > max)
		return;
	if (!unsent_drop(&l->pending->unsent, policy == LINK_DROP_OTHERS ? 0 : max - len, told, &n))
		broken(l, ENOMEM);
	if (n > 0)
		link_drop(l, (uint32_t)n);
}

void link_lose(struct link *l, const struct gap_form *told, struct gap lost)
{
	if (lost.last == 0)
		return;
	if (need_pending(l) && unsent_lose(&l->pending->unsent, told, lost, this_second()))
		note(l, LINK_KEPT);
	else
		broken(l, ENOMEM);
}

/* Of those that are dropped in a row, which one gap tells. */
static void add_lost(struct gap *lost, const struct gap_form *told, uint64_t mark)
{
	if (told)
		gap_add(lost, link_mark_gap(mark, told->newest));
}

static void tell_lost(struct link *l, const struct gap_form *told, struct gap *lost)
{
	link_lose(l, told, *lost);
	lost->last = 0;
}

enum link_verdict link_keep(struct link *l, const struct link_run *r, size_t sent, size_t max,
			    enum link_policy policy, const struct gap_form *told,
			    struct link_count *gone)
{
	enum link_verdict v = LINK_KEPT;
	bool shared = is_to_share(l, r, sent);
	struct gap lost = { 0 };
	struct kept f = { 0 };

	for (size_t i = 0; i < r->frames; i++, f.at += f.len, f.marks += chunk_mark_size(f.mark)) {
		f.mark = r->marks[i];
		f.len = link_mark_length(f.mark);
		f.gone = sent > f.at ? sent - f.at : 0;
		f.gone = f.gone < f.len ? f.gone : f.len;
		count_part(l, f.mark, f.gone, f.gone == f.len, gone);
		if (f.gone == f.len)
			continue;
		if (link_mark_kind(f.mark) == LINK_MESSAGE && f.gone == 0)
			make_space(l, f.len, max, policy, told);
		if (link_mark_kind(f.mark) == LINK_MESSAGE && f.gone == 0 &&
		    (!fits(l, f.len, max) || (v == LINK_DROPPED && policy == LINK_DROP_REST))) {
			if (policy == LINK_STOP)
				return note(l, LINK_OVER);
			l->dropped++;
			add_lost(&lost, told, f.mark);
			v = LINK_DROPPED;
			continue;
		}
		tell_lost(l, told, &lost);
		if (!keep_frame(l, r, &f, shared))
			return broken(l, ENOMEM);
	}
	tell_lost(l, told, &lost);
	return note(l, l->verdict == LINK_BROKEN ? LINK_BROKEN : v);
}

void link_keep_behind(struct link *l)
{
	note(l, LINK_KEPT);
}

void link_drop(struct link *l, uint32_t messages)
{
	l->dropped += messages;
	note(l, LINK_DROPPED);
}

void link_drop_old(struct link *l, uint32_t before, const struct gap_form *told)
{
	size_t n = 0;

	if (l->pending && !unsent_drop_old(&l->pending->unsent, before, told, &n))
		broken(l, ENOMEM);
	if (n > 0)
		link_drop(l, (uint32_t)n);
}

void link_stop(struct link *l)
{
	note(l, LINK_OVER);
}

void link_fail(struct link *l, int error)
{
	broken(l, error);
}

static void keep_control(struct link *l, const void *frame, size_t len)
{
	if (!unsent_copy(&l->pending->unsent, frame, len, link_mark(len, LINK_CONTROL), 0,
			 this_second()))
		broken(l, ENOMEM);
}

void link_keep_pong(struct link *l, const void *frame, size_t len)
{
	memcpy(l->pending->pong, frame, len);
	l->pending->pong_len = (uint8_t)len;
}

void link_place_pong(struct link *l)
{
	size_t len = l->pending ? l->pending->pong_len : 0;

	if (len == 0)
		return;
	l->pending->pong_len = 0;
	keep_control(l, l->pending->pong, len);
}

void link_cut(struct link *l)
{
	if (link_is_corked(l))
		link_cork(l);
	if (l->pending)
		unsent_cut(&l->pending->unsent);
}

size_t link_unsent(const struct link *l)
{
	size_t held =
		l->transport.want_write ? transport_ops(&l->transport)->held(&l->transport) : 0;

	return pending_bytes(l) + held;
}

bool link_waits(const struct link *l, uint32_t *since)
{
	uint32_t now = this_second();

	if (l->transport.want_write)
		*since = now - (uint32_t)(int16_t)(now / SECOND - l->transport.stamp) * SECOND;
	else if (pending_bytes(l) > 0)
		*since = unsent_since(&l->pending->unsent);
	else
		return false;
	return true;
}

/* n bytes have left. */
static enum link_moved consume(struct link *l, size_t n, struct link_count *sent)
{
	enum link_moved moved = n > 0 ? LINK_BYTES : LINK_NOTHING;

	while (n > 0) {
		uint64_t mark;
		bool whole;
		size_t part = unsent_take(&l->pending->unsent, n, &mark, &whole);

		count_part(l, mark, part, whole, sent);
		if (link_mark_is_message(mark))
			moved = LINK_DATA;
		n -= part;
	}
	return moved;
}

/* One portion: for the rest the socket will call again. */
static enum link_verdict go_on_pending(struct link *l, bool last, enum link_moved *moved,
				       struct link_count *sent)
{
	struct unsent *b = &l->pending->unsent;
	struct iovec parts[WRITE_PARTS];
	int count = unsent_parts(b, parts, WRITE_PARTS, link_portion.bytes);
	bool all = count == (int)(b->end - b->first) && b->bytes <= link_portion.bytes;
	ssize_t n = count == 0 ? 0 : write_portion(l, parts, count, last && all, b->bytes);

	if (n < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	if (l->transport.want_write && n > 0)
		stamp(l, unsent_since(b));
	turn_spend(TURN_CALL);
	turn_spend_on((uint64_t)n, l->transport.tls ? TURN_ENCRYPT : TURN_SEND);
	*moved = consume(l, (size_t)n, sent);
	if (b->bytes == 0)
		link_place_pong(l);
	if (b->bytes > 0)
		return (enum link_verdict)(l->verdict == LINK_BROKEN ? LINK_BROKEN : LINK_KEPT);
	forget_pending(l);
	return LINK_TAKEN;
}

enum link_verdict link_go_on(struct link *l, bool last, enum link_moved *moved,
			     struct link_count *n)
{
	*moved = LINK_NOTHING;
	metrics_beat();
	if (transport_ops(&l->transport)->flush(&l->transport, last) < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	return l->pending ? go_on_pending(l, last, moved, n) : LINK_TAKEN;
}

/* --- gathering --- */

void link_cork(struct link *l)
{
	cork.owner = l;
	cork.part.iov_base = gathered;
	cork.run.len = cork.run.frames = cork.others = cork.run.http = cork.run.others = 0;
}

bool link_is_corked(const struct link *l)
{
	return cork.owner == l;
}

void link_uncork(struct link *l)
{
	if (cork.owner == l)
		cork.owner = NULL;
}

static void add_other(uint64_t mark, size_t len)
{
	struct link_run *r = &cork.run;

	cork.others++;
	r->others -= link_header_more(len);
	if (link_mark_kind(mark) == LINK_HTTP)
		r->http += (uint32_t)len;
	else
		r->others += (uint32_t)len;
}

/* Nearly all are messages: they are counted in the end, as what the others are not. */
static inline void add_frame(uint64_t mark, size_t len)
{
	struct link_run *r = &cork.run;

	marks[r->frames++] = mark;
	r->len += len;
	if (__builtin_expect(len >= LINK_HEADER + 126, 0))
		r->others += link_header_more(len);
	if (link_mark_is_message(mark))
		return;
	add_other(mark, len);
}

bool link_gather(struct link *l, const struct iovec *parts, int count, uint64_t mark)
{
	size_t len = link_mark_length(mark);
	uint8_t *to = gathered + cork.run.len;

	if (cork.owner != l || cork.run.len + len > sizeof(gathered))
		return false;
	if (cork.part.iov_base != gathered) {
		memcpy(gathered, cork.part.iov_base, cork.run.len);
		cork.part.iov_base = gathered;
	}
	for (int i = 0; i < count; i++)
		to = bytes_copy(to, parts[i].iov_base, parts[i].iov_len);
	add_frame(mark, len);
	return true;
}

bool link_gather_lent(struct link *l, void *frame, size_t len)
{
	if (cork.owner != l || cork.run.len > 0)
		return false;
	cork.part.iov_base = frame;
	add_frame(link_mark(len, LINK_MESSAGE), len);
	return true;
}

const struct link_run *link_gathered(struct link *l)
{
	if (cork.owner != l || cork.run.len == 0)
		return NULL;
	cork.part.iov_len = cork.run.len;
	cork.run.messages = (uint32_t)(cork.run.frames - cork.others);
	return &cork.run;
}

/* --- the rest --- */

ssize_t link_read(struct link *l, void *buf, size_t n)
{
	bool held = l->transport.want_write;
	ssize_t got = transport_ops(&l->transport)->read(&l->transport, buf, n);

	/* What it had to be answered with may wait. */
	if (l->transport.want_write && !held)
		stamp(l, this_second());
	l->ended |= got == 0;
	l->filled = got == (ssize_t)n;
	return got;
}

void link_read_rest(struct link *l)
{
	if (transport_ops(&l->transport)->pending(&l->transport) > 0)
		transport_read_again(&l->transport);
}

int link_want(struct link *l, bool read)
{
	return transport_want(&l->transport, read && !l->ended, link_has_unsent(l));
}

void link_end(struct link *l)
{
	transport_ops(&l->transport)->shutdown(&l->transport);
}

enum link_verdict link_settle(struct link *l)
{
	enum link_verdict v = l->verdict;

	if (v != LINK_BROKEN)
		l->verdict = LINK_TAKEN;
	return v;
}
