/*
 * counted.c - see counted.h. A large piece comes from where those of long messages do.
 */
#include "base/counted.h"

#include "base/account.h"
#include "base/block.h"
#include "base/buffer.h"

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
	*grown = (struct counted){ 1, size, (uint8_t *)(grown + 1), 0 };
	*p = grown;
	return true;
}

struct counted *counted_new_given(struct buffer *from)
{
	struct counted *p = counted_new(0);

	if (!p)
		return NULL;
	*p = (struct counted){ 1, from->len, from->p, from->size };
	*from = (struct buffer){ 0 };
	return p;
}

void counted_release(struct counted *p)
{
	if (!p || --p->holders > 0)
		return;
	account_give(sizeof(*p) + p->size);
	if (p->given > 0)
		block_free(p->bytes, p->given);
	block_free(p, sizeof(*p) + (p->given > 0 ? 0 : p->size));
}
