/*
 * user.h - one unprivileged user, all the way.
 */
#ifndef PROCESS_USER_H
#define PROCESS_USER_H

#include <sys/types.h>

/*
 * As root: becomes the user, with its groups, keeping CAP_NET_BIND_SERVICE
 * alone, so that a later bind works as the first did; neither it nor its children can
 * ever have another. As anybody else: nothing.
 * -1: logged.
 */
int user_become(const char *name) __attribute__((warn_unused_result));

/* For a worker: gives up every capability, and ever getting one. -1: errno is set. */
int user_drop_capabilities(void) __attribute__((warn_unused_result));

/*
 * For a worker, after its last change of user, which would undo it: ends with
 * the master. -1: the master is gone already.
 */
int user_die_with_parent(pid_t parent) __attribute__((warn_unused_result));

#endif
