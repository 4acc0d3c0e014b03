/*
 * limits.c - lists of words that have a grammar of their own.
 *
 * What is compared with a header later must be able to match it: a subprotocol
 * is a token (RFC 6455 4.1), an origin is what a browser sends (RFC 6454 6.2).
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse.h"
#include "proto/upgrade.h"

typedef bool word_check(const char *word);

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

/* As browsers write it. */
static bool port_valid(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return *p != '0' && n >= 1 && n <= 5 && p[n] == '\0' && atol(p) <= 65535;
}

/* A name or IPv4 address, and perhaps a port; or an IPv6 address in brackets. */
static bool host_valid(const char *p)
{
	const char *start = p;

	if (*p == '[') {
		size_t n = strspn(p + 1, "0123456789abcdefABCDEF:.");

		if (n == 0 || p[1 + n] != ']')
			return false;
		p += n + 2;
	} else {
		while (isalnum((unsigned char)*p) || *p == '-' || *p == '.' || *p == '_')
			p++;
	}
	if (p == start)
		return false;
	return *p == '\0' || (*p == ':' && port_valid(p + 1));
}

static bool origin_valid(const char *word)
{
	const char *p = word;

	if (strcmp(word, "null") == 0)
		return true;
	if (strncmp(word, "*.", 2) == 0)
		return host_valid(word + 2) && strchr(word + 2, ':') == NULL && word[2] != '.';
	if (!isalpha((unsigned char)*p))
		return false;
	while (isalnum((unsigned char)*p) || (*p != '\0' && strchr("+-.", *p) != NULL))
		p++;
	return strncmp(p, "://", 3) == 0 && host_valid(p + 3);
}

static void check_words(struct config_report *r, const char *key, char *const *words,
			word_check *valid, const char *must)
{
	const config_setting_t *list = config_setting_get_member(r->group, key);

	/* not set here: checked where it was */
	if (list == NULL || words == NULL)
		return;
	for (int i = 0; words[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		if (s != NULL && !valid(words[i]))
			report_key(r, s, key, "must have %s, not \"%s\"", must, words[i]);
	}
}

/* ":443" or ":80" where the scheme stands for it: browsers leave it out (RFC 6454 6.2). Or NULL. */
static const char *default_port(const char *origin)
{
	const char *port = strncasecmp(origin, "https://", 8) == 0  ? ":443"
			   : strncasecmp(origin, "http://", 7) == 0 ? ":80"
								    : NULL;
	const char *colon = strrchr(origin, ':');

	return port != NULL && strcmp(colon, port) == 0 ? colon : NULL;
}

static void warn_default_ports(struct config_report *r, char *const *origins)
{
	const config_setting_t *list = config_setting_get_member(r->group, "allowed_origins");

	for (int i = 0; list != NULL && origins != NULL && origins[i] != NULL; i++) {
		const char *port = default_port(origins[i]);

		if (port != NULL)
			report_warning(r, config_setting_get_elem(list, (unsigned)i),
				       "\"allowed_origins\" has \"%s\", but browsers leave "
				       "this port out: write \"%.*s\"",
				       origins[i], (int)(port - origins[i]), origins[i]);
	}
}

static bool is_any(char *const *origins)
{
	return origins != NULL && strcmp(origins[0], "*") == 0 && origins[1] == NULL;
}

void limits_check(struct config_report *r, struct config_limits *l)
{
	check_words(r, "subprotocols", l->subprotocols, token_valid,
		    "names of at most 128 letters without spaces or separators");
	if (is_any(l->allowed_origins)) {
		free(l->allowed_origins[0]);
		free(l->allowed_origins);
		l->allowed_origins = NULL;
	}
	check_words(r, "allowed_origins", l->allowed_origins, origin_valid,
		    "\"scheme://host\" or \"scheme://host:port\" without a path, \"*.host\", "
		    "\"null\", or \"*\" alone");
	warn_default_ports(r, l->allowed_origins);
}
