/*
 * completion.h - what a shell may offer for the word that is being typed.
 */
#ifndef CTL_COMPLETION_H
#define CTL_COMPLETION_H

/*
 * words: what stands behind "ignyxctl", the last one is being completed. Prints what it may become,
 * one a line: commands, options, and of the running daemon rooms and endpoints. What is wrong is
 * silence. Returns the exit status.
 */
int complete(int count, char **words);

#endif
