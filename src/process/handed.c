/*
 * handed.c - see handed.h.
 */
#include "process/handed.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "behaviour.h"
#include "config/config.h"

static struct config_source *receive(int fd)
{
	struct config_source *s = NULL;
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0 || st.st_size <= 0)
		return NULL;
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	s = config_source_unpack(p, (size_t)st.st_size);
	munmap(p, (size_t)st.st_size);
	return s;
}

struct config *handed_config(int fd, uint64_t generation)
{
	struct config_source *s = receive(fd);
	struct config_errors *e = config_errors_new();
	struct config *c = s && e ? config_parse(s, behaviours, generation, e) : NULL;

	config_source_free(s);
	config_errors_free(e);
	return c;
}
