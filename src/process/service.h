/*
 * service.h - what the service manager is told (sd_notify(3)). Without one,
 * nothing happens.
 */
#ifndef PROCESS_SERVICE_H
#define PROCESS_SERVICE_H

#include <stdint.h>

void service_ready(const char *status);
void service_reloading(void);
/* usec: how long stopping may take; the service manager waits that long. */
void service_stopping(const char *status, uint64_t usec);
void service_status(const char *status);

/* How often the watchdog wants to hear from this process, microseconds; 0: never. */
uint64_t service_watchdog_usec(void);
void service_watchdog(void);

#endif
