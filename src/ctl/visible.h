/*
 * visible.h - texts of the daemon on a terminal or in a pipe.
 *
 * A path of a room is what a stranger wrote: what could act on a terminal, forge a line or turn
 * the order of one is shown as \xNN.
 */
#ifndef CTL_VISIBLE_H
#define CTL_VISIBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* What is known of standard output. Call it first thing in main. */
void visible_init(void);

/* Columns of the terminal that standard output is, 0 if it is none. */
int visible_columns(void);

/* Whether standard output is a terminal that is to have colours and bold type. */
bool visible_colours(void);

/* Writes the text, escaped. */
void visible_text(FILE *out, const char *text);

/* The same as a new string; NULL: no memory. */
char *visible_escaped(const char *text);

/* How many columns of a terminal a text takes that has been escaped. */
int visible_width(const char *escaped);

/* How many bytes of such a text fit into so many columns. */
size_t visible_fitting(const char *escaped, int columns);

#endif
