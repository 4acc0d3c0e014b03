/*
 * asked.c - see asked.h.
 *
 * A reload that is under way may have read the file too early for who asks now: so the answer is the
 * outcome of one that begins later, and several who ask meanwhile have the same.
 */
#include "process/asked.h"

#include <stddef.h>

static struct {
	uint32_t id;
	uint64_t reload;
} waiting[ASKED_MAX];

static size_t count;

bool asked_note(uint32_t id, uint64_t reload)
{
	if (count == ASKED_MAX)
		return false;
	waiting[count].id = id;
	waiting[count++].reload = reload;
	return true;
}

void asked_answer(uint64_t reload, void (*answer)(uint32_t id))
{
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (waiting[i].reload == reload)
			answer(waiting[i].id);
		else
			waiting[left++] = waiting[i];
	count = left;
}

void asked_forget(void)
{
	count = 0;
}
