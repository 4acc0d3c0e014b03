/*
 * notify.h - what the service manager is told (sd_notify(3)). Without one,
 * nothing happens.
 */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

#include <stdint.h>

void notify_ready(const char *status);
void notify_reloading(void);
/* usec: how long stopping may take; the service manager waits that long. */
void notify_stopping(const char *status, uint64_t usec);
void notify_status(const char *status);

/* How often the watchdog wants to hear from this process, microseconds; 0: never. */
uint64_t notify_watchdog_usec(void);
void notify_watchdog(void);

#endif
