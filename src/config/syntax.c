/*
 * syntax.c - from the expanded text to libconfig's tree.
 *
 * libconfig stops at the first syntax error and only says that there is one; the
 * line itself is shown with it.
 *
 * A string in a list gets the wrong line from libconfig: its grammar must look
 * one token ahead, for strings that stand side by side are one, and notes the
 * line of that token. The strings are met in the order of the text by both
 * scanners, so the lines that lexcheck noted are put right in one walk.
 */
#include "config/syntax.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "config/alloc.h"
#include "config/errors.h"
#include "config/lexcheck.h"
#include "config/report.h"
#include "config/source.h"

static void correct_lines(config_setting_t *s, const struct lexcheck_strings *strings, size_t *next)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING && *next < strings->count) {
		/* a setting with a name has the line of its name already */
		if (config_setting_name(s) == NULL)
			report_set_line(s, strings->lines[*next]);
		++*next;
	}
	if (!config_setting_is_aggregate(s))
		return;
	for (int i = 0; i < config_setting_length(s); i++)
		correct_lines(config_setting_get_elem(s, (unsigned)i), strings, next);
}

/* The line of the text, without the white space around it. */
static const char *line_text(const struct config_source *s, unsigned line, int *len)
{
	const char *p = s->text, *end;

	for (unsigned n = 1; n < line; n++) {
		const char *next = strchr(p, '\n');

		if (next == NULL)
			break;
		p = next + 1;
	}
	p += strspn(p, " \t");
	end = strchrnul(p, '\n');
	while (end > p && strchr(" \t\r", end[-1]) != NULL)
		end--;
	*len = end - p < 60 ? (int)(end - p) : (int)bytes_whole(p, 60);
	return p;
}

static void report_parse_error(const struct config_source *s, const config_t *lib,
			       struct config_errors *e)
{
	unsigned line = config_error_line(lib) > 0 ? (unsigned)config_error_line(lib) : 1;
	const char *why = config_error_text(lib);
	int len;
	const char *text = line_text(s, line, &len);

	if (len > 0)
		errors_add(e, false, source_place(s, line), "%s at or just before: %.*s", why, len,
			   text);
	else
		errors_add(e, false, source_place(s, line), "%s just before this line", why);
}

bool syntax_parse(const struct config_source *s, config_t *lib, struct config_errors *e)
{
	struct lexcheck_strings strings = { 0 };
	char *text = alloc_bytes(s->text, s->len);
	bool ok = lexcheck(s, text, e, &strings);
	size_t next = 0;

	errors_end_of_scan(e);
	config_init(lib);
	if (ok && config_read_string(lib, text) == CONFIG_FALSE) {
		report_parse_error(s, lib, e);
		ok = false;
	}
	if (ok)
		correct_lines(config_root_setting(lib), &strings, &next);
	free(strings.lines);
	free(text);
	return ok;
}
