/*
 * What a member of a room asks for in band.
 *
 * Invariants: what is taken is a JSON object that names it, asks for no more messages than there can
 * be, and since a position that was written so; what is not is told by one of the words of
 * ignyxd-protocol(7), with nothing that JSON would escape.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bus/position.h"
#include "config/config.h"
#include "fuzz.h"
#include "session/request_text.h"

static const char *const names[] = {
	[REQUEST_POSITION] = "position",
	[REQUEST_PRESENCE] = "presence",
	[REQUEST_HISTORY] = "history",
};

static void check_taken(const struct request *r, const uint8_t *text, size_t len)
{
	json_t *tree = json_loadb((const char *)text, len, 0, NULL);
	const char *name = json_string_value(json_object_get(tree, "ignyx"));
	const json_t *since = json_object_get(tree, "since");
	char position[BUS_POSITION_SIZE];

	fuzz_require(len <= REQUEST_TEXT_MAX);
	fuzz_require(name && strcmp(name, names[r->name]) == 0);
	fuzz_require(r->wish.count <= CONFIG_HISTORY_MAX);
	fuzz_require(r->wish.counts == (r->name == REQUEST_HISTORY));
	fuzz_require(r->wish.since == (r->name == REQUEST_HISTORY && since));
	if (r->wish.since) {
		bus_position_format(r->wish.position, position);
		fuzz_require(strcmp(position, json_string_value(since)) == 0);
	}
	json_decref(tree);
}

static void check_refused(const struct request_error *why)
{
	static const char *const words[] = { "unknown-request", "invalid-json", "request-too-long",
					     "bad-since", "bad-limit" };
	size_t i = 0;

	while (i < sizeof(words) / sizeof(*words) && strcmp(words[i], why->word) != 0)
		i++;
	fuzz_require(i < sizeof(words) / sizeof(*words));
	fuzz_require(strpbrk(why->text, "\"\\\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = calloc(size > 0 ? size : 1, 1);
	struct request_error why;
	struct request r;

	if (size > 0)
		memcpy(text, data, size);
	if (request_read(text, size, &r, &why))
		check_taken(&r, text, size);
	else
		check_refused(&why);
	free(text);
	return 0;
}
