/*
 * client_names.c - client_certificates: names of certificates.
 */
#include <string.h>

#include "base/star.h"
#include "config/parse.h"

/* As the log writes what a client's certificate has. */
static bool is_name(const char *word)
{
	static const char *const kinds[] = { "CN=", "DNS:", "email:", "URI:" };

	if (strcmp(word, "*") == 0)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const size_t n = strlen(kinds[i]);

		if (strncmp(word, kinds[i], n) == 0)
			return word[n] != '\0' && star_is_pattern(word + n) &&
			       strlen(word + n) <= CONFIG_CLIENT_NAME_MAX;
	}
	return false;
}

void client_names_check(struct config_report *r, char *const *words)
{
	const config_setting_t *list =
		r != NULL ? config_setting_get_member(r->group, "client_certificates") : NULL;

	for (int i = 0; list != NULL && words != NULL && words[i] != NULL; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		if (s != NULL && !is_name(words[i]))
			report_key(
				r, s, "client_certificates",
				"must have names such as \"CN=pump-7\", \"DNS:*.example.org\", "
				"\"email:ann@example.org\" or \"URI:spiffe://example.org/*\", with "
				"one * at most, or \"*\" for any, not \"%s\"",
				words[i]);
	}
}
