/*
 * visible.c - see visible.h.
 *
 * What may be shown is what may be in the log (base/printable.h), but for the controls of
 * bidirectional text, by which a path could be read as another one. A terminal that is not of
 * UTF-8 gets ASCII alone, as its own set has controls above; a pipe gets UTF-8 whatever the locale
 * is, for who reads it is a program or another terminal.
 */
#include "ctl/visible.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "base/printable.h"

static struct {
	bool terminal, ascii;
} shown;

void visible_init(void)
{
	setlocale(LC_CTYPE, "");
	shown.terminal = isatty(STDOUT_FILENO);
	shown.ascii = shown.terminal && strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
	/* for wcwidth: what a character takes depends on itself, not on where we are */
	setlocale(LC_CTYPE, "C.UTF-8");
}

int visible_columns(void)
{
	struct winsize w;

	if (!shown.terminal)
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

bool visible_colours(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return shown.terminal && (!no || !*no) && term && strcmp(term, "dumb") != 0;
}

/* The character of n bytes at p, which is whole. */
static wchar_t character(const unsigned char *p, size_t n)
{
	static const unsigned char first[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	wchar_t c = p[0] & first[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

/* Marks, embeddings, overrides and isolates of a direction, and separators of lines. */
static bool turns_text(wchar_t c)
{
	return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/* How many bytes at p are shown as they are; 0: the next one is escaped. */
static size_t shown_as_is(const unsigned char *p)
{
	size_t n = printable(p);

	return n > 1 && (shown.ascii || turns_text(character(p, n))) ? 0 : n;
}

void visible_text(FILE *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p) {
		size_t n = shown_as_is(p);

		if (n > 0) {
			fwrite(p, 1, n, out);
			p += n;
			continue;
		}
		fprintf(out, "\\x%02x", *p++);
		/* the rest of a character that is valid, and does not begin one */
		while ((*p & 0xc0) == 0x80)
			fprintf(out, "\\x%02x", *p++);
	}
}

char *visible_escaped(const char *text)
{
	char *escaped = NULL;
	size_t len;
	FILE *out = open_memstream(&escaped, &len);

	if (!out)
		return NULL;
	visible_text(out, text);
	if (fclose(out) == 0)
		return escaped;
	free(escaped);
	return NULL;
}

/* Of the character at *p, which moves behind it. */
static int next_width(const unsigned char **p)
{
	size_t n = printable(*p);
	int width;

	if (n == 0)
		n = 1;
	width = wcwidth(character(*p, n));
	*p += n;
	return width < 0 ? 1 : width;
}

int visible_width(const char *escaped)
{
	const unsigned char *p = (const unsigned char *)escaped;
	int width = 0;

	while (*p)
		width += next_width(&p);
	return width;
}

size_t visible_fitting(const char *escaped, int columns)
{
	const unsigned char *p = (const unsigned char *)escaped, *last = p;

	while (*p) {
		columns -= next_width(&p);
		if (columns < 0)
			break;
		last = p;
	}
	return (size_t)((const char *)last - escaped);
}
