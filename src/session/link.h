/*
 * link.h - what a connection sends, on its way to the socket.
 *
 * A link has a transport below it. What is sent goes to the transport at once; or, while the link
 * is corked, it is gathered first and leaves in one call. What the transport does not take is
 * kept, whole frames at a time beyond the one that was cut, each with a mark of its length and
 * kind; up to how much, and what becomes of the rest, is the caller's policy.
 *
 * A link knows nothing of connections and ends none. It returns verdicts, and keeps the worst of
 * them until its owner has looked (link_settle). As sent counts what the transport took: a byte
 * then, a message with its last byte.
 */
#ifndef SESSION_LINK_H
#define SESSION_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "net/transport.h"
#include "session/gap.h"
#include "session/portion.h"

struct buffer;
struct chunk_copy;
struct link_pending;

/* The worst is the last. */
enum link_verdict {
	LINK_TAKEN, /* by the transport, all of it */
	LINK_KEPT, /* some of it waits: the owner asks to be called when it can be written */
	LINK_DROPPED, /* messages were more than the policy keeps, and are gone */
	LINK_OVER, /* the same, and there is no going on; nothing is taken any more */
	LINK_BROKEN, /* the transport failed, or there is no memory: `error` says why */
};

struct link {
	struct transport transport;
	struct link_pending *pending; /* what the transport did not take; NULL: nothing */
	uint64_t messages, bytes; /* sent; of HTTP none */
	uint32_t dropped; /* messages, since link_settle */
	uint8_t verdict; /* enum link_verdict, the worst since link_settle */
	uint8_t error; /* errno, of LINK_BROKEN */
	bool ended; /* the peer has ended its direction */
	bool filled; /* what was read last took all the space there was for it */
};

/* TOLD is a message of ours that no policy drops; who sends such bounds them. */
enum link_kind { LINK_MESSAGE, LINK_CONTROL, LINK_HTTP, LINK_TOLD };

/* What a number is kept modulo: never 0 as a tag, which stands for none. */
enum { LINK_TAG_SHIFT = 34, LINK_TAGS = (1 << 30) - 1 };

/* A frame's length in bytes (less than 4 GiB) and kind; 0: none. */
static inline uint64_t link_mark(size_t len, enum link_kind kind)
{
	return (uint64_t)len << 2 | kind;
}

/* The same of a message whose loss is told (struct gap), by its number. */
static inline uint64_t link_mark_numbered(size_t len, uint64_t number)
{
	return (number % LINK_TAGS + 1) << LINK_TAG_SHIFT | link_mark(len, LINK_MESSAGE);
}

static inline size_t link_mark_length(uint64_t mark)
{
	return (size_t)(mark >> 2 & UINT32_MAX);
}

/* What is missing without that frame, where no number was given above `newest`; or none. */
static inline struct gap link_mark_gap(uint64_t mark, uint64_t newest)
{
	const uint64_t tag = mark >> LINK_TAG_SHIFT;
	const uint64_t behind = (newest % LINK_TAGS + LINK_TAGS - (tag - 1)) % LINK_TAGS;

	return tag == 0 ? (struct gap){ 0 } : (struct gap){ newest - behind, newest - behind };
}

static inline enum link_kind link_mark_kind(uint64_t mark)
{
	return mark & 3;
}

static inline bool link_mark_is_message(uint64_t mark)
{
	return link_mark_kind(mark) == LINK_MESSAGE || link_mark_kind(mark) == LINK_TOLD;
}

/* Whole frames, lent: one in parts, or several in one part. */
struct link_run {
	const struct iovec *parts;
	int count;
	size_t len; /* bytes of all parts */
	const uint64_t *marks; /* one for each frame */
	size_t frames;
	uint32_t messages; /* how many of them are, */
	uint32_t http; /* and how many bytes are HTTP */
	struct chunk_copy *copy; /* for all who get the same bytes; NULL: nobody else does */
	uint32_t
		others; /* bytes that are no payload of messages, nor LINK_HEADER for each, nor HTTP */
	struct buffer *given; /* has the last part, and may be taken with it; NULL: it is lent */
};

/*
 * What the transport took: messages, each with its last byte; bytes without those of HTTP; and how
 * many of these are neither payload of such messages nor LINK_HEADER for each.
 */
struct link_count {
	uint64_t messages, bytes, others;
};

/* The shortest header, and what longer ones have beside that, by the length of the frame. */
enum { LINK_HEADER = 2 };
static inline uint32_t link_header_more(size_t frame)
{
	return frame < LINK_HEADER + 126 ? 0 : frame < 4 + 65536 ? 2 : 8;
}

/* What has left. */
enum link_moved { LINK_NOTHING, LINK_BYTES, LINK_DATA /* among them some of a message */ };

/* A run that is to be given (struct link_run) is no shorter: of less it would be the memory for a few bytes. */
enum { LINK_GIVEN_MIN = 64 * 1024 };

