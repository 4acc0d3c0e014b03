/*
 * runtime.h - the files in runtime_dir: who runs, and what came of the last
 * reload. `ignyxd -r` reads them (reload_client.h).
 */
#ifndef PROCESS_RUNTIME_H
#define PROCESS_RUNTIME_H

#include <stdbool.h>

#define RUNTIME_PID_FILE "ignyxd.pid"
#define RUNTIME_RELOAD_FILE "reload"

/* A byte of the pid file that is not locked while the last outcome could not be written. */
enum { RUNTIME_TOLD_BYTE = 1 };

/*
 * Makes the folder if need be, writes the pid file and holds a lock on it: a
 * second daemon with the same folder is an error. dir NULL: does nothing, and
 * neither do the calls below. -1: logged.
 */
int runtime_open(const char *dir) __attribute__((warn_unused_result));

/* Removes the files. */
void runtime_close(void);

/*
 * The outcome of a reload, for who waits for it. The file is replaced whole: a
 * line "COUNT running|applied|refused", then the summary and one line an error.
 * Where it cannot be written the pid file's lock says so, which needs no space and no right.
 */
void runtime_reload_begin(void);
void runtime_reload_line(const char *line);
void runtime_reload_end(bool applied, const char *summary);

#endif
