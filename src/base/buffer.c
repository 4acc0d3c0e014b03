/*
 * buffer.c - see buffer.h.
 */
#include "base/buffer.h"

#include "base/block.h"
#include "base/bytes.h"

enum { SIZE_MIN = 256 };

bool buffer_reserve(struct buffer *b, size_t n)
{
	size_t size = b->size ? b->size : SIZE_MIN;
	uint8_t *p;

	if (n <= b->size - b->len)
		return true;
	if (n > SIZE_MAX / 4 - b->len)
		return false;
	while (size < b->len + n)
		size *= 2;
	p = block_resize(b->p, b->len, b->size, size);
	if (!p)
		return false;
	b->p = p;
	b->size = size;
	return true;
}

bool buffer_append(struct buffer *b, const void *p, size_t n)
{
	if (n == 0)
		return true;
	if (!buffer_reserve(b, n))
		return false;
	bytes_copy(b->p + b->len, p, n);
	b->len += n;
	return true;
}

void buffer_free(struct buffer *b)
{
	block_free(b->p, b->size);
	*b = (struct buffer){ 0 };
}

void buffer_reset(struct buffer *b, size_t keep)
{
	b->len = 0;
	if (b->size > keep)
		buffer_free(b);
}
