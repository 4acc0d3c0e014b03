/*
 * ram.c - how much memory there is for this process: that of the machine, or what the tightest
 * of its control groups allows.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/parse.h"

/* "max", and what is not there, is no limit; nor is more than there is. */
static void tighten(const char *file, int64_t *least)
{
	FILE *f = fopen(file, "re");
	char text[64] = "";
	long long limit;

	if (!f)
		return;
	if (fgets(text, sizeof(text), f) && (limit = strtoll(text, NULL, 10)) > 0 && limit < *least)
		*least = limit;
	fclose(f);
}

/* Its own group, and those above it. */
static void tighten_by_groups(const char *root, char *path, const char *name, int64_t *least)
{
	char file[4096 + 128];

	for (;;) {
		char *end = strrchr(path, '/');

		snprintf(file, sizeof(file), "%s%s/%s", root, path, name);
		tighten(file, least);
		if (!end || end == path)
			break;
		*end = '\0';
	}
	snprintf(file, sizeof(file), "%s/%s", root, name);
	tighten(file, least);
}

int64_t ram_available(void)
{
	int64_t least = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		char *path;

		line[strcspn(line, "\n")] = '\0';
		path = strchr(line, '/');
		if (path && strncmp(line, "0::", 3) == 0)
			tighten_by_groups("/sys/fs/cgroup", path, "memory.max", &least);
		else if (path && strstr(line, ":memory:"))
			tighten_by_groups("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes",
					  &least);
	}
	if (f)
		fclose(f);
	return least;
}
