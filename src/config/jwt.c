/*
 * jwt.c - see jwt.h.
 *
 * What a refusal says names the rule and never what the token has: the claims are somebody's.
 */
#include "config/jwt.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"

enum { COST_OF_KIB = 50000 }; /* nanoseconds: as of TURN_TREE */

static bool refuse(struct jwt_verdict *v, enum reason reason, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static bool refuse(struct jwt_verdict *v, enum reason reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->why, sizeof(v->why), fmt, ap);
	va_end(ap);
	v->reason = reason;
	return false;
}

static bool refuse_unread(struct jwt_verdict *v, const char *why)
{
	return refuse(v, why == jws_no_memory ? REASON_NO_MEMORY : REASON_BAD_TOKEN, "%s", why);
}

/* --- the signature --- */

static bool is_algorithm(const struct config_jwt *j, const struct jws *s, struct jwt_verdict *v)
{
	v->alg = s->alg;
	if (j->rules->algs & 1U << s->alg)
		return true;
	return refuse(v, REASON_BAD_TOKEN, "its algorithm, %s, is none of \"algorithms\"",
		      jws_forms[s->alg].name);
}

/* A key without a name may be any; one with a name is for tokens that name it, or none. */
static bool may_be(const struct jws *s, const struct jws_key *k)
{
	const char *kid = jws_kid(s);

	return jws_fits(s, k) && (!kid || !k->kid || strcmp(kid, k->kid) == 0);
}

static unsigned count_keys(const struct jwk_set *keys, const struct jws *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < keys->count; i++)
		n += may_be(s, &keys->list[i]);
	return n;
}

/* How many keys are asked is bounded: the signature is a stranger's, and a look at it is work. */
static bool is_signed(const struct config_jwt *j, const struct jws *s, struct jwt_verdict *v)
{
	const struct jwk_set *keys = j->rules->keys;
	const unsigned n = count_keys(keys, s), most = JWT_TRIES_COST / jws_forms[s->alg].cost;

	if (n == 0)
		return refuse(v, REASON_BAD_TOKEN,
			      "no key of its \"kid\", algorithm and length of signature is known");
	if (n > most)
		return refuse(
			v, REASON_BAD_TOKEN,
			"any of %u keys may have signed it, and with %s at most %u are tried: "
			"give each a \"kid\"",
			n, jws_forms[s->alg].name, most);
	for (size_t i = 0; i < keys->count && !v->key; i++) {
		if (!may_be(s, &keys->list[i]))
			continue;
		v->cost += jws_forms[s->alg].cost;
		if (jws_verify(s, &keys->list[i]))
			v->key = &keys->list[i];
		else if (errno == ENOMEM)
			return refuse_unread(v, jws_no_memory);
	}
	return v->key || refuse(v, REASON_BAD_TOKEN, "its signature is not good");
}

/* --- what it says --- */

static bool is_issued(const struct config_jwt *j, const json_t *claims, struct jwt_verdict *v)
{
	const char *iss = json_string_value(json_object_get(claims, "iss"));

	if (!j->issuer || (iss && strcmp(iss, j->issuer) == 0))
		return true;
	return refuse(v, REASON_BAD_TOKEN,
		      iss ? "its \"iss\" is not \"issuer\"" : "it has no \"iss\"");
}

static bool refuse_too_much(struct jwt_verdict *v, const char *claim, const char *setting)
{
	return refuse(
		v, REASON_NOT_ALLOWED,
		"its claim \"%s\" has too many elements or patterns to be compared with all of "
		"\"%s\"",
		claim, setting);
}

static bool is_one_of(char *const *audience, const json_t *aud, struct elements_look *look)
{
	elements_take(look, aud, ELEMENTS_PLAIN);
	for (; *audience; audience++)
		if (elements_have_text(look, *audience, strlen(*audience)))
			return true;
	return false;
}

/* RFC 7519 4.1.3: a string, or a list of which one will do. */
static bool is_for_us(const struct config_jwt *j, const json_t *claims, struct jwt_verdict *v,
		      struct elements_look *look)
{
	const json_t *aud = json_object_get(claims, "aud");

	if (!j->audience || (aud && is_one_of(j->audience, aud, look)))
		return true;
	if (look->too_much)
		return refuse_too_much(v, "aud", "audience");
	return refuse(v, REASON_WRONG_AUDIENCE,
		      aud ? "its \"aud\" is none of \"audience\"" : "it has no \"aud\"");
}

/* A token may have any number; what is shown of it has an end. */
static double bounded(double seconds)
{
	return seconds < 1e9 ? seconds : 1e9;
}

