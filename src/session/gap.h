/*
 * gap.h - what a member of the format "json" gets in the place of messages that it does not get.
 *
 * {"type":"gap","room":NAME,"from":POSITION,"to":POSITION}
 *
 * All behind the first position is missing, up to the second and with it. What is lost in a row is
 * one gap, however often it grows before it leaves.
 */
#ifndef SESSION_GAP_H
#define SESSION_GAP_H

#include <stddef.h>
#include <stdint.h>

/* Numbers of messages. Zeroed: none. */
struct gap {
	uint64_t first, last;
};

/* What those of one room have in common, lent. */
struct gap_form {
	const uint8_t *head; /* up to the number of the first position */
	const uint8_t *middle; /* from behind that up to the other number */
	size_t head_len, middle_len;
	uint64_t newest; /* the last number that was given in the room, when something is lost */
};

/* It grows by another; both may be none. */
static inline void gap_add(struct gap *g, struct gap more)
{
	if (more.last == 0)
		return;
	if (g->last == 0 || more.first < g->first)
		g->first = more.first;
	if (more.last > g->last)
		g->last = more.last;
}

/* Bytes of the whole frame, at most. */
size_t gap_frame_max(const struct gap_form *f);
/* Writes it, for one that is not none. Returns its length. */
size_t gap_write_frame(uint8_t *out, const struct gap_form *f, const struct gap *g);

#endif
