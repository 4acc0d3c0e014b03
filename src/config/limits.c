/*
 * limits.c - lists of words that have a grammar of their own.
 *
 * What is compared with a header later must be able to match it: a subprotocol
 * is a token (RFC 6455 4.1), for an origin see web_origin.h.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "config/pattern.h"
#include "proto/upgrade.h"
#include "proto/web_origin.h"

static bool token_valid(const char *word)
{
	if (*word == '\0' || strlen(word) > UPGRADE_SUBPROTOCOL_MAX)
		return false;
	for (; *word != '\0'; word++) {
		if (!isalnum((unsigned char)*word) && strchr("!#$%&'*+-.^_`|~", *word) == NULL)
			return false;
	}
	return true;
}

static void check_subprotocols(struct config_report *r, char *const *words)
{
	const config_setting_t *list = config_setting_get_member(r->group, "subprotocols");

	/* not set here: checked where it was */
	for (int i = 0; list != NULL && words != NULL && words[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		if (s != NULL && !token_valid(words[i]))
			report_key(r, s, "subprotocols",
				   "must have names of at most 128 letters without spaces or "
				   "separators, not \"%s\"",
				   words[i]);
	}
}

/* The port that the scheme stands for, and "/": what browsers leave out (RFC 6454 6.2). Or NULL. */
static const char *left_out(const char *origin)
{
	const char *port = strncasecmp(origin, "https://", 8) == 0  ? ":443"
			   : strncasecmp(origin, "http://", 7) == 0 ? ":80"
								    : NULL;
	const char *end, *slash;

	if (port == NULL)
		return NULL;
	slash = strchr(strstr(origin, "://") + 3, '/');
	end = slash != NULL ? slash : strrchr(origin, ':');
	return strcmp(end, slash != NULL ? "/" : port) == 0 ? end : NULL;
}

static void check_origins(struct config_report *r, char *const *origins)
{
	const config_setting_t *list = config_setting_get_member(r->group, "allowed_origins");

	for (int i = 0; list != NULL && origins != NULL && origins[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);
		const char *wrong = web_origin_wrong(origins[i]), *more = left_out(origins[i]);

		if (s != NULL && wrong != NULL)
			report_key(r, s, "allowed_origins", "has \"%s\", %s", origins[i], wrong);
		else if (s != NULL && more != NULL)
			report_warning(r, s,
				       "\"allowed_origins\" has \"%s\", but browsers leave the "
				       "\"%s\" out: write \"%.*s\"",
				       origins[i], more, (int)(more - origins[i]), origins[i]);
	}
}

static bool is_any(char *const *origins)
{
	return origins != NULL && strcmp(origins[0], "*") == 0 && origins[1] == NULL;
}

/* At the top, where what is not set is the default, it is there in any case. */
struct pattern *limits_names(struct config_report *r, const struct config_limits *l)
{
	char why[PATTERN_WHY_MAX];
	struct pattern *names;

	if (report_is_wrong(r, "room_names") ||
	    (r != &r->parse->top && config_setting_get_member(r->group, "room_names") == NULL))
		return NULL;
	names = pattern_new(l->room_names, why);
	if (names == NULL)
		config_report_error(r, "room_names", "%s", why);
	return names;
}

void limits_check(struct config_report *r, struct config_limits *l)
{
	check_subprotocols(r, l->subprotocols);
	if (is_any(l->allowed_origins)) {
		free(l->allowed_origins[0]);
		free(l->allowed_origins);
		l->allowed_origins = NULL;
	}
	check_origins(r, l->allowed_origins);
}
