/*
 * vitals.c - see vitals.h.
 *
 * Each process asks about itself, for what the kernel tells of one that has read keys it tells nobody
 * else. How many descriptors are open is the size of a folder, which kernels before 6.2 give as 0;
 * there its entries are counted, up to FILES_COUNTED, for that takes time with each of them.
 */
#include "base/vitals.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"

enum { FILES_COUNTED = 4096 };

/* 0: that is not known now, as when there are no more descriptors, and stays as it was. */
static void note(_Atomic uint64_t *gauge, uint64_t n)
{
	if (n > 0)
		atomic_store_explicit(gauge, n, memory_order_relaxed);
}

static uint64_t count_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!d)
		return 0;
	while (n < FILES_COUNTED && readdir(d))
		n++;
	closedir(d);
	/* "." and "..", and the folder itself */
	return n > 3 ? n - 3 : 0;
}

static uint64_t open_files(void)
{
	struct stat st;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	return count_files();
}

static uint64_t resident(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void vitals_note(struct metrics_row *row)
{
	struct rlimit limit;

	note(&row->files, open_files());
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		note(&row->files_limit, limit.rlim_cur);
	note(&row->resident, resident());
	metrics_add(&row->log_dropped, log_take_dropped());
}
