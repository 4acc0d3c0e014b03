/*
 * title.h - what ps(1) and top(1) show of a process: "ignyxd: master".
 */
#ifndef PROCESS_TITLE_H
#define PROCESS_TITLE_H

/*
 * Makes room for titles where the arguments and the environment of this process stand,
 * both of which move elsewhere. Once, first thing in main. Returns the arguments, to be
 * used from then on; where there is no memory for that they stay, and there are no titles.
 */
char **title_init(int argc, char **argv);

/* The title is "ignyxd: " and what; cut to the space that there is. The name stays "ignyxd". */
void title_set(const char *what);

#endif
