/*
 * vitals.h - what a process tells of itself: descriptors, memory, the log.
 */
#ifndef BASE_VITALS_H
#define BASE_VITALS_H

struct metrics_row;

/* Notes in the row how it is. To be called about once a second: it asks the kernel. */
void vitals_note(struct metrics_row *row);

#endif
