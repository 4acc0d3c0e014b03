/*
 * link.c - see link.h.
 *
 * In the usual case a run goes to the transport in one call, and nothing here allocates or looks
 * at a frame: what is needed to count was told with it. Only what did not leave is gone through,
 * by its marks; no byte of it is ever parsed again.
 *
 * Pending are the bytes of frames in order, and beside them the marks of these frames. Of the
 * first frame a part may have left: that one must go out whole, whatever becomes of the others.
 */
#include "session/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/block.h"
#include "base/bytes.h"
#include "base/metrics.h"

/* No frame is shorter than its header, of two bytes. */
enum { CORK_SIZE = 64 * 1024, CORK_FRAMES = CORK_SIZE / 2 };

/* Of a mark as it is kept: seven bits a byte, so that it is never over half of its frame. */
enum { MARK_MAX = 10, MARK_BITS = 7, MARK_MORE = 0x80 };

enum { PONG_MAX = 2 + 125, FRAMES_FIRST = 1024, MARKS_FIRST = 64 };

/* Bytes that come at one end and go at the other: p[start..end). */
struct queue {
	size_t start, end, size;
	uint8_t *p;
};

struct link_pending {
	struct queue frames; /* what is to be sent */
	struct queue marks; /* of these frames, in order */
	size_t gone; /* bytes of the first frame that have left */
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

static void count_bytes(struct link *l, size_t n)
{
	l->bytes += n;
	metrics_add(&metrics_own->bytes_out, n);
}

static void count_messages(struct link *l, uint64_t n)
{
	l->messages += n;
	metrics_add(&metrics_own->messages_out, n);
}

/* n bytes of a frame have left, and with them the frame if `whole`. */
static void count_part(struct link *l, uint64_t mark, size_t n, bool whole)
{
	if (link_mark_kind(mark) != LINK_HTTP)
		count_bytes(l, n);
	if (whole && link_mark_kind(mark) == LINK_MESSAGE)
		count_messages(l, 1);
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
	block_free(p->frames.p, p->frames.size);
	block_free(p->marks.p, p->marks.size);
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

enum link_verdict link_send(struct link *l, const struct link_run *r, bool last, size_t *sent)
{
	ssize_t n;

	*sent = 0;
	if (l->pending || l->verdict != LINK_TAKEN)
		return l->verdict < LINK_OVER ? LINK_KEPT : (enum link_verdict)l->verdict;
	n = transport_ops(&l->transport)->write(&l->transport, r->parts, r->count, last);
	if (n < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	*sent = (size_t)n;
	if ((size_t)n < r->len)
		return LINK_KEPT;
	count_bytes(l, r->len - r->http);
	count_messages(l, r->messages);
	if (l->transport.want_write)
		note(l, LINK_KEPT);
	return LINK_TAKEN;
}

/* --- what is pending --- */

static bool need_pending(struct link *l)
{
	if (!l->pending)
		l->pending = calloc(1, sizeof(*l->pending));
	return l->pending;
}

/* Space for `more` bytes behind the end: by moving what there is, or by doubling from `first` on. */
static bool reserve(struct queue *q, size_t more, size_t first)
{
	size_t used = q->end - q->start, size = q->size ? q->size : first;
	uint8_t *p;

	if (q->end + more <= q->size)
		return true;
	if (q->start > 0) {
		memmove(q->p, q->p + q->start, used);
		q->start = 0;
		q->end = used;
	}
	while (size < used + more)
		size *= 2;
	if (size == q->size)
		return true;
	p = block_resize(q->p, q->end, q->size, size);
	if (!p)
		return false;
	q->p = p;
	q->size = size;
	return true;
}

static void put_mark(struct queue *q, uint64_t mark)
{
	for (; mark >= MARK_MORE; mark >>= MARK_BITS)
		q->p[q->end++] = (uint8_t)mark | MARK_MORE;
	q->p[q->end++] = (uint8_t)mark;
}

/* There must be one. *size: bytes that it takes. */
static uint64_t first_mark(const struct queue *q, size_t *size)
{
	const uint8_t *p = q->p + q->start;
	uint64_t mark = 0;

	for (*size = 0; p[*size] & MARK_MORE; ++*size)
		mark |= (uint64_t)(p[*size] & ~MARK_MORE) << MARK_BITS * *size;
	mark |= (uint64_t)p[*size] << MARK_BITS * *size;
	++*size;
	return mark;
}

/* The end of a run behind its first `skip` bytes, up to `end`. */
static void copy_parts(struct queue *q, const struct link_run *r, size_t skip, size_t end)
{
	for (int i = 0; i < r->count && end > 0; i++) {
		size_t len = r->parts[i].iov_len, to = len < end ? len : end;

		if (skip < to) {
			memcpy(q->p + q->end, (uint8_t *)r->parts[i].iov_base + skip, to - skip);
			q->end += to - skip;
		}
		skip = skip > len ? skip - len : 0;
		end = end > len ? end - len : 0;
	}
}

/* Keeps the frame that is [at, next) of a run, but for `gone` bytes of it. False: no memory. */
static bool keep_frame(struct link *l, const struct link_run *r, size_t at, size_t next,
		       size_t gone, uint64_t mark)
{
	struct link_pending *p;

	if (!need_pending(l))
		return false;
	p = l->pending;
	if (!reserve(&p->marks, MARK_MAX, MARKS_FIRST) ||
	    !reserve(&p->frames, next - at - gone, FRAMES_FIRST))
		return false;
	put_mark(&p->marks, mark);
	if (gone > 0)
		p->gone = gone;
	copy_parts(&p->frames, r, at + gone, next);
	return true;
}

static bool fits(const struct link *l, size_t len, size_t max)
{
	const struct queue *q = l->pending ? &l->pending->frames : NULL;
	size_t used = q ? q->end - q->start : 0;

	return used + len <= max;
}

enum link_verdict link_keep(struct link *l, const struct link_run *r, size_t sent, size_t max,
			    enum link_policy policy)
{
	enum link_verdict v = LINK_KEPT;

	for (size_t i = 0, at = 0, next; i < r->frames; i++, at = next) {
		size_t len = link_mark_length(r->marks[i]), gone = sent > at ? sent - at : 0;
		bool message = link_mark_kind(r->marks[i]) == LINK_MESSAGE;

		next = at + len;
		gone = gone < len ? gone : len;
		count_part(l, r->marks[i], gone, gone == len);
		if (gone == len)
			continue;
		if (message && gone == 0 &&
		    (!fits(l, len, max) || (v == LINK_DROPPED && policy == LINK_DROP_REST))) {
			if (policy == LINK_STOP)
				return note(l, LINK_OVER);
			l->dropped++;
			v = LINK_DROPPED;
		} else if (!keep_frame(l, r, at, next, gone, r->marks[i])) {
			return broken(l, ENOMEM);
		}
	}
	return note(l, v);
}

void link_drop(struct link *l, uint32_t messages)
{
	l->dropped += messages;
	note(l, LINK_DROPPED);
}

void link_fail(struct link *l, int error)
{
	broken(l, error);
}

static void keep_control(struct link *l, const void *frame, size_t len)
{
	struct link_run r = { &(struct iovec){ (void *)frame, len }, 1, len, NULL, 1, 0, 0 };

	if (!keep_frame(l, &r, 0, len, 0, link_mark(len, LINK_CONTROL)))
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
	struct link_pending *p = l->pending;
	uint64_t mark;
	size_t size;

	if (link_is_corked(l))
		link_cork(l);
	if (!p)
		return;
	p->frames.end = p->frames.start;
	p->marks.end = p->marks.start;
	if (p->gone == 0)
		return;
	mark = first_mark(&p->marks, &size);
	p->marks.end += size;
	p->frames.end += link_mark_length(mark) - p->gone;
}

/* n bytes have left. */
static void consume(struct link *l, size_t n)
{
	struct link_pending *p = l->pending;

	p->frames.start += n;
	while (n > 0) {
		size_t size;
		uint64_t mark = first_mark(&p->marks, &size);
		size_t left = link_mark_length(mark) - p->gone, part = n < left ? n : left;

		count_part(l, mark, part, part == left);
		p->gone += part;
		n -= part;
		if (part < left)
			break;
		p->marks.start += size;
		p->gone = 0;
	}
}

static enum link_verdict go_on_pending(struct link *l, bool last, bool *moved)
{
	const struct queue *q = &l->pending->frames;
	struct iovec part = { q->p + q->start, q->end - q->start };
	ssize_t n = transport_ops(&l->transport)->write(&l->transport, &part, 1, last);

	if (n < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	*moved = n > 0;
	consume(l, (size_t)n);
	if (q->start == q->end)
		link_place_pong(l);
	if (q->start < q->end)
		return (enum link_verdict)(l->verdict == LINK_BROKEN ? LINK_BROKEN : LINK_KEPT);
	forget_pending(l);
	return LINK_TAKEN;
}

enum link_verdict link_go_on(struct link *l, bool last, bool *moved)
{
	*moved = false;
	metrics_beat();
	if (transport_ops(&l->transport)->flush(&l->transport, last) < 0)
		return transport_is_temporary(errno) ? LINK_KEPT : broken(l, errno);
	return l->pending ? go_on_pending(l, last, moved) : LINK_TAKEN;
}

/* --- gathering --- */

void link_cork(struct link *l)
{
	cork.owner = l;
	cork.part.iov_base = gathered;
	cork.run.len = cork.run.frames = cork.others = cork.run.http = 0;
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

/* Nearly all are messages: they are counted in the end, as what the others are not. */
static inline void add_frame(uint64_t mark, size_t len)
{
	struct link_run *r = &cork.run;

	marks[r->frames++] = mark;
	r->len += len;
	if (link_mark_kind(mark) == LINK_MESSAGE)
		return;
	cork.others++;
	if (link_mark_kind(mark) == LINK_HTTP)
		r->http += (uint32_t)len;
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
	ssize_t got = transport_ops(&l->transport)->read(&l->transport, buf, n);

	l->ended |= got == 0;
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
