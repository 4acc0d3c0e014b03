/*
 * file.h - reading whole files.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include <stddef.h>
#include <sys/stat.h>

/*
 * Opens a regular file for reading; anything else, which might block or have no
 * end, is refused. Returns the descriptor, or -1, and *why says why not.
 */
int file_open(const char *name, struct stat *st, const char **why);

/*
 * Reads to the end of the file. Returns NULL, or why that is not possible: too_large for
 * more than max bytes; *bytes (and one NUL behind them) are the caller's to free in any case,
 * by alloc_free_secret if they may be a key.
 */
const char *file_read(int fd, size_t max, const char *too_large, char **bytes, size_t *len);

/* The name as seen from the directory of another file. Caller frees. */
char *file_beside(const char *file, const char *name);

#endif
