/*
 * attach.c - the files that settings name: certificates, keys, tokens.
 *
 * They are read once, by the master, and travel with the text from there on (source.h): what a
 * child has is what the master has checked.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "config/errors.h"
#include "config/file.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/tokens.h"

const struct source_attachment *attach_file(struct config_report *r, const char *key,
					    const char *name)
{
	const struct source_attachment *a;
	const char *file, *why = NULL;
	char *path;
	int line;

	parse_place(r->parse, r->group, &file, &line);
	path = file_beside(file, name);
	a = source_attach(r->parse->source, path, &why);
	if (a == NULL)
		config_report_error(r, key, "\"%s\" cannot be read: %s", path, why);
	free(path);
	return a;
}

void attach_warn_mode(struct config_report *r, const char *key, const char *name,
		      const struct source_attachment *a, const char *what)
{
	const config_setting_t *at = config_setting_get_member(r->group, key);

	if ((a->mode & (S_IROTH | S_IWOTH)) != 0)
		report_warning(r, at,
			       "\"%s\" has mode %04o, by which every user of this machine may %s "
			       "%s: take that from others (chmod o= %s)",
			       name, a->mode, (a->mode & S_IROTH) != 0 ? "read" : "replace", what,
			       name);
}

/* --- tokens --- */

void attach_report_line(unsigned line, const char *what, void *arg)
{
	const struct attached_lines *t = arg;
	const config_setting_t *at = config_setting_get_member(t->report->group, t->key);
	const struct config_place place = { t->file, line, report_line(at) };

	errors_add(t->report->errors, false, place, "%s", what);
}

void attach_tokens(struct config_report *r, const char *key, const struct source_attachment *a,
		   const struct tokens_form *form, struct config_tokens *out)
{
	struct attached_lines t = { r, key, a->name };

	tokens_parse(a->bytes, a->len, form, out, attach_report_line, &t);
}