static bool is_in_time(const struct config_jwt *j, const json_t *claims, double now,
		       struct jwt_verdict *v)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
	const double leeway = (double)j->leeway / 1000;

	if (!exp && j->require_exp)
		return refuse(v, REASON_BAD_TOKEN, "it has no \"exp\", and \"require_exp\" is set");
	if ((exp && !json_is_number(exp)) || (nbf && !json_is_number(nbf)))
		return refuse(v, REASON_BAD_TOKEN, "its \"exp\" or \"nbf\" is no number");
	v->expires = exp ? json_number_value(exp) + leeway : HUGE_VAL;
	if (now >= v->expires)
		return refuse(v, REASON_TOKEN_EXPIRED, "its \"exp\" is %.0f s ago",
			      bounded(now - json_number_value(exp)));
	if (nbf && now < json_number_value(nbf) - leeway)
		return refuse(v, REASON_BAD_TOKEN, "its \"nbf\" is %.0f s ahead",
			      bounded(json_number_value(nbf) - now));
	return true;
}

/* Who it is may be a number, as a database has it. */
static bool names_somebody(const struct config_jwt *j, const json_t *claims, struct jwt_verdict *v)
{
	const json_t *user = json_object_get(claims, j->user);
	const char *text = json_string_value(user);

	if (json_is_integer(user))
		snprintf(v->user, sizeof(v->user), "%lld", (long long)json_integer_value(user));
	else if (text && *text && strlen(text) <= CONFIG_USER_MAX &&
		 printable_whole(text, strlen(text)))
		strcpy(v->user, text);
	else
		return refuse(v, REASON_BAD_TOKEN,
			      "its \"%s\" is no name of 1 to %d bytes without control characters",
			      j->user, CONFIG_USER_MAX);
	return true;
}

/* Claims while they are looked at, and for whom. */
struct asked {
	const struct config_endpoint *e;
	const char *name;
	const json_t *claims;
	double now;
	struct elements_look *look;
};

static bool has_issuer(const struct asked *a, struct jwt_verdict *v)
{
	return is_issued(&a->e->limits.access.jwt, a->claims, v);
}

static bool has_audience(const struct asked *a, struct jwt_verdict *v)
{
	return is_for_us(&a->e->limits.access.jwt, a->claims, v, a->look);
}

static bool has_time(const struct asked *a, struct jwt_verdict *v)
{
	return is_in_time(&a->e->limits.access.jwt, a->claims, a->now, v);
}

static bool has_user(const struct asked *a, struct jwt_verdict *v)
{
	return names_somebody(&a->e->limits.access.jwt, a->claims, v);
}

static bool has_required(const struct asked *a, struct jwt_verdict *v)
{
	const struct jwt_rules *rules = a->e->limits.access.jwt.rules;
	const struct claims_rule *broken =
		claims_broken(&rules->required, a->claims, a->e, a->name, a->look);

	if (broken && a->look->too_much)
		return refuse_too_much(v, broken->shown, "required");
	if (broken)
		return refuse(v, REASON_NOT_ALLOWED,
			      "its claim \"%s\" is not what \"required\" asks for", broken->shown);
	v->publishes = !claims_broken(&rules->publish, a->claims, a->e, a->name, a->look);
	return true;
}

/* In the order of the manual. */
static const struct {
	const char *name;
	bool (*keeps)(const struct asked *a, struct jwt_verdict *v);
} rules_of_claims[] = {
	{ "issuer", has_issuer }, { "audience", has_audience }, { "exp and nbf", has_time },
	{ "user", has_user },     { "required", has_required },
};

enum { RULES_OF_CLAIMS = sizeof(rules_of_claims) / sizeof(*rules_of_claims) };

static bool says_all(const struct config_endpoint *e, const char *name, const json_t *claims,
		     double now, struct jwt_verdict *v)
{
	struct elements_look look = { .spent = 0 };
	const struct asked a = { e, name, claims, now, &look };
	bool good = true;

	for (int i = 0; i < RULES_OF_CLAIMS && good; i++)
		good = rules_of_claims[i].keeps(&a, v);
	v->cost += look.spent;
	return good;
}

void jwt_judge_claims(const struct config_endpoint *e, const char *name, const json_t *claims,
		      double now, struct jwt_verdict *v)
{
	*v = (struct jwt_verdict){ .reason = REASON_NONE };
	says_all(e, name, claims, now, v);
}

static bool read_claims(const struct jws *s, struct jwt_verdict *v)
{
	const char *why;

	v->claims = jws_claims(s, &why);
	return v->claims || refuse_unread(v, why);
}

