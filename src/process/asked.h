/*
 * asked.h - administrators who wait for the outcome of a reload.
 */
#ifndef PROCESS_ASKED_H
#define PROCESS_ASKED_H

#include <stdbool.h>
#include <stdint.h>

enum { ASKED_MAX = 64 };

/* Notes that the question with this id is answered by that reload. false: too many wait. */
bool asked_note(uint32_t id, uint64_t reload) __attribute__((warn_unused_result));

/* That reload is over: calls answer for each who waits for it, and forgets them. */
void asked_answer(uint64_t reload, void (*answer)(uint32_t id));

/* Who asked is gone. */
void asked_forget(void);

#endif
