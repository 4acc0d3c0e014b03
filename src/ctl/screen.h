/*
 * screen.h - the whole terminal for a while, and as it was before at the end.
 */
#ifndef CTL_SCREEN_H
#define CTL_SCREEN_H

#include <stdbool.h>

/* What one may wait for. */
enum screen_event {
	SCREEN_TIME, /* it has been long enough */
	SCREEN_KEY,
	SCREEN_DRAW, /* it has another size, or is ours again */
	SCREEN_END, /* a signal to end, or there is no terminal any more */
};

/*
 * Takes the terminal that standard input and output are. Signals that end a program are kept for
 * screen_wait from now on. -1: they are none, which has been said.
 */
int screen_open(void) __attribute__((warn_unused_result));

/* Gives it back as it was. Also done at the exit of the program. */
void screen_close(void);

/* Waits so many seconds at most; *key is what was typed. */
enum screen_event screen_wait(double seconds, char *key);

/* Whether a signal to end has come. */
bool screen_ended(void);

/* Ends the program by the signal that has come, if there was one but Ctrl-C. */
void screen_end_by_signal(void);

/* Its size. */
void screen_size(int *rows, int *columns);

/*
 * Shows a text of lines in place of what there was. What is beyond the last row or the last column
 * is left out.
 */
void screen_show(const char *text);

#endif
