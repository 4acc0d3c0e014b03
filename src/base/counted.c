/*
 * counted.c - see counted.h. A large piece comes from where those of long messages do.
 */
#include "base/counted.h"

#include "base/account.h"
#include "base/block.h"

struct counted *counted_new(size_t size)
{
	struct counted *p = NULL;

	return counted_resize(&p, 0, size) ? p : NULL;
}

bool counted_resize(struct counted **p, size_t used, size_t size)
{
	size_t had = *p ? sizeof(**p) + (*p)->size : 0;
	struct counted *grown;

	if (*p && size <= (*p)->size)
		return true;
	grown = block_resize(*p, *p ? sizeof(**p) + used : 0, had, sizeof(*grown) + size);
	if (!grown)
		return false;
	account_take(sizeof(*grown) + size - had);
	grown->holders = 1;
	grown->size = size;
	*p = grown;
	return true;
}

void counted_release(struct counted *p)
{
	if (!p || --p->holders > 0)
		return;
	account_give(sizeof(*p) + p->size);
	block_free(p, sizeof(*p) + p->size);
}
