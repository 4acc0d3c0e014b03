/*
 * ctl_lists.c - the commands that show a list: endpoints, rooms, connections, config.
 */
#include "ctl/filter.h"
#include "ctl/listing.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

int command_endpoints(struct asker *d, const struct arguments *a)
{
	static const struct column columns[] = {
		{ "ENDPOINT", "endpoint", KIND_TEXT },
		{ "BEHAVIOUR", "behaviour", KIND_TEXT },
		{ "OPEN", "connections", KIND_COUNT },
		{ "OPENED", "opened", KIND_COUNT },
		{ "RECEIVED", "messages_received", KIND_COUNT },
		{ "SENT", "messages_sent", KIND_COUNT },
		{ "BYTES IN", "bytes_received", KIND_BYTES },
		{ "BYTES OUT", "bytes_sent", KIND_BYTES },
		{ "DROPPED", "dropped", KIND_COUNT },
		{ "REFUSED", "refused", KIND_COUNT },
		{ "CLOSED", "closed", KIND_COUNT },
	};
	static const struct list list = { .path = "/endpoints", .key = "endpoints" };

	return listing_print(d, a, &list, columns, COUNT(columns));
}

int command_rooms(struct asker *d, const struct arguments *a)
{
	static const struct column columns[] = {
		{ "ROOM", "room", KIND_TEXT },
		{ "MEMBERS", "members", KIND_COUNT },
		{ "POSITION", "position", KIND_TEXT },
	};
	const struct list list = {
		.path = "/rooms",
		.key = "rooms",
		.query = { { "prefix", a->count > 0 ? a->words[0] : NULL } },
	};

	return listing_print(d, a, &list, columns, COUNT(columns));
}

int command_connections(struct asker *d, const struct arguments *a)
{
	static const struct column columns[] = {
		{ "ID", "id", KIND_TEXT },
		{ "PEER", "peer", KIND_TEXT },
		{ "ENDPOINT", "endpoint", KIND_TEXT },
		{ "ROOM", "room", KIND_TEXT },
		{ "USER", "user", KIND_TEXT },
		{ "WORKER", "worker", KIND_COUNT },
		{ "OPEN FOR", "since", KIND_SINCE },
		{ "RECEIVED", "received", KIND_COUNT },
		{ "BYTES IN", "received_bytes", KIND_BYTES },
		{ "PENDING", "pending", KIND_BYTES },
		{ "FOR", "waits", KIND_DURATION },
		{ "RTT", "round_trip", KIND_DURATION },
	};
	struct list list = { .path = "/connections", .key = "connections" };
	char older[FILTER_NUMBER_SIZE];

	if (!filter_queries(a, list.query, older))
		return CTL_USAGE;
	return listing_print(d, a, &list, columns, COUNT(columns));
}

int command_config(struct asker *d, const struct arguments *a)
{
	static const struct column columns[] = {
		{ "KEY", "key", KIND_TEXT },
		{ "VALUE", "value", KIND_ANY },
		{ "FROM", "from", KIND_TEXT },
		{ "RELOAD", "reload", KIND_TRUTH },
	};
	const struct list list = {
		.path = "/config",
		.key = "config",
		.query = { { "prefix", a->count > 0 ? a->words[0] : NULL } },
	};

	return listing_print(d, a, &list, columns, COUNT(columns));
}
