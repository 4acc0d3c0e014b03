/*
 * segment.h - memory that processes share, and that says what it is.
 *
 * It is a sealed memfd, which goes where a descriptor goes: over an exec or a socket, not over a
 * fork alone. A header is at its beginning, by which whoever gets it sees whether it knows what is
 * inside.
 */
#ifndef BASE_SEGMENT_H
#define BASE_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEGMENT_MAGIC_LEN = 16, SEGMENT_PARTS = 4 };

/*
 * What a segment is. The first member of what is inside. Two cache lines, as processors fetch them
 * in pairs: what follows is placed as if it were the first.
 */
struct segment_header {
	_Alignas(128) char magic[SEGMENT_MAGIC_LEN]; /* its name, then zeroes */
	uint64_t version; /* of the layout; one more when what is inside means something else */
	uint64_t size; /* bytes of all, header included */
	/* Whole pages from twice_at on that are there a second time, right behind themselves. */
	uint64_t twice_at, twice;
	uint64_t parts[SEGMENT_PARTS]; /* sizes and numbers of what is inside, 0: no more of them */
};

/* The same before there is one, or as it is to be found. */
struct segment_layout {
	const char *name; /* shown in /proc; shorter than SEGMENT_MAGIC_LEN */
	uint64_t version;
	size_t size;
	size_t twice_at, twice;
	uint64_t parts[SEGMENT_PARTS];
	/* Others can map it for reading alone; a kernel before 5.1 does not see to that. */
	bool one_writer;
};

/* A segment as one process has it. Private, so nothing of it needs a second look. */
struct segment {
	void *at; /* the header; NULL: there is none */
	size_t mapped; /* bytes, with those that are there twice */
	int fd; /* -1: not open (any more) */
};

/* What there is before there is any. */
#define SEGMENT_NONE ((struct segment){ .fd = -1 })

/*
 * Makes one of zeroes behind its header, mapped to be read and written, and left out of core dumps.
 * It can neither shrink nor grow, so nobody takes memory away under a reader. -1: errno is set, and
 * *s is SEGMENT_NONE.
 */
int segment_make(struct segment *s, const struct segment_layout *l)
	__attribute__((warn_unused_result));

/*
 * Maps one that another process made. fd stays the caller's, and may be anything: what is not
 * sealed, or whose header is not what l says, is refused. writable: or it is for reading alone.
 * -1: *s is SEGMENT_NONE, errno is set (EINVAL: it was refused) and *why says why.
 */
int segment_attach(struct segment *s, int fd, const struct segment_layout *l, bool writable,
		   const char **why) __attribute__((warn_unused_result));

/* Unmaps and closes what there is of it, here alone. errno stays. */
void segment_free(struct segment *s);

#endif
