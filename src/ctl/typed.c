/*
 * typed.c - see typed.h.
 *
 * A terminal shows again what is typed, whatever ends the program: signals that would end it are noted
 * while it does not, and come when it does. They come while it waits alone, so that none is lost between
 * a look and the wait.
 */
#include "ctl/typed.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "ctl/trouble.h"

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };

enum { ENDS = sizeof(ends) / sizeof(*ends) };

static volatile sig_atomic_t ended;

static void signal_cb(int number)
{
	ended = number;
}

/* Until there is a byte, or the end; mask: of signals meanwhile, NULL: as ever. False: one has come. */
static bool wait_for_byte(const sigset_t *mask)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	while (!ended && ppoll(&p, 1, NULL, mask) < 0 && errno == EINTR)
		;
	return !ended;
}

/* A line without its end, byte by byte, as a pipe may have more for others. -1: it is too long, or none. */
static int read_line(char *out, size_t most, const sigset_t *mask)
{
	size_t n = 0;
	bool any = false, over = false;
	char c;

	while (wait_for_byte(mask)) {
		ssize_t got = read(STDIN_FILENO, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || c == '\n')
			break;
		any = true;
		/* it would end the text */
		over |= n == most || c == '\0';
		if (!over)
			out[n++] = c;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	explicit_bzero(out + n, most + 1 - n);
	return any && !over && !ended && n > 0 ? 0 : -1;
}

static int read_password(char *out, const sigset_t *mask)
{
	int status = read_line(out, TYPED_MAX, mask);

	if (status < 0 && !ended)
		trouble("a password is a line of 1 to %d bytes", TYPED_MAX);
	return status;
}

/* --- a terminal --- */

static int ask(const char *prompt, char *out, const sigset_t *mask)
{
	fputs(prompt, stderr);
	if (read_password(out, mask) < 0)
		return -1;
	fputc('\n', stderr);
	return 0;
}

static int ask_twice(char *password, const sigset_t *mask)
{
	char again[TYPED_MAX + 1] = "";
	int status =
		ask("Password: ", password, mask) < 0 || ask("The same again: ", again, mask) < 0
			? -1
			: 0;

	if (status == 0 && strcmp(password, again) != 0) {
		trouble("these are two passwords");
		status = -1;
	}
	explicit_bzero(again, sizeof(again));
	return status;
}

static int ask_unseen(const struct termios *before, char *password)
{
	const struct sigaction note = { .sa_handler = signal_cb };
	struct sigaction old[ENDS];
	struct termios unseen = *before;
	sigset_t blocked, mask;
	int status;

	sigemptyset(&blocked);
	for (int i = 0; i < ENDS; i++)
		sigaddset(&blocked, ends[i]);
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	for (int i = 0; i < ENDS; i++) {
		sigaction(ends[i], NULL, &old[i]);
		/* by nohup, or in the background of a script */
		if (old[i].sa_handler != SIG_IGN)
			sigaction(ends[i], &note, NULL);
	}
	unseen.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
	status = ask_twice(password, &mask);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, before);
	for (int i = 0; i < ENDS; i++)
		sigaction(ends[i], &old[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (ended) {
		fputc('\n', stderr);
		explicit_bzero(password, TYPED_MAX + 1);
		raise(ended);
	}
	return status;
}

int typed_password(char password[TYPED_MAX + 1])
{
	struct termios before;
	int status;

	memset(password, 0, TYPED_MAX + 1);
	status = tcgetattr(STDIN_FILENO, &before) == 0 ? ask_unseen(&before, password)
						       : read_password(password, NULL);
	if (status < 0)
		explicit_bzero(password, TYPED_MAX + 1);
	return status;
}
