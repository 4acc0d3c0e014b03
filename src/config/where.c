/*
 * where.c - where a daemon that runs keeps its files, as its configuration says.
 *
 * Whoever wants to reach it is not the one to judge the rest of the file: the keys may not be his
 * to read, and his limits are not the daemon's.
 */
#include <string.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/syntax.h"

char *config_find_runtime_dir(const char *path, struct config_errors *e)
{
	struct config_source *s = config_load(path, e);
	const char *dir;
	char *found = NULL;
	config_t lib;

	if (s == NULL)
		return NULL;
	if (syntax_parse(s, &lib, e) && config_lookup_string(&lib, "runtime_dir", &dir) &&
	    *dir == '/')
		found = alloc_bytes(dir, strlen(dir));
	config_destroy(&lib);
	config_source_free(s);
	return found;
}
