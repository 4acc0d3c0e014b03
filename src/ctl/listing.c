/*
 * listing.c - see listing.h.
 *
 * A list is not kept as JSON: with --json each member is written as it comes, so that a list of a
 * million needs no more memory than a page, and one that ends in the middle is no JSON.
 */
#include "ctl/listing.h"

#include <string.h>

#include "ctl/fields.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"

/* All that listing_each knows between two pages. */
struct walk {
	const struct list *l;
	const char *(*member)(json_t *object, void *arg);
	void *arg;
	size_t seen;
	json_t *silent; /* as in struct answer */
	char *after; /* where the next page begins; NULL: there is none */
};

static void make_question(struct question *q, const struct walk *w, const char *limit)
{
	size_t n = 0;

	*q = (struct question){ .path = w->l->path };
	for (; n < ASK_QUERIES - 2 && w->l->query[n].name; n++)
		q->query[n] = w->l->query[n];
	q->query[n++] = (struct query){ "limit", limit };
	q->query[n] = (struct query){ "after", w->after };
}

/* Remembers where the next page begins. False: it begins where this one did. */
static bool go_on(struct walk *w, const char *next)
{
	bool moves = !next || !w->after || strcmp(next, w->after) != 0;

	free(w->after);
	w->after = next ? trouble_if_null(strdup(next)) : NULL;
	return moves;
}

/* Keeps the numbers of workers that are not in the page, each once: they are asked for every page. */
static void note_silent(struct walk *w, const json_t *silent)
{
	json_t *worker, *other;
	size_t i, j;

	json_array_foreach(silent, i, worker)
	{
		bool known = false;

		json_array_foreach(w->silent, j, other) known |= json_equal(worker, other);
		if (!w->silent)
			w->silent = trouble_if_null(json_array());
		if (!known)
			json_array_append(w->silent, worker);
	}
}

/* Goes over the page that has come. False: something in it is not right. */
static bool walk_page(struct walk *w, struct answer *page)
{
	struct fields f = { .object = page->json };
	const json_t *members = fields_array(&f, w->l->key);
	const char *next = fields_text(&f, "next"), *wrong = f.wrong;
	json_t *member;
	size_t i;

	note_silent(w, json_object_get(page->json, "silent"));
	if (!members && !wrong)
		wrong = w->l->key;
	json_array_foreach(members, i, member)
	{
		if (wrong || (w->l->most && w->seen == w->l->most))
			break;
		wrong = json_is_object(member) ? w->member(member, w->arg) : w->l->key;
		w->seen++;
	}
	if (!wrong && (!go_on(w, next) || w->seen > LISTING_MAX))
		wrong = "next";
	if (wrong)
		answer_is_strange(page, wrong, w->l->path);
	return wrong == NULL;
}

static bool has_more(const struct walk *w)
{
	return w->after && (w->l->most == 0 || w->seen < w->l->most);
}

bool listing_each(struct asker *d, const struct list *l,
		  const char *(*member)(json_t *object, void *arg), void *arg, struct answer *last)
{
	struct walk w = { .l = l, .member = member, .arg = arg };
	struct question q;
	char limit[16];
	bool good;

	snprintf(limit, sizeof(limit), "%d", LISTING_PAGE);
	*last = (struct answer){ 0 };
	do {
		make_question(&q, &w, limit);
		answer_free(last);
		ask(d, &q, last);
		good = last->outcome == ANSWER_GOOD && walk_page(&w, last);
	} while (good && has_more(&w));
	free(w.after);
	last->silent = w.silent;
	return good;
}

int listing_silent(const json_t *silent)
{
	json_t *worker;
	size_t i;

	json_array_foreach(silent, i, worker)
		trouble("worker %" JSON_INTEGER_FORMAT " does not answer: what it has is missing",
			json_integer_value(worker));
	return json_array_size(silent) > 0 ? CTL_FAILED : CTL_DONE;
}

static const char *add_row(json_t *object, void *arg)
{
	return table_add(arg, object);
}

static int print_table(struct asker *d, const struct list *l, const struct column *columns,
		       size_t count)
{
	struct table *t = table_new(columns, count);
	struct answer last;
	int status;

	if (listing_each(d, l, add_row, t, &last)) {
		table_print(t, stdout, visible_columns(), visible_colours(), SIZE_MAX, "\n");
		status = listing_silent(last.silent);
	} else {
		status = answer_trouble(&last);
	}
	answer_free(&last);
	table_free(t);
	return status;
}

/* What stands before the next member. */
struct joint {
	const char *key, *separator;
};

static void print_joint(struct joint *j)
{
	if (j->separator)
		fputs(j->separator, stdout);
	else
		printf("{\"%s\": [\n", j->key);
	j->separator = ",\n";
}

static const char *print_member(json_t *object, void *arg)
{
	print_joint(arg);
	json_dumpf(object, stdout, visible_columns() > 0 ? JSON_ENSURE_ASCII : 0);
	return NULL;
}

static void print_end(const json_t *silent)
{
	fputs("\n], \"next\": null", stdout);
	if (silent) {
		fputs(", \"silent\": ", stdout);
		json_dumpf(silent, stdout, 0);
	}
	fputs("}\n", stdout);
}

static int print_json(struct asker *d, const struct list *l)
{
	struct joint j = { .key = l->key };
	struct answer last;
	int status;

	if (listing_each(d, l, print_member, &j, &last)) {
		if (!j.separator)
			print_joint(&j);
		print_end(last.silent);
		status = listing_silent(last.silent);
	} else {
		status = answer_trouble(&last);
	}
	answer_free(&last);
	return status;
}

int listing_print(struct asker *d, const struct arguments *a, const struct list *l,
		  const struct column *columns, size_t count)
{
	return a->option[OPTION_JSON] ? print_json(d, l) : print_table(d, l, columns, count);
}
