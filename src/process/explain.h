/*
 * explain.h - why a token would let somebody in, or would not: offline, for who runs the daemon.
 */
#ifndef PROCESS_EXPLAIN_H
#define PROCESS_EXPLAIN_H

struct master_options;

/*
 * --explain-token: reads a JSON Web Token from stdin and judges it for the path in the options by the
 * configuration's file, with a line for each rule, and what it says. Returns the exit status: OK where it
 * would let somebody in.
 */
int explain_token(const struct master_options *options);

#endif
