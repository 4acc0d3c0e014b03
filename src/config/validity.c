/*
 * validity.c - see validity.h.
 *
 * Begin and end of everything are noted as numbers, for the master looks at them four times
 * a second. Whether an issuer is missing cannot be known: a root need not be in the file,
 * and only clients know their roots. What is warned of is the frequent mistake, a
 * file with the server's certificate alone, unless its issuer is a root that this system
 * or the listener trusts.
 */
#include "config/validity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/alloc.h"
#include "config/config.h"

enum { DAY = 24 * 60 * 60, WARN_DAYS = 21 };

/* Of what a warning is: where it stands, and whether it is to be given. */
struct subject {
	struct config_report *r;
	struct config_tls *tls;
	const char *key, *name; /* the setting, and the file that it names */
	const char *file; /* where the group stands in the configuration */
	int line;
	bool quiet;
};

static int64_t seconds(const ASN1_TIME *t, int64_t none)
{
	struct tm tm;

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : none;
}

char *validity_name(const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes, *text;
	long len;

	if (bio == NULL)
		return alloc_string("?");
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	len = BIO_get_mem_data(bio, &bytes);
	text = alloc_bytes(bytes, len > 0 ? (size_t)len : 0);
	BIO_free(bio);
	return text;
}

int64_t validity_end(const X509 *x)
{
	return seconds(X509_get0_notAfter(x), 0);
}

static void warn(const struct subject *s, const char *text)
{
	const config_setting_t *at = config_setting_get_member(s->r->group, s->key);

	if (!s->quiet)
		report_warning(s->r, at != NULL ? at : s->r->group, "%s", text);
}

/* Warns of a name in a file; takes over who and text. */
static void warn_of(const struct subject *s, char *who, const char *before, const char *behind)
{
	char *text = alloc_format("\"%s\" %s \"%s\"%s", s->name, before, who, behind);

	warn(s, text);
	free(text);
	free(who);
}

/* --- begin and end --- */

/* Whole days ahead; -1 and less: they are over. */
static int64_t days_until(int64_t then, int64_t now)
{
	int64_t left = then - now;

	return left > 0 ? left / DAY : left / DAY - 1;
}

static int64_t warn_days(const struct config_validity *v)
{
	return v->is_list ? 0 : WARN_DAYS;
}

static char *not_yet(const struct config_validity *v)
{
	time_t begins = (time_t)v->begins;
	char date[64] = "?";
	struct tm tm;

	if (gmtime_r(&begins, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm);
	return alloc_format("%s is not valid before %s", v->what, date);
}

/* What is wrong with it at that time, or soon will be. NULL: nothing. Caller frees. */
static char *complaint(const struct config_validity *v, int64_t now)
{
	int64_t days = days_until(v->expires, now);

	if (v->begins > now)
		return not_yet(v);
	if (days < 0)
		return alloc_format("%s has expired", v->what);
	if (days < warn_days(v))
		return alloc_format("%s expires in %lld days", v->what, (long long)days);
	return NULL;
}

static bool is_due(const struct config_validity *v, int64_t since, int64_t now)
{
	int64_t days = days_until(v->expires, now);

	if (v->begins > now)
		return days_until(v->begins, now) < days_until(v->begins, since);
	return days < warn_days(v) && days < days_until(v->expires, since);
}

/* who: of whom it is, where the file's name does not say it; is taken over. NULL: it does. */
static void note(const struct subject *s, char *who, bool is_list, int64_t begins, int64_t expires)
{
	struct config_tls *t = s->tls;
	struct config_validity *v;
	char *text;

	t->validity = alloc_grow(t->validity, t->validity_count, &t->validity_cap, sizeof(*v));
	v = &t->validity[t->validity_count++];
	*v = (struct config_validity){ .key = s->key,
				       .is_list = is_list,
				       .begins = begins,
				       .expires = expires,
				       .file = s->file,
				       .line = s->line };
	v->what = who == NULL ? alloc_format("\"%s\"", s->name)
			      : alloc_format("\"%s\" (that of \"%s\")", s->name, who);
	free(who);
	text = complaint(v, (int64_t)time(NULL));
	if (text != NULL)
		warn(s, text);
	free(text);
}

static void note_certificate(const struct subject *s, char *who, const X509 *x)
{
	note(s, who, false, seconds(X509_get0_notBefore(x), 0), validity_end(x));
}

/* --- the way to a root --- */

static bool is_root(const X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* Whether any of those is the issuer. */
static bool has_issuer(STACK_OF(X509) * those, X509 *x, bool root)
{
	for (int i = 0; i < sk_X509_num(those); i++) {
		X509 *y = sk_X509_value(those, i);

		if ((!root || is_root(y)) && X509_check_issued(y, x) == X509_V_OK)
			return true;
	}
	return false;
}

static bool system_trusts_issuer(X509 *x)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *issuer = NULL;
	bool found = store != NULL && ctx != NULL && X509_STORE_set_default_paths(store) == 1 &&
		     X509_STORE_CTX_init(ctx, store, NULL, NULL) == 1 &&
		     X509_STORE_CTX_get1_issuer(&issuer, ctx, x) == 1;

	X509_free(issuer);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return found;
}

static bool lacks_issuer(const struct config_tls *t, const struct config_certificate *c)
{
	return !is_root(c->leaf) && !has_issuer(c->chain, c->leaf, false) &&
	       !has_issuer(t->authorities, c->leaf, true) && !system_trusts_issuer(c->leaf);
}

/* Whether the one at i of the chain has signed the leaf or any between. */
static bool leads_on(const struct config_certificate *c, int i)
{
	X509 *x = sk_X509_value(c->chain, i);

	if (X509_check_issued(x, c->leaf) == X509_V_OK)
		return true;
	for (int k = 0; k < i; k++)
		if (X509_check_issued(x, sk_X509_value(c->chain, k)) == X509_V_OK)
			return true;
	return false;
}

static void check_chain(const struct subject *s, const struct config_certificate *c)
{
	if (lacks_issuer(s->tls, c)) {
		warn_of(s, validity_name(X509_get_issuer_name(c->leaf)),
			"lacks the certificate of its issuer",
			", which this system does not trust by itself: append it, or clients that "
			"do not have it will refuse to connect");
		return;
	}
	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		if (leads_on(c, i))
			continue;
		warn_of(s, validity_name(X509_get_subject_name(sk_X509_value(c->chain, i))),
			"has a certificate of",
			" that has signed none of those before it: the server's own has to come "
			"first, then that of its issuer, and so on");
		return;
	}
}

