/*
 * inherited.c - see inherited.h.
 *
 * An exec keeps which signals are blocked or ignored, and which descriptors are closed. With
 * SIGCHLD blocked a dead worker would go unnoticed, with SIGTERM nothing would end the daemon; with
 * standard error closed the next file to be opened, such as the one with the process id, would be
 * what the log is written to.
 */
#include "process/inherited.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* open takes the lowest number that is free. Where there is no /dev/null any file keeps the place. */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			fd = open("/", O_RDONLY | O_DIRECTORY);
	} while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* No handler outlives an exec: one that is there is of this program, a sanitizer's for instance. */
static void stop_ignoring(int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) {
		sa.sa_handler = SIG_DFL;
		sigaction(sig, &sa, NULL);
	}
}

void inherited_mend(void)
{
	sigset_t none;

	fill_standard_descriptors();
	for (int sig = 1; sig < _NSIG; sig++)
		stop_ignoring(sig);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}
