/*
 * supervise.h - who does not do what it should, and what follows.
 */
#ifndef PROCESS_SUPERVISE_H
#define PROCESS_SUPERVISE_H

/*
 * With every tick: ends workers that stand still, for worker_timeout or with others waiting for
 * them, and tells the service manager's watchdog that the daemon works.
 */
void supervise_tick(void);

#endif
