/*
 * reload_client.h - `ignyxd -r`: a reload whose outcome is known.
 */
#ifndef PROCESS_RELOAD_CLIENT_H
#define PROCESS_RELOAD_CLIENT_H

/*
 * Sends SIGHUP to the daemon that uses runtime_dir (NULL: an error that says what to
 * set), waits for the outcome and prints it, unless $MAINPID says that the service manager
 * asks, in whose log it is. main_pid: the daemon's if it is known, else 0. Returns the exit
 * status: 0 applied, 1 anything else.
 */
int reload_client(const char *runtime_dir, long main_pid);

#endif
