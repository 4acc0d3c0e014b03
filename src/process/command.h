/*
 * command.h - what the program does besides being the daemon. Both return its exit status.
 */
#ifndef PROCESS_COMMAND_H
#define PROCESS_COMMAND_H

struct master_options;

/* -t: checks the configuration as the daemon would read it; prints to stderr and stdout. */
int command_check(const struct master_options *options);

/* -r: has the running daemon reload, and says what came of it. */
int command_reload(const struct master_options *options);

#endif
