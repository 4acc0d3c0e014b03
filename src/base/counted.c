/*
 * counted.c - see counted.h. A large piece comes from where those of long messages do.
 */
#include "base/counted.h"

#include "base/block.h"

struct counted *counted_new(size_t size)
{
	struct counted *p = block_resize(NULL, 0, 0, sizeof(*p) + size);

	if (!p)
		return NULL;
	p->holders = 1;
	p->size = size;
	return p;
}

void counted_release(struct counted *p)
{
	if (p && --p->holders == 0)
		block_free(p, sizeof(*p) + p->size);
}
