/*
 * inquired.h - what the admin process asks this worker (admin/inquire.h).
 */
#ifndef PROCESS_INQUIRED_H
#define PROCESS_INQUIRED_H

struct event_base;

/* From now on questions that come on fd, which stays the caller's, are answered. -1: no memory. */
int inquired_begin(struct event_base *base, int fd) __attribute__((warn_unused_result));
void inquired_end(void);

#endif