void jwt_judge(const struct config_endpoint *e, const char *name, struct http_text token,
	       double now, struct jwt_verdict *v)
{
	const struct config_jwt *j = &e->limits.access.jwt;
	struct jws s;
	const char *why = jws_read(token, &s);

	*v = (struct jwt_verdict){ .reason = REASON_NONE };
	if (token.len <= JWS_TOKEN_MAX)
		v->cost = (uint32_t)(token.len * COST_OF_KIB / 1024);
	if (why) {
		refuse_unread(v, why);
		return;
	}
	if (is_algorithm(j, &s, v) && is_signed(j, &s, v) && read_claims(&s, v))
		says_all(e, name, v->claims, now, v);
	jws_end(&s);
}

bool jwt_may_keep(size_t len, struct jwt_verdict *v)
{
	return len <= JWT_KEPT_MAX ||
	       refuse(v, REASON_NOT_ALLOWED,
		      "the claims that are asked for have %zu bytes, and at most %d can be kept",
		      len, JWT_KEPT_MAX);
}

/* --- for people --- */

/* Who is told of rules, and whether all are kept so far. */
struct telling {
	jwt_rule_fn *fn;
	void *arg;
	bool good;
};

static void tell(struct telling *t, const char *rule, bool kept, const struct jwt_verdict *v)
{
	t->fn(rule, kept ? NULL : v->why, t->arg);
	t->good &= kept;
}

static void tell_claims(struct telling *t, const struct asked *a)
{
	for (int i = 0; i < RULES_OF_CLAIMS; i++) {
		struct jwt_verdict v = { .reason = REASON_NONE };

		tell(t, rules_of_claims[i].name, rules_of_claims[i].keeps(a, &v), &v);
	}
}

/* Who may not speak is let in all the same. */
static void tell_publish(const struct telling *t, const struct asked *a)
{
	const struct claims_rules *rules = &a->e->limits.access.jwt.rules->publish;

	if (rules->count > 0)
		t->fn("publish",
		      claims_broken(rules, a->claims, a->e, a->name, a->look)
			      ? "who has it may listen only"
			      : NULL,
		      t->arg);
}

/* That it is not too long is no rule of anybody's. */
static void tell_kept(struct telling *t, const struct asked *a)
{
	struct jwt_verdict v = { .reason = REASON_NONE };
	json_t *asked = jwt_claims_asked(&a->e->limits.access.jwt, a->claims);

	if (asked && !jwt_may_keep(json_dumpb(asked, NULL, 0, JSON_COMPACT), &v))
		tell(t, "claims", false, &v);
	json_decref(asked);
}

bool jwt_explain(const struct config_endpoint *e, const char *name, struct http_text token,
		 double now, jwt_rule_fn *fn, void *arg, json_t **claims)
{
	const struct config_jwt *j = &e->limits.access.jwt;
	struct telling t = { fn, arg, true };
	struct jwt_verdict v = { .reason = REASON_NONE };
	struct jws s;
	const char *why = jws_read(token, &s);

	fn("form", why, arg);
	if (why)
		return false;
	tell(&t, "algorithms", is_algorithm(j, &s, &v), &v);
	tell(&t, j->keys_file ? "keys" : "key", is_signed(j, &s, &v), &v);
	tell(&t, "claims", read_claims(&s, &v), &v);
	*claims = v.claims;
	jws_end(&s);
	if (v.claims) {
		struct elements_look look = { .spent = 0 };
		const struct asked a = { e, name, v.claims, now, &look };

		tell_claims(&t, &a);
		tell_publish(&t, &a);
		tell_kept(&t, &a);
	}
	return t.good;
}

/* --- what is kept --- */

static bool keep(json_t *kept, const json_t *claims, const char *name)
{
	json_t *value = json_object_get(claims, name);

	return !value || json_object_set(kept, name, value) == 0;
}

/* Of claims within others the one that is named, and not what else there is. */
static bool keep_path(json_t *kept, const json_t *claims, char *const *path)
{
	for (; path[1]; path++) {
		json_t *within = json_object_get(kept, path[0]);

		claims = json_object_get(claims, path[0]);
		if (!json_is_object(claims) || within == claims)
			return true;
		if (!within) {
			within = json_object();
			if (!within || json_object_set_new(kept, path[0], within) < 0)
				return false;
		}
		kept = within;
	}
	return keep(kept, claims, path[0]);
}

static bool keep_rules(json_t *kept, const json_t *claims, const struct claims_rules *rules)
{
	for (size_t i = 0; i < rules->count; i++)
		if (!keep_path(kept, claims, rules->list[i].path))
			return false;
	return true;
}

json_t *jwt_claims_asked(const struct config_jwt *j, const json_t *claims)
{
	json_t *kept = json_object();

	if (kept && keep(kept, claims, "iss") && keep(kept, claims, "aud") &&
	    keep(kept, claims, "exp") && keep(kept, claims, j->user) &&
	    keep_rules(kept, claims, &j->rules->required) &&
	    keep_rules(kept, claims, &j->rules->publish))
		return kept;
	json_decref(kept);
	return NULL;
}
