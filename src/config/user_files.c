/*
 * user_files.c - the files of users that `access` names, see users.h.
 *
 * One that several name is read once, and belongs to the snapshot.
 */
#include <stdlib.h>

#include "config/alloc.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/users.h"

struct user_file {
	char *name;
	struct config_users users;
};

/* Only who is the first to name a file hears what is wrong with it. */
static struct user_file *read_file(struct config_report *r, const char *key, const char *name,
				   const struct source_attachment *a)
{
	struct user_file *f = alloc_zero(1, sizeof(*f));
	struct attached_lines lines = { r, key, a->name };

	attach_warn_mode(r, key, name, a, "the users' hashes");
	users_parse(a->bytes, a->len, &f->users, attach_report_line, &lines);
	f->name = alloc_string(a->name);
	named_add(&r->parse->snapshot->user_files, f);
	return f;
}

const struct config_users *user_files_read(struct config_report *r, const char *key,
					   const char *name)
{
	const struct source_attachment *a = attach_file(r, key, name);
	struct user_file *f;

	if (a == NULL)
		return NULL;
	f = named_find(&r->parse->snapshot->user_files, a->name);
	return &(f != NULL ? f : read_file(r, key, name, a))->users;
}

static void end_file(void *file)
{
	struct user_file *f = file;

	users_free(&f->users);
	free(f->name);
	free(f);
}

void user_files_free(struct snapshot *n)
{
	named_end(&n->user_files, end_file);
}
