/*
 * service.c - see service.h.
 *
 * What is sent is lines, some of which quote what a configuration file holds. A quote must not
 * become a line of its own: the service manager would take it for a word of ours.
 */
#include "process/service.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "proto/utf8.h"

enum { STATUS_MAX = 512 };

/* A line of its own, and UTF-8, without which systemd ignores it: it may quote a file. */
static const char *clean(const char *status, char out[STATUS_MAX])
{
	size_t n = strnlen(status, STATUS_MAX - 1);
	bool valid = utf8_valid(status, n);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)status[i];

		out[i] = c < 0x20 || c == 0x7f || (c >= 0x80 && !valid) ? '?' : (char)c;
	}
	out[n] = '\0';
	return out;
}

void service_ready(const char *status)
{
	char text[STATUS_MAX];

	sd_notifyf(0, "READY=1\nSTATUS=%s", clean(status, text));
}

void service_reloading(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reloading",
		   (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void service_stopping(const char *status, uint64_t usec)
{
	sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRIu64 "\nSTATUS=%s", usec, status);
}

void service_status(const char *status)
{
	char text[STATUS_MAX];

	sd_notifyf(0, "STATUS=%s", clean(status, text));
}

uint64_t service_watchdog_usec(void)
{
	static int known;
	static uint64_t usec;

	if (!known) {
		known = 1;
		if (sd_watchdog_enabled(0, &usec) <= 0)
			usec = 0;
	}
	return usec;
}

void service_watchdog(void)
{
	sd_notify(0, "WATCHDOG=1");
}