void validity_of_certificate(struct config_report *r, struct config_tls *t,
			     const struct config_certificate *c, bool quiet)
{
	const struct subject s = { r, t, "certificate", c->certificate, c->file, c->line, quiet };

	note_certificate(&s, NULL, c->leaf);
	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		const X509 *x = sk_X509_value(c->chain, i);

		/* nobody takes a root's word for it */
		if (!is_root(x))
			note_certificate(&s, validity_name(X509_get_subject_name(x)), x);
	}
	if (!quiet)
		check_chain(&s, c);
}

/* --- clients --- */

static bool has_list(const struct config_tls *t, const X509 *authority)
{
	const X509_NAME *name = X509_get_subject_name(authority);

	for (int i = 0; i < sk_X509_CRL_num(t->revoked); i++)
		if (X509_NAME_cmp(X509_CRL_get_issuer(sk_X509_CRL_value(t->revoked, i)), name) == 0)
			return true;
	return false;
}

static void check_lists(const struct subject *s)
{
	const struct config_tls *t = s->tls;

	for (int i = 0; i < sk_X509_CRL_num(t->revoked); i++) {
		const X509_CRL *x = sk_X509_CRL_value(t->revoked, i);

		note(s, validity_name(X509_CRL_get_issuer(x)), true,
		     seconds(X509_CRL_get0_lastUpdate(x), 0),
		     seconds(X509_CRL_get0_nextUpdate(x), INT64_MAX));
	}
	for (int i = 0; i < sk_X509_num(t->authorities); i++) {
		const X509 *x = sk_X509_value(t->authorities, i);

		if (!has_list(t, x))
			warn_of(s, validity_name(X509_get_subject_name(x)),
				"has no revocation list of",
				": clients whose certificates lead to that one are refused");
	}
}

void validity_of_clients(struct config_report *r, struct config_tls *t, bool quiet)
{
	const struct subject ca = { r, t, "client_ca", t->client_ca, t->file, t->line, quiet };
	const struct subject crl = { r, t, "crl", t->crl, t->file, t->line, quiet };

	for (int i = 0; i < sk_X509_num(t->authorities); i++) {
		const X509 *x = sk_X509_value(t->authorities, i);

		note_certificate(&ca, validity_name(X509_get_subject_name(x)), x);
	}
	if (t->revoked != NULL)
		check_lists(&crl);
}

void validity_free(struct config_tls *t)
{
	for (size_t i = 0; i < t->validity_count; i++)
		free(t->validity[i].what);
	free(t->validity);
}

/* --- as time goes by --- */

int64_t config_first_expiry(const struct config *c)
{
	int64_t first = 0;

	const struct config_listener *l;

	for (size_t i = 0; (l = config_any_listener(c, i)) != NULL; i++) {
		const struct config_tls *t = &l->tls;

		for (size_t k = 0; k < t->validity_count; k++) {
			const struct config_validity *v = &t->validity[k];

			if (strcmp(v->key, "certificate") == 0 &&
			    (first == 0 || v->expires < first))
				first = v->expires;
		}
	}
	return first;
}

static void tell_if_due(const struct config_validity *v, int64_t since, int64_t now,
			void (*fn)(const char *line, void *arg), void *arg)
{
	char *text, *line;

	if (!is_due(v, since, now))
		return;
	text = complaint(v, now);
	line = alloc_format("%s:%d: %s %s", v->file, v->line, v->key, text);
	fn(line, arg);
	free(line);
	free(text);
}

void config_each_invalid(const struct config *c, int64_t since, int64_t now,
			 void (*fn)(const char *line, void *arg), void *arg)
{
	const struct config_listener *l;

	for (size_t i = 0; (l = config_any_listener(c, i)) != NULL; i++) {
		const struct config_tls *t = &l->tls;

		for (size_t k = 0; k < t->validity_count; k++)
			tell_if_due(&t->validity[k], since, now, fn, arg);
	}
}
