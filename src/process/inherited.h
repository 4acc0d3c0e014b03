/*
 * inherited.h - what a process begins with that whoever started it chose.
 */
#ifndef PROCESS_INHERITED_H
#define PROCESS_INHERITED_H

/*
 * Makes descriptors 0 to 2 and signals what the rest of the program takes them for. Once, first
 * thing in main: a file that is opened before may become standard error.
 */
void inherited_mend(void);

#endif
