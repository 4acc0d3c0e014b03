/*
 * reason.c - see reason.h.
 */
#include "base/reason.h"

static const struct {
	const char *word, *text;
	bool fault;
} reasons[REASON_COUNT] = {
#define REASON(name, word, text) [REASON_##name] = { word, text, false },
#define FAULT(name, word, text) [REASON_##name] = { word, text, true },
#include "base/reason.def"
#undef REASON
};

const char *reason_word(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reasons[r].word : "";
}

const char *reason_text(enum reason r)
{
	return (unsigned)r < REASON_COUNT ? reasons[r].text : "";
}

bool reason_is_fault(enum reason r)
{
	return (unsigned)r < REASON_COUNT && reasons[r].fault;
}

const char *reason_initiator(enum reason r)
{
	switch (r) {
	case REASON_PEER_CLOSED:
	case REASON_PEER_GONE:
	case REASON_RESET:
		return "client";
	default:
		return "server";
	}
}
