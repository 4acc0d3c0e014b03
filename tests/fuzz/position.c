/*
 * The position of a message, as clients name it in a query or a request.
 *
 * Invariant: each position has one text, so what is read is written as it came.
 */
#include <stdlib.h>
#include <string.h>

#include "bus/position.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size), out[BUS_POSITION_SIZE];
	struct bus_position p;

	if (size > 0)
		memcpy(text, data, size);
	if (bus_position_parse(text, size, &p)) {
		fuzz_require(p.epoch != 0);
		fuzz_require(bus_position_format(p, out) == size);
		fuzz_require(strlen(out) == size && memcmp(out, text, size) == 0);
	}
	free(text);
	return 0;
}
