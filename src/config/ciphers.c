/*
 * ciphers.c - lists of ciphers, cipher suites and curves.
 *
 * They are OpenSSL's, and so is their syntax. It skips words that it does not know as long
 * as there is one that it does; a slip would change what is offered, and nobody would be
 * told. So it is asked about each word on its own.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "config/alloc.h"
#include "config/parse.h"

/* A kind of list. */
struct kind {
	const char *key, *what;
	int (*set)(SSL_CTX *, const char *);
	bool rules; /* its words are rules, which may begin with a sign */
	bool strict; /* OpenSSL skips no word of it, unless told to by a sign of its own */
};

static bool takes(SSL_CTX *ctx, const struct kind *k, const char *list)
{
	bool ok;

	/* "SUITEB128" would stay, in place of all that is asked after it */
	SSL_CTX_clear_cert_flags(ctx, SSL_CERT_FLAG_SUITEB_128_LOS);
	ok = k->set(ctx, list) == 1;
	ERR_clear_error();
	return ok;
}

/* Whether a rule that is not the first one of its list finds any cipher. */
static bool finds_any(SSL_CTX *ctx, const struct kind *k, const char *word)
{
	bool sign = strchr("!-+", *word) != NULL, command = *word == '@';
	char *list = alloc_format("%s:%s", command ? "ALL" : "-ALL", word + sign);
	bool found = takes(ctx, k, list);

	free(list);
	return found;
}

static void check_rule(struct config_report *r, const struct kind *k, SSL_CTX *ctx,
		       const char *word, bool first)
{
	if (finds_any(ctx, k, word) || (first && takes(ctx, k, word)))
		return;
	if (takes(ctx, k, word))
		config_report_error(r, k->key, "has \"%s\", which OpenSSL takes only in front",
				    word);
	else if (strchr("!-+", *word) != NULL)
		report_warning(r, config_setting_get_member(r->group, k->key),
			       "\"%s\" has \"%s\", but OpenSSL knows no %s of that name: it "
			       "changes nothing",
			       k->key, word, k->what);
	else
		config_report_error(r, k->key, "has \"%s\": OpenSSL knows no %s of that name", word,
				    k->what);
}

static void check_name(struct config_report *r, const struct kind *k, SSL_CTX *ctx,
		       const char *word)
{
	if (!takes(ctx, k, word))
		config_report_error(r, k->key, "has \"%s\": OpenSSL knows no %s of that name", word,
				    k->what);
}

/* The next word of a list, which the caller frees. NULL: the end. */
static char *next_word(const struct kind *k, const char **list)
{
	const char *word = *list + strspn(*list, k->rules ? ":,; " : ":");
	size_t len;

	if (*word == '\0')
		return NULL;
	/* "DEFAULT@SECLEVEL=2" and "HIGH!aNULL" are two words each */
	len = k->rules ? 1 + strcspn(word + 1, ":,; !@") : strcspn(word, ":");
	*list = word + len;
	return alloc_format("%.*s", (int)len, word);
}

static void check_list(struct config_report *r, const struct kind *k, const char *list)
{
	size_t before = config_errors_count(r->errors);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	bool good = ctx == NULL || takes(ctx, k, list), first = true;
	const char *p = good && k->strict ? "" : list;
	char *word;

	for (; ctx != NULL && (word = next_word(k, &p)) != NULL; first = false) {
		if (k->rules)
			check_rule(r, k, ctx, word, first);
		else
			check_name(r, k, ctx, word);
		free(word);
	}
	if (!good && config_errors_count(r->errors) == before)
		config_report_error(r, k->key, "is not what OpenSSL takes as a list: \"%s\"", list);
	SSL_CTX_free(ctx);
}

static int set_curves(SSL_CTX *ctx, const char *list)
{
	return (int)SSL_CTX_set1_groups_list(ctx, list);
}

void ciphers_check(struct config_report *r, const struct config_tls *t)
{
	static const struct kind ciphers = { .key = "ciphers",
					     .what = "cipher of TLS 1.2",
					     .set = SSL_CTX_set_cipher_list,
					     .rules = true };
	static const struct kind suites = { .key = "ciphersuites",
					    .what = "cipher suite of TLS 1.3",
					    .set = SSL_CTX_set_ciphersuites };
	static const struct kind curves = {
		.key = "curves", .what = "curve", .set = set_curves, .strict = true
	};

	if (t->ciphers != NULL)
		check_list(r, &ciphers, t->ciphers);
	if (t->ciphersuites != NULL)
		check_list(r, &suites, t->ciphersuites);
	if (t->curves != NULL)
		check_list(r, &curves, t->curves);
}
