/*
 * board.c - see board.h.
 *
 * The text of a reload is longer than what is written at once. Its edition is odd meanwhile, and
 * another one behind it: who reads looks at that ahead and again behind, and tries again.
 */
#include "base/board.h"

#include <string.h>

enum { TRIES = 1000 };

static const struct segment_layout layout = {
	.name = "ignyx-board",
	.version = 2,
	.size = sizeof(struct board),
	.parts = { sizeof(struct board_child), SLOTS, BOARD_TEXT_MAX, sizeof(struct board_drain) },
};

const char *board_phase_name(int phase)
{
	static const char *const names[BOARD_PHASES] = { "starting", "ready", "stopping" };

	return phase >= 0 && phase < BOARD_PHASES ? names[phase] : "unknown";
}

const char *board_state_name(int state)
{
	static const char *const names[BOARD_STATES] = { "unused", "starting", "running",
							 "retiring", "restarting" };

	return state >= 0 && state < BOARD_STATES ? names[state] : "unknown";
}

struct board *board_new(struct segment *s)
{
	return segment_make(s, &layout) == 0 ? s->at : NULL;
}

void board_note_reload(struct board *b, int64_t at, bool applied, const char *text)
{
	size_t n = strnlen(text, BOARD_TEXT_MAX - 1);

	atomic_fetch_add(&b->reload.edition, 1);
	atomic_store(&b->reload.at, at);
	atomic_store(&b->reload.applied, applied);
	for (size_t i = 0; i < n; i++)
		atomic_store(&b->reload.text[i], text[i]);
	atomic_store(&b->reload.text[n], '\0');
	atomic_fetch_add(&b->reload.edition, 1);
}

static int64_t copy_reload(const struct board *b, bool *applied, char text[BOARD_TEXT_MAX])
{
	*applied = atomic_load(&b->reload.applied);
	for (size_t i = 0; i < BOARD_TEXT_MAX; i++)
		text[i] = atomic_load(&b->reload.text[i]);
	text[BOARD_TEXT_MAX - 1] = '\0';
	return atomic_load(&b->reload.at);
}

int64_t board_last_reload(const struct board *b, bool *applied, char text[BOARD_TEXT_MAX])
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t before = atomic_load(&b->reload.edition);
		int64_t at = copy_reload(b, applied, text);

		if (before % 2 == 0 && atomic_load(&b->reload.edition) == before)
			return at;
	}
	return 0;
}

enum { DRAIN_WORDS = sizeof(struct board_drain) / sizeof(uint64_t) };

_Static_assert(sizeof(struct board_drain) % sizeof(uint64_t) == 0, "it is copied word by word");

void board_note_drain(struct board *b, const struct board_drain *d)
{
	uint64_t words[DRAIN_WORDS];

	memcpy(words, d, sizeof(words));
	atomic_fetch_add(&b->drain.edition, 1);
	for (size_t i = 0; i < DRAIN_WORDS; i++)
		atomic_store(&b->drain.words[i], words[i]);
	atomic_fetch_add(&b->drain.edition, 1);
}

void board_read_drain(const struct board *b, struct board_drain *d)
{
	uint64_t words[DRAIN_WORDS];

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = atomic_load(&b->drain.edition);

		for (size_t j = 0; j < DRAIN_WORDS; j++)
			words[j] = atomic_load(&b->drain.words[j]);
		if (before % 2 == 0 && atomic_load(&b->drain.edition) == before) {
			memcpy(d, words, sizeof(words));
			d->endpoint[BOARD_PATH_MAX] = '\0';
			return;
		}
	}
	*d = (struct board_drain){ 0 };
}
