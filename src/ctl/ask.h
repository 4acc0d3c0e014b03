/*
 * ask.h - one question to the daemon's admin interface, and its answer.
 */
#ifndef CTL_ASK_H
#define CTL_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "ctl/arguments.h"

enum {
	ASK_QUERIES = 10,
	ASK_ANSWER_MAX = 16 << 20, /* bytes of an answer */
};

struct query {
	const char *name, *value; /* the value may be ""; a NULL one is left out */
};

struct question {
	const char *method; /* NULL: GET, or POST if there is a body */
	const char *path; /* "/rooms" */
	const char *below; /* "/chat", to be escaped behind it; NULL: nothing */
	struct query query[ASK_QUERIES]; /* up to the first without a name */
	const void *body; /* NULL: none */
	size_t len;
	const char *type; /* of the body */
	const char *key; /* to do it once, of printable ASCII; NULL: none */
};

/* What came of it. */
enum outcome {
	ANSWER_GOOD, /* 2xx */
	ANSWER_REFUSED, /* another status */
	ANSWER_NONE, /* it could not be asked, or did not answer: "why" */
	ANSWER_FORBIDDEN, /* the same, and asking once more is of no use */
};

struct answer {
	enum outcome outcome;
	int status; /* of HTTP */
	struct buffer body;
	json_t *json; /* what the body is, if it is JSON; NULL: it is not */
	json_t *silent; /* of a list: numbers of workers that are not in it; NULL: there are none */
	char *why; /* a sentence for a person, where the outcome is not good */
};

struct asker;

/*
 * For the options that say whom to ask; they are lent. NULL: that could not be made of them, which
 * has been said.
 */
struct asker *asker_new(const struct arguments *a);
void asker_free(struct asker *d);

/* A question takes so many seconds at most, from now on. Until then 100. */
void asker_set_timeout(struct asker *d, double seconds);

/* Asked now and then while a question is under way: true ends it. */
void asker_set_break(struct asker *d, bool (*ended)(void));

/* Asks and waits; *out is then to be freed by answer_free, whatever the outcome. */
void ask(struct asker *d, const struct question *q, struct answer *out);
void answer_free(struct answer *a);

/*
 * The same for an answer that goes on: calls line for each of its lines, lent, until it ends or line
 * returns false. It takes as long as it takes, and a line is as long as an answer may be. Who stops this
 * program (SIGINT, SIGTERM), or reads its output no more, has seen enough: it ends with CTL_DONE then.
 */
void ask_follow(struct asker *d, const struct question *q,
		bool (*line)(const json_t *line, void *arg), void *arg, struct answer *out);

/* Whether a word is the path of a room; if not, that is said. */
bool ask_is_path(const char *word);

/* Prints such a line as it came. */
void ask_print_line(const json_t *line);

/* Makes it one that was refused: the value of a key, or all if that is NULL, is of a wrong kind. */
void answer_is_strange(struct answer *a, const char *key, const char *where);

/* The exit status for an outcome that is not good, after saying why on standard error. */
int answer_trouble(const struct answer *a);

/* The same for one that goes on, and came to its end: that is said, too, for nobody wanted it. */
int answer_ended(const struct answer *a);

/*
 * For what is printed as it came with --json, or is an object otherwise: asks, says what is wrong,
 * and prints. Returns an exit status; *out is to be freed.
 */
int ask_object(struct asker *d, const struct arguments *a, const struct question *q,
	       struct answer *out);

#endif
