/*
 * admin_child.h - the admin process as the master has it: its sockets, its life.
 *
 * It is there where the configuration asks for it. Nobody but administrators waits for it: it may
 * die as often as it likes.
 */
#ifndef PROCESS_ADMIN_CHILD_H
#define PROCESS_ADMIN_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;
struct control_ask_drain;
struct event_base;
struct sockets_fault;

/* What the process may ask of the master. */
struct admin_questions {
	void (*reload)(uint32_t id, bool dry_run);
	void (*drain)(uint32_t id, const struct control_ask_drain *d);
};

/*
 * questions: called for each of the process, to be answered by admin_child_answer with its id; they
 * stay the caller's. -1: errno is set; admin_child_fini gives back what there is.
 */
int admin_child_init(struct event_base *base, const struct admin_questions *questions)
	__attribute__((warn_unused_result));
void admin_child_fini(void); /* ends the process, too */

/*
 * Opens the sockets that c asks for and there are not yet. Behind it comes one of the two below.
 * -1: *fault says why, and all is as before.
 */
int admin_child_open(const struct config *c, struct sockets_fault *fault)
	__attribute__((warn_unused_result));

/* What was opened is not needed. */
void admin_child_undo(void);

/*
 * The configuration in force is another: starts the process, hands it over, or ends it.
 * source_fd: has its packed text, -1: there is no process yet that could take it.
 */
void admin_child_commit(int source_fd);

/* Answers a question: text is JSON, NULL: there was no memory for it. */
void admin_child_answer(uint32_t id, bool well, const char *text);

/* Of any reaped child. Returns whether it was this one. */
bool admin_child_ended(pid_t pid, int status);

/* With every tick: starts it again, or ends it because it does not move. */
void admin_child_tick(void);

/* Whether it is the process; pid 0: no. */
bool admin_child_is(pid_t pid);

/* What: it does or does not do, for the log. Does nothing the second time. */
void admin_child_end_stuck(const char *what);

/* At once, without a word: the bus is another, or all has ended. */
void admin_child_kill(void);

/* 0: there is none. */
pid_t admin_child_pid(void);

#endif
