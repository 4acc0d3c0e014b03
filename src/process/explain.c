/*
 * explain.c - see explain.h.
 *
 * Unlike the daemon's log this shows what a token says: whoever asks has it.
 */
#include "process/explain.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/config.h"
#include "config/jwt.h"
#include "process/configure.h"
#include "process/master.h"
#include "proto/jws.h"

static void print_error(bool warning, const char *line, void *arg)
{
	(void)arg;
	if (!warning)
		fprintf(stderr, "%s\n", line);
}

/* Without the word that a header has before it, and the end of the line. Returns the length. */
static size_t read_token(char *out, size_t size)
{
	static const char bearer[] = "Bearer ";
	size_t n = fread(out, 1, size, stdin), before = 0;

	while (n > 0 && strchr(" \r\n", out[n - 1]))
		n--;
	if (n >= strlen(bearer) && strncasecmp(out, bearer, strlen(bearer)) == 0)
		before = strlen(bearer);
	memmove(out, out + before, n - before);
	return n - before;
}

static void print_rule(const char *rule, const char *why, void *arg)
{
	(void)arg;
	printf("%-6s %s%s%s\n", why ? "no" : "yes", rule, why ? ": " : "", why ? why : "");
}

static int explain(const struct config_endpoint *e, const char *path)
{
	static char token[JWS_TOKEN_MAX + 64];
	const size_t len = read_token(token, sizeof(token));
	json_t *claims = NULL;
	const bool good = jwt_explain(e, path, (struct http_text){ token, len }, (double)time(NULL),
				      print_rule, NULL, &claims);

	if (claims) {
		/* what is not ASCII is escaped: it is somebody else's text, and a terminal */
		json_dumpf(claims, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		putchar('\n');
	}
	json_decref(claims);
	printf("%s would %s\n", path, good ? "let in who has it" : "refuse who has it");
	return good ? MASTER_OK : MASTER_FAILED;
}

static int explain_for(const struct config *c, const char *path)
{
	const struct config_endpoint *e = config_route_name(c, path);

	if (e && e->limits.access.jwt.rules)
		return explain(e, path);
	if (e)
		fprintf(stderr, "%s:%d: the endpoint of \"%s\" asks for no JSON Web Token\n",
			e->file, e->line, path);
	else
		fprintf(stderr, "no endpoint has the path \"%s\"\n", path);
	return MASTER_FAILED;
}

int explain_token(const struct master_options *options)
{
	struct config_errors *e = config_errors_new();
	struct config_source *source;
	struct config *c;
	int status = MASTER_FAILED;

	configure_raise_limits();
	c = configure_load(options->file, 1, &source, e);
	config_errors_each(e, print_error, NULL);
	if (c)
		status = explain_for(c, options->explain);
	config_unref(c);
	config_source_free(source);
	config_errors_free(e);
	return status;
}
