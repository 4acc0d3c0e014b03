/*
 * ctl_publish.c - the command that sends a message to a room.
 *
 * The message is sent byte for byte: an "echo" that writes it into a pipe ends it with a line feed,
 * and so then does the message.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "ctl/ask.h"
#include "ctl/fields.h"
#include "ctl/visible.h"
#include "ctl/trouble.h"

enum { MESSAGE_MAX = 64 << 20, PIECE = 64 << 10 };

/* Reads all of it. -1: it has been said why not. */
static int read_all(FILE *f, const char *name, struct buffer *message)
{
	size_t n;

	do {
		if (!buffer_reserve(message, PIECE))
			trouble_if_null(NULL);
		n = fread(message->p + message->len, 1, PIECE, f);
		message->len += n;
		if (message->len > MESSAGE_MAX) {
			trouble("%s is longer than any message may be", name);
			return -1;
		}
	} while (n > 0);
	if (!ferror(f))
		return 0;
	trouble("%s: %s", name, strerror(errno));
	return -1;
}

static int read_file(const char *name, struct buffer *message)
{
	FILE *f = fopen(name, "re");
	int rc;

	if (!f) {
		trouble("%s: %s", name, strerror(errno));
		return -1;
	}
	rc = read_all(f, name, message);
	fclose(f);
	return rc;
}

/* word: what stands for the message on the command line, NULL if nothing does. */
static int read_message(const char *word, struct buffer *message)
{
	if (!word || strcmp(word, "-") == 0)
		return read_all(stdin, "standard input", message);
	if (*word == '@')
		return read_file(word + 1, message);
	if (!buffer_append(message, word, strlen(word)))
		trouble_if_null(NULL);
	return 0;
}

static int tell_published(struct answer *answer, const char *path)
{
	struct fields f = { .object = answer->json };
	const char *room = fields_text(&f, "room"), *position = fields_text(&f, "position");
	double members = fields_number(&f, "members");

	if (f.wrong) {
		answer_is_strange(answer, f.wrong, "/publish");
		return answer_trouble(answer);
	}
	visible_text(stdout, room ? room : path);
	printf(": %.0f member%s, position ", members, members == 1 ? "" : "s");
	visible_text(stdout, position ? position : "-");
	putchar('\n');
	return CTL_DONE;
}

static int publish(struct asker *d, const struct arguments *a, const struct buffer *message)
{
	struct question q = { .path = "/publish",
			      .below = a->words[0],
			      .body = message->p ? (const char *)message->p : "",
			      .len = message->len,
			      .type = a->option[OPTION_BINARY] ? "application/octet-stream"
				      : a->option[OPTION_MESSAGE_JSON]
					      ? "application/json"
					      : "text/plain; charset=utf-8",
			      .key = a->option[OPTION_KEY] };
	struct answer answer;
	int status = ask_object(d, a, &q, &answer);

	if (status == CTL_DONE && !a->option[OPTION_JSON])
		status = tell_published(&answer, a->words[0]);
	answer_free(&answer);
	return status;
}

/* It becomes a line of the request's head. */
static bool is_key(const char *text)
{
	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return *text;
}

int command_publish(struct asker *d, const struct arguments *a)
{
	struct buffer message = { 0 };
	int status = CTL_FAILED;

	if (a->option[OPTION_BINARY] && a->option[OPTION_MESSAGE_JSON]) {
		trouble("a message is either JSON or binary");
		return CTL_USAGE;
	}
	if (a->option[OPTION_KEY] && !is_key(a->option[OPTION_KEY])) {
		trouble("--idempotency-key takes printable characters of ASCII, and no spaces");
		return CTL_USAGE;
	}
	if (!ask_is_path(a->words[0]))
		return CTL_USAGE;
	if (read_message(a->count > 1 ? a->words[1] : NULL, &message) == 0)
		status = publish(d, a, &message);
	buffer_free(&message);
	return status;
}
