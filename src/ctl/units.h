/*
 * units.h - numbers as a person reads and writes them.
 */
#ifndef CTL_UNITS_H
#define CTL_UNITS_H

#include <stdbool.h>
#include <stddef.h>

enum { UNITS_SIZE = 32 }; /* bytes that any of these texts takes */

/* A number of bytes: "512 B", "1.2 MiB". */
void units_bytes(char out[UNITS_SIZE], double bytes);

/* A span of seconds in its two largest units, rounded down: "350 ms", "1.5 s", "3 d 4 h". */
void units_duration(char out[UNITS_SIZE], double seconds);

/* How often in a second: "0.4/s", "12345/s". */
void units_rate(char out[UNITS_SIZE], double rate);

/* Of seconds since the epoch the time of day, by the clock of where this runs: "12:04:31.250". */
void units_clock(char out[UNITS_SIZE], double seconds);

/*
 * Reads a duration of 0 or more: "250ms", "30s", "5m", "1h", "2d", or a number of seconds without a
 * unit; in seconds to *seconds. False: it is none.
 */
bool units_parse_duration(const char *text, double *seconds);

#endif
