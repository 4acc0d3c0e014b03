/*
 * printable.h - which characters of a stranger's text may be shown as they are.
 *
 * What a peer or a file said cannot act on a terminal or forge a line: control characters, C1
 * controls too, and what is not UTF-8 are written as \xNN instead, byte by byte.
 */
#ifndef BASE_PRINTABLE_H
#define BASE_PRINTABLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Length in bytes of the UTF-8 character that the text at p begins with, 0 if it has to be escaped.
 * The text ends with a NUL, which is none.
 */
size_t printable(const unsigned char *p);

/* Whether all of a text may be shown as it is: len bytes, behind which there is a NUL. */
bool printable_whole(const char *text, size_t len);

#endif
