/*
 * limits.c - lists of words that have a grammar of their own.
 *
 * What is compared with a header later must be able to match it: a subprotocol
 * is a token (RFC 6455 4.1), for an origin see web_origin.h.
 */
#include <ctype.h>
#include <string.h>

#include "config/parse.h"
#include "config/pattern.h"
#include "config/strings.h"
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

/* At key of r's group. NULL: it is not set there, and was checked where it is. */
static void check_origins(struct config_report *r, const char *key, char *const *origins)
{
	const config_setting_t *list = config_setting_get_member(r->group, key);

	for (int i = 0; list != NULL && origins != NULL && origins[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);
		const char *wrong = web_origin_wrong(origins[i]), *more = left_out(origins[i]);

		if (s != NULL && wrong != NULL)
			report_key(r, s, key, "has \"%s\", %s", origins[i], wrong);
		else if (s != NULL && more != NULL)
			report_warning(r, s,
				       "\"%s\" has \"%s\", but browsers leave the "
				       "\"%s\" out: write \"%.*s\"",
				       key, origins[i], more, (int)(more - origins[i]), origins[i]);
	}
}

static void check_hosts(struct config_report *r, char *const *hosts)
{
	const config_setting_t *list = config_setting_get_member(r->group, "hosts");

	for (int i = 0; list != NULL && hosts != NULL && hosts[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);
		const char *wrong = web_host_wrong(hosts[i]);

		if (s != NULL && wrong != NULL)
			report_key(r, s, "hosts", "has \"%s\", %s", hosts[i], wrong);
	}
}

static void drop(char ***words)
{
	strings_drop(*words);
	*words = NULL;
}

void limits_drop_any(char ***words)
{
	if (*words != NULL && strcmp((*words)[0], "*") == 0 && (*words)[1] == NULL)
		drop(words);
}

static const config_setting_t *setting(const struct config_report *r, const char *key)
{
	return r != NULL ? config_setting_get_member(r->group, key) : NULL;
}

/* Of the two names of one thing; what an endpoint sets by the one takes the place of the top's other. */
static void choose_origins(struct config_report *r, struct config_report *access,
			   struct config_limits *l)
{
	const config_setting_t *by_short = setting(r, "allowed_origins"),
			       *by_long = setting(access, "origins");
	const char *file;
	int line;

	if (by_short != NULL && by_long != NULL) {
		parse_place(r->parse, by_short, &file, &line);
		config_report_error(access, "origins",
				    "is the same as \"allowed_origins\", which is set at %s:%d: "
				    "leave one of them out",
				    file, line);
	}
	if (by_short != NULL)
		drop(&l->access.origins);
	else if (by_long != NULL)
		drop(&l->allowed_origins);
}

void limits_check_origins(struct config_report *r, struct config_report *access,
			  struct config_limits *l)
{
	choose_origins(r, access, l);
	limits_drop_any(&l->allowed_origins);
	limits_drop_any(&l->access.origins);
	check_origins(r, "allowed_origins", l->allowed_origins);
	if (access != NULL)
		check_origins(access, "origins", l->access.origins);
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
	limits_drop_any(&l->hosts);
	check_hosts(r, l->hosts);
	access_check(r, l);
}
