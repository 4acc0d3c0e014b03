/*
 * block.h - memory for long messages.
 *
 * Pieces of BLOCK_MIN bytes and more come from the kernel, one by one, and go back to it:
 * a spike leaves nothing behind, whatever small piece was asked for at its height. As they
 * come and go with every long message, those that are let go wait for the next ones. What
 * none has needed for a second is given back, a portion at a time, but for a few. Smaller pieces are malloc's.
 */
#ifndef BASE_BLOCK_H
#define BASE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>

enum {
	BLOCK_MIN = 64 * 1024, /* bytes; a power of two */
	BLOCK_KEPT = 16 * 1024 * 1024, /* bytes that may wait for ever */
	BLOCK_TICKS = 10, /* that the others wait at least */
	BLOCK_PORTION = 256 * 1024, /* bytes that are given back in one go, at most */
};

/*
 * A piece of `size` bytes (> 0) in place of p, which has `had` of them (0: p is NULL); its
 * first `used` bytes are kept. Returns NULL if there is no memory, and p is as it was.
 */
void *block_resize(void *p, size_t used, size_t had, size_t size)
	__attribute__((warn_unused_result));

/* Lets go of a piece of `size` bytes; p may be NULL if that is 0. */
void block_free(void *p, size_t size);

/*
 * Gives the memory of bytes [from, to) of a piece back to the system, as far as that can be done in one go;
 * what they are is lost. Returns where that ends, which may be `from`: some of few bytes stay.
 */
size_t block_untouch(void *p, size_t size, size_t from, size_t to);

/* To be called with every tick: looks what is not needed. */
void block_tick(void);

/* Gives a portion of that back to the system. False: there is none. */
bool block_give_back(void);

/* How many bytes wait for who needs them, or to be given back. */
size_t block_waiting(void);

#endif
