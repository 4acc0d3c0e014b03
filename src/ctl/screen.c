/*
 * screen.c - see screen.h.
 *
 * Plain termios and the few sequences that every terminal of the last forty years knows. It is the
 * other screen of the terminal that is drawn on, so that the shell's comes back unharmed.
 *
 * Signals are blocked but within ppoll: none comes between a look at what has come and the wait for
 * more, and none finds the screen half drawn. SIGTSTP gives the terminal back and stops; SIGCONT
 * takes it again.
 */
#include "ctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "ctl/trouble.h"

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
static const int others[] = { SIGWINCH, SIGTSTP, SIGCONT };

static struct {
	bool taken;
	struct termios before;
	sigset_t unblocked; /* as it was */
} screen;

/* What has come since the last look; 0: nothing. */
static volatile sig_atomic_t ended, resized, to_stop;

static void signal_cb(int number)
{
	if (number == SIGTSTP)
		to_stop = 1;
	else if (number == SIGWINCH || number == SIGCONT)
		resized = 1;
	else
		ended = number;
}

/* The other screen, no cursor, no wrapping of lines; and back. */
static const char enter[] = "\033[?1049h\033[?25l\033[?7l";
static const char leave[] = "\033[?7h\033[?25h\033[?1049l";

static void say(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
}

static void take(void)
{
	struct termios raw = screen.before;

	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	say(enter, sizeof(enter) - 1);
	screen.taken = true;
}

void screen_close(void)
{
	if (!screen.taken)
		return;
	screen.taken = false;
	say(leave, sizeof(leave) - 1);
	tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

static void add_signals(sigset_t *set, const int *numbers, size_t count)
{
	const struct sigaction action = { .sa_handler = signal_cb };

	for (size_t i = 0; i < count; i++) {
		sigaddset(set, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
}

int screen_open(void)
{
	sigset_t blocked;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &screen.before) < 0) {
		trouble("top is for a terminal; elsewhere: status, endpoints and rooms");
		return -1;
	}
	sigemptyset(&blocked);
	add_signals(&blocked, ends, sizeof(ends) / sizeof(*ends));
	add_signals(&blocked, others, sizeof(others) / sizeof(*others));
	sigprocmask(SIG_BLOCK, &blocked, &screen.unblocked);
	atexit(screen_close);
	take();
	return 0;
}

/* Until somebody continues us. */
static void stop(void)
{
	screen_close();
	raise(SIGSTOP);
	/* another program may have changed it meanwhile */
	if (tcgetattr(STDIN_FILENO, &screen.before) == 0)
		take();
}

/* What a signal has asked for; SCREEN_TIME: nothing. */
static enum screen_event from_signals(void)
{
	if (to_stop) {
		to_stop = 0;
		stop();
		resized = 1;
	}
	if (ended)
		return SCREEN_END;
	if (!resized)
		return SCREEN_TIME;
	resized = 0;
	return SCREEN_DRAW;
}

static enum screen_event read_key(char *key)
{
	return read(STDIN_FILENO, key, 1) == 1 ? SCREEN_KEY : SCREEN_END;
}

enum screen_event screen_wait(double seconds, char *key)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	struct timespec t = { .tv_sec = (time_t)seconds,
			      .tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9) };
	int n = ppoll(&in, 1, &t, &screen.unblocked);
	enum screen_event event = from_signals();

	if (event != SCREEN_TIME)
		return event;
	if (n > 0)
		return read_key(key);
	/* a signal that asked for nothing: as if time were up */
	return n < 0 && errno != EINTR ? SCREEN_END : SCREEN_TIME;
}

bool screen_ended(void)
{
	sigset_t pending;

	sigpending(&pending);
	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++)
		if (sigismember(&pending, ends[i]) == 1)
			return true;
	return ended != 0;
}

void screen_end_by_signal(void)
{
	screen_close();
	if (ended == 0 || ended == SIGINT)
		return;
	signal(ended, SIG_DFL);
	raise(ended);
	sigprocmask(SIG_SETMASK, &screen.unblocked, NULL);
}

void screen_size(int *rows, int *columns)
{
	struct winsize w;
	bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0;

	*rows = known && w.ws_row > 0 ? w.ws_row : 24;
	*columns = known && w.ws_col > 0 ? w.ws_col : 80;
}

void screen_show(const char *text)
{
	char *drawn = NULL;
	size_t len;
	FILE *out = trouble_if_null(open_memstream(&drawn, &len));
	int rows, columns;

	screen_size(&rows, &columns);
	fputs("\033[H", out);
	for (int r = 0; r < rows && *text; r++) {
		size_t n = strcspn(text, "\n");

		fprintf(out, "%s%.*s\033[K", r > 0 ? "\r\n" : "", (int)n, text);
		text += n + (text[n] == '\n');
	}
	fputs("\033[J", out);
	if (fclose(out) == 0)
		say(drawn, len);
	free(drawn);
}
