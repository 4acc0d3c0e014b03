/*
 * units.c - see units.h. What is out of all range, as a daemon may say that is none, is a long number
 * that is cut: a text of nonsense, and never one that is too long.
 */
#include "ctl/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

void units_bytes(char out[UNITS_SIZE], double bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	size_t u = 0;

	/* rounding up must not make it 1024 of a unit */
	if (fabs(bytes) < 1023.5) {
		snprintf(out, UNITS_SIZE, "%.0f B", bytes);
		return;
	}
	for (bytes /= 1024; fabs(bytes) >= 1023.95 && u + 1 < sizeof(units) / sizeof(*units); u++)
		bytes /= 1024;
	snprintf(out, UNITS_SIZE, "%.1f %s", bytes, units[u]);
}

/* n of a unit, and how much of the next smaller one is left. */
static void two_units(char *out, double n, const char *unit, double rest, const char *smaller)
{
	if (rest < 1)
		snprintf(out, UNITS_SIZE, "%.0f %s", n, unit);
	else
		snprintf(out, UNITS_SIZE, "%.0f %s %.0f %s", n, unit, floor(rest), smaller);
}

void units_duration(char out[UNITS_SIZE], double seconds)
{
	static const struct {
		double of;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };

	for (size_t u = 0; u < 3; u++) {
		double n = floor(seconds / units[u].of);

		if (n < 1)
			continue;
		two_units(out, n, units[u].name, fmod(seconds, units[u].of) / units[u + 1].of,
			  units[u + 1].name);
		return;
	}
	if (seconds > 0 && seconds < 1)
		snprintf(out, UNITS_SIZE, "%.0f ms", floor(seconds * 1000));
	else if (seconds > 0 && seconds < 10)
		snprintf(out, UNITS_SIZE, "%.1f s", floor(seconds * 10) / 10);
	else
		snprintf(out, UNITS_SIZE, "%.0f s", floor(seconds));
}

void units_rate(char out[UNITS_SIZE], double rate)
{
	snprintf(out, UNITS_SIZE, rate > 0 && rate < 99.95 ? "%.1f/s" : "%.0f/s", rate);
}

bool units_parse_duration(const char *text, double *seconds)
{
	static const struct {
		const char *name;
		double factor;
	} units[] = { { "ms", 0.001 }, { "s", 1 },    { "", 1 },
		      { "m", 60 },     { "h", 3600 }, { "d", 86400 } };
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 15)
		return false;
	for (size_t u = 0; u < sizeof(units) / sizeof(*units); u++) {
		if (strcasecmp(text + digits, units[u].name) != 0)
			continue;
		*seconds = (double)strtoll(text, NULL, 10) * units[u].factor;
		return true;
	}
	return false;
}

void units_clock(char out[UNITS_SIZE], double seconds)
{
	int64_t ms = seconds >= 0 && seconds < 1e12 ? (int64_t)(seconds * 1000) : 0;
	time_t whole = (time_t)(ms / 1000);
	char text[16] = "-";
	struct tm tm;

	if (localtime_r(&whole, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	snprintf(out, UNITS_SIZE, "%s.%03d", text, (int)(ms % 1000));
}
