/*
 * descriptors.h - what a process has open.
 */
#ifndef PROCESS_DESCRIPTORS_H
#define PROCESS_DESCRIPTORS_H

#include <stddef.h>

/*
 * Closes every descriptor but those. kept: count of them in any order, which it sorts; a
 * negative one is none, and one may be there twice.
 */
void descriptors_keep(int *kept, size_t count);

#endif
