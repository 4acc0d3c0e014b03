/*
 * status.h - how the daemon is, for who asks.
 */
#ifndef PROCESS_STATUS_H
#define PROCESS_STATUS_H

/* In one line, for the service manager; lent until the next call. */
const char *status_line(void);

/* Tells it to the service manager, if it is another than before. */
void status_tell(void);

/* All that an operator may want to see, on demand: at every log level. */
void status_log(void);

#endif
