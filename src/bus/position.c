/*
 * position.c - see position.h.
 *
 * By hand, for what is read comes from clients: strtoull and sscanf take white space, signs and
 * leading zeroes, and are silent about what is too large.
 */
#include "bus/position.h"

#include <inttypes.h>
#include <stdio.h>

enum { EPOCH_LEN = 16 };

size_t bus_position_format(struct bus_position p, char out[BUS_POSITION_SIZE])
{
	return (size_t)snprintf(out, BUS_POSITION_SIZE, "%016" PRIx64 ".%" PRIu64, p.epoch,
				p.sequence);
}

static bool parse_epoch(const char *text, uint64_t *epoch)
{
	*epoch = 0;
	for (int i = 0; i < EPOCH_LEN; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			*epoch = *epoch << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*epoch = *epoch << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return *epoch != 0;
}

static bool parse_number(const char *text, size_t len, uint64_t *number)
{
	*number = 0;
	if (len == 0 || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || *number > (UINT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return true;
}

bool bus_position_parse(const char *text, size_t len, struct bus_position *p)
{
	return len > EPOCH_LEN + 1 && text[EPOCH_LEN] == '.' && parse_epoch(text, &p->epoch) &&
	       parse_number(text + EPOCH_LEN + 1, len - EPOCH_LEN - 1, &p->sequence);
}

bool bus_position_is_of(const struct bus *b, struct bus_room room, uint64_t newest,
			struct bus_position p)
{
	return p.epoch == bus_epoch(b) && p.sequence <= newest &&
	       p.sequence >= bus_beginning(b, room);
}
