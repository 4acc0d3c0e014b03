/*
 * segment.c - see segment.h.
 *
 * Whoever attaches has a descriptor of unknown origin. What could do harm is asked in the order in
 * which it could: whether it can shrink (a read behind its end would be a SIGBUS), how long it is,
 * and then its header, which is copied once and compared as a whole. Behind that the layout counts,
 * which is our own, and the header is never looked at again.
 */
#include "base/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct segment_header header_of(const struct segment_layout *l)
{
	struct segment_header h = {
		.version = l->version, .size = l->size, .twice_at = l->twice_at, .twice = l->twice
	};

	strncpy(h.magic, l->name, sizeof(h.magic) - 1);
	memcpy(h.parts, l->parts, sizeof(h.parts));
	return h;
}

/* Reserves the addresses first, so that the two mappings are sure to be neighbours. */
static int map(struct segment *s, int fd, const struct segment_layout *l, int access)
{
	const int how = MAP_SHARED | MAP_FIXED;
	const size_t all = l->size + l->twice;
	const size_t first = l->twice > 0 ? l->twice_at + l->twice : l->size;
	uint8_t *at =
		mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -1;
	s->at = at;
	s->mapped = all;
	if (mmap(at, first, access, how, fd, 0) == MAP_FAILED)
		return -1;
	if (l->twice > 0 &&
	    mmap(at + first, all - first, access, how, fd, (off_t)l->twice_at) == MAP_FAILED)
		return -1;
	return madvise(at, all, MADV_DONTDUMP);
}

static int fill(struct segment *s, const struct segment_layout *l)
{
	const int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;

	s->fd = memfd_create(l->name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)l->size) < 0 ||
	    map(s, s->fd, l, PROT_READ | PROT_WRITE) < 0)
		return -1;
	*(struct segment_header *)s->at = header_of(l);
	/* behind our own mapping, which stays writable; a kernel before 5.1 does not know it */
	if (l->one_writer)
		fcntl(s->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE);
	return fcntl(s->fd, F_ADD_SEALS, size_seals | F_SEAL_SEAL);
}

int segment_make(struct segment *s, const struct segment_layout *l)
{
	*s = SEGMENT_NONE;
	if (fill(s, l) == 0)
		return 0;
	segment_free(s);
	return -1;
}

/* NULL: it is what l says. */
static const char *find_difference(int fd, const struct segment_layout *l)
{
	const struct segment_header known = header_of(l);
	struct segment_header h;
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return "it is no memory that is sealed";
	if (fstat(fd, &st) < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return "it is too short";
	if (memcmp(h.magic, known.magic, sizeof(h.magic)) != 0)
		return "it is something else";
	if (h.version != known.version)
		return "its layout is of another version";
	if (h.size != known.size || h.twice_at != known.twice_at || h.twice != known.twice ||
	    memcmp(h.parts, known.parts, sizeof(h.parts)) != 0)
		return "its sizes are others";
	return (uint64_t)st.st_size == known.size ? NULL : "it is not as long as it says";
}

int segment_attach(struct segment *s, int fd, const struct segment_layout *l, bool writable,
		   const char **why)
{
	*s = SEGMENT_NONE;
	*why = find_difference(fd, l);
	if (*why) {
		errno = EINVAL;
		return -1;
	}
	if (map(s, fd, l, writable ? PROT_READ | PROT_WRITE : PROT_READ) == 0)
		return 0;
	*why = strerror(errno);
	segment_free(s);
	return -1;
}

void segment_free(struct segment *s)
{
	const int error = errno;

	if (s->at)
		munmap(s->at, s->mapped);
	if (s->fd >= 0)
		close(s->fd);
	*s = SEGMENT_NONE;
	errno = error;
}
