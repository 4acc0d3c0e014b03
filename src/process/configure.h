/*
 * configure.h - the configuration as the daemon reads it: as whom, within what limits, and
 * whether OpenSSL takes what is in it. For a start, a reload and a check alike.
 */
#ifndef PROCESS_CONFIGURE_H
#define PROCESS_CONFIGURE_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct config_errors;
struct config_source;

/* As many open files as this process may have; what needs them is judged by that. */
void configure_raise_limits(void);

/* As root: becomes the user that the file names, if it is valid and does. -1: logged. */
int configure_become_user(const char *file) __attribute__((warn_unused_result));

/* Whether this is root, and the configuration (NULL: there is none) names nobody else. */
bool configure_stays_root(const struct config *c);

/*
 * Reads and checks a file. The caller owns both the snapshot and *source, what it was made of.
 * NULL: all that is wrong is in e, and *source is NULL.
 */
struct config *configure_load(const char *file, uint64_t generation, struct config_source **source,
			      struct config_errors *e) __attribute__((warn_unused_result));

/* From now on the log is as c has it, -v (verbose) aside, and names c's generation. */
void configure_log(const struct config *c, bool verbose);

/* For config_errors_each: puts what is wrong with a configuration in the log. */
void configure_log_error(bool warning, const char *line, void *arg);

#endif