/* What is done with a message that is too much. Control frames are always kept. */
enum link_policy {
	LINK_STOP, /* the link is over */
	LINK_DROP_REST, /* it is dropped, and so is what follows in the run */
	LINK_DROP_ONE, /* it is dropped */
	LINK_DROP_OLDEST, /* those that wait give way to it, the oldest first */
	LINK_DROP_OTHERS, /* all of those do, whether it is too much or not */
};

/* Takes over fd, as transport_init. */
int link_init(struct link *l, struct event_base *base, int fd, event_callback_fn cb, void *arg);

/* Frees what is kept and the transport, and closes the descriptor. */
void link_fini(struct link *l);

/* Whether something that was to be sent is not out. */
static inline bool link_has_unsent(const struct link *l)
{
	return l->pending || l->transport.want_write;
}

/* Bytes of which the peer's socket has none. */
size_t link_unsent(const struct link *l);
/* Whether there are any; *since: the tick at which the first of them began to wait, to the second. */
bool link_waits(const struct link *l, uint32_t *since);

/* How much of what is long is written at once; of all links of the process. */
extern struct portion link_portion;

/*
 * Sends a run, if nothing is pending. last: the end follows (link_end). TAKEN, or BROKEN; or KEPT
 * if *sent bytes have left and no more, and then link_keep is to follow, whose rest is what
 * the socket did not take, or what is too much to be written or encrypted at once; OVER and BROKEN
 * also if it was so before.
 */
enum link_verdict link_send(struct link *l, const struct link_run *r, bool last, size_t *sent)
	__attribute__((warn_unused_result));

/*
 * Keeps what is behind the first `sent` bytes of a run: the rest of the frame that was cut, and
 * of the others what `max` bytes have space for. KEPT, DROPPED, OVER, or BROKEN. What has left is
 * added to *n. told: how the peer is told of messages that are dropped, in their place; NULL: not.
 */
enum link_verdict link_keep(struct link *l, const struct link_run *r, size_t sent, size_t max,
			    enum link_policy policy, const struct gap_form *told,
			    struct link_count *n);

/*
 * Notes that more is kept elsewhere behind what is pending; that messages were not to be kept; that
 * there is no going on without them; or that what was to be sent could not be made.
 */
void link_keep_behind(struct link *l);
void link_drop(struct link *l, uint32_t messages);
void link_stop(struct link *l);
void link_fail(struct link *l, int error);

/* Forgets messages that have waited since before a tick, and of which nothing was sent. told: as above. */
void link_drop_old(struct link *l, uint32_t before, const struct gap_form *told);

/* Tells of messages that were to follow what is pending; where none is, it is pending then. */
void link_lose(struct link *l, const struct gap_form *told, struct gap lost);
/* Bytes of what was told (LINK_TOLD) that wait. */
size_t link_told(const struct link *l);

/* Keeps a pong behind what is pending, of which there must be some, in place of an unsent one. */
void link_keep_pong(struct link *l, const void *frame, size_t len);
/* Puts that pong, if there is one, in its place in the order: a frame is to follow it. */
void link_place_pong(struct link *l);

/* Forgets all frames of which nothing was sent yet, gathered ones, too. */
void link_cut(struct link *l);

/*
 * Goes on with what is unsent, as much of it as is written at once: TAKEN, KEPT or BROKEN.
 * *moved says what of it the peer has taken, and that is added to *n.
 */
enum link_verdict link_go_on(struct link *l, bool last, enum link_moved *moved,
			     struct link_count *n);

/*
 * From here on what is sent is gathered, in one buffer that all links share, up to link_uncork.
 * What was gathered before is forgotten.
 */
void link_cork(struct link *l);
bool link_is_corked(const struct link *l);
/* Gathers a frame in parts. False: the link is not corked, or there is no space. */
bool link_gather(struct link *l, const struct iovec *parts, int count, uint64_t mark);
/*
 * The same for a frame that stays where it is up to the next call, which is its first in the
 * run. False: it is not the first.
 */
bool link_gather_lent(struct link *l, void *frame, size_t len);
/* What was gathered, up to link_cork or link_uncork. NULL: nothing was, or it is not corked. */
const struct link_run *link_gathered(struct link *l);
void link_uncork(struct link *l);

/* As recv: bytes, 0 at the end, which is noted; -1 with errno. */
ssize_t link_read(struct link *l, void *buf, size_t n);
/* Calls for what waits inside the transport, for which no event will come. */
void link_read_rest(struct link *l);
/* What to be called for: reading if asked to, writing if something is unsent. -1: no memory. */
int link_want(struct link *l, bool read);
/* Ends our direction, behind which nothing may be pending. */
void link_end(struct link *l);

/* The worst verdict since the last call, which starts anew unless it is BROKEN. */
enum link_verdict link_settle(struct link *l);

#endif
