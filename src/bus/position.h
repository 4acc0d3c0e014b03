/*
 * position.h - the position of a message in its room, as text for everybody outside.
 *
 * EPOCH.NUMBER: 16 hexadecimal digits in lower case, and a decimal number without zeroes before
 * it. What is of another epoch is of a log that is gone. Each position has one text, in letters
 * that are themselves in a URL, a file's name and a shell.
 */
#ifndef BUS_POSITION_H
#define BUS_POSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/bus.h"

/* Bytes of a text, at most, with a NUL behind it. */
enum { BUS_POSITION_SIZE = 16 + 1 + 20 + 1 };

struct bus_position {
	uint64_t epoch; /* as of bus_epoch, never 0 */
	uint64_t sequence; /* of the message; 0: before the first */
};

/* Writes the text and a NUL. Returns the length of the text. */
size_t bus_position_format(struct bus_position p, char out[BUS_POSITION_SIZE]);

/* Reads one back, from len bytes of any origin. False: they are not the text of a position. */
bool bus_position_parse(const char *text, size_t len, struct bus_position *p)
	__attribute__((warn_unused_result));

/*
 * Whether it is one that was given in the room as it is, up to its number `newest`: of another log,
 * or of a room of that name that was given up, it is not, and what followed it is not known.
 */
bool bus_position_is_of(const struct bus *b, struct bus_room room, uint64_t newest,
			struct bus_position p);

#endif
