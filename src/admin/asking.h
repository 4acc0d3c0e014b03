/*
 * asking.h - requests that the master answers.
 *
 * It parses nothing that an administrator has sent: it is asked by numbers, and what it answers is
 * passed on as it is.
 */
#ifndef ADMIN_ASKING_H
#define ADMIN_ASKING_H

#include <stdint.h>

struct request;

/*
 * Answers r when the master has answered; ask: sends it the question with an id, -1: it cannot. arg is
 * passed to it.
 */
void asking_begin(struct request *r, int (*ask)(uint32_t id, const void *arg), const void *arg);

#endif
