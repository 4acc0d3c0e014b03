/*
 * handed.h - a configuration that the master hands to a child.
 */
#ifndef PROCESS_HANDED_H
#define PROCESS_HANDED_H

#include <stdint.h>

struct config;

/*
 * Makes a snapshot of the packed source in fd, which stays the caller's. NULL: there is no memory,
 * or it is not what the master has parsed without an error.
 */
struct config *handed_config(int fd, uint64_t generation) __attribute__((warn_unused_result));

#endif
