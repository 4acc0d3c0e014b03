/*
 * reason.h - one stable word for every way a connection can be refused or end.
 *
 * The same word stands in the HTTP refusal, the close frame's reason, the
 * metric's label and the journal's field IGNYX_REASON. The table is
 * reason.def; a new reason is one line there.
 */
#ifndef BASE_REASON_H
#define BASE_REASON_H

#include <stdbool.h>

enum reason {
#define REASON(name, word, text) REASON_##name,
#include "base/reason.def"
#undef REASON
	REASON_COUNT
};

/* The word, "slow-consumer" style; never NULL. REASON_NONE is "". */
const char *reason_word(enum reason r);

/* A sentence for a person that says what was wrong and what to do; never NULL. */
const char *reason_text(enum reason r);

/* Whether an open connection that ended so did because somebody, at either end, did wrong. */
bool reason_is_fault(enum reason r);

/* Who was the first to end an open connection: "client" or "server". */
const char *reason_initiator(enum reason r);

#endif
