/*
 * jwt.h - JSON Web Tokens: who is let in by one.
 *
 * A token is judged in the order: its form, its algorithm, its key, its signature, issuer, audience,
 * time, who it names, what else it says. The first that is wrong is why it is refused.
 */
#ifndef CONFIG_JWT_H
#define CONFIG_JWT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "config/claims.h"
#include "config/config.h"
#include "config/jwk.h"
#include "proto/http.h"
#include "proto/jws.h"

struct config_report;
struct snapshot;

enum {
	/* Nanoseconds that looks at one signature may take: with each algorithm two keys, an old and a new one. */
	JWT_TRIES_COST = 3200000,
	JWT_WHY_MAX = 192,
	JWT_KEPT_MAX =
		4096, /* bytes of JSON that are kept of a token while its connection is open */
};

/* While endpoints are checked, of which many may have the same rules: what is told is told once. */
struct jwt_told {
	char *label; /* of the report of the group */
	struct config_place cookie_at;
	bool cookie; /* it is told that there are no origins */
};

/* What came of a group `jwt` where it is set; those who have it from the top have the same. */
struct jwt_rules {
	const struct jwk_set *keys;
	unsigned algs; /* a bit for each enum jws_alg that may be used */
	struct claims_rules required, publish;
	struct jwt_told *told;
	struct jwt_rules *next; /* of the snapshot */
};

/* A file of keys that some name. */
struct jwk_file {
	char *name;
	struct jwk_set keys;
};

/* What was found. */
struct jwt_verdict {
	enum reason reason; /* NONE: it is good */
	char why[JWT_WHY_MAX]; /* which rule it breaks and how, for the log; nothing of what it says */
	char user[CONFIG_USER_MAX + 1];
	double expires; /* seconds since the epoch, leeway counted; HUGE_VAL: never */
	bool publishes; /* it keeps the rules of `publish` as well */
	enum jws_alg alg;
	const struct jws_key *key; /* of the rules: what it was signed with */
	json_t *claims; /* for json_decref; NULL: they are not known */
	uint32_t cost; /* nanoseconds that it took */
};

/*
 * Judges a token for e, which asks for one, by the path that led there, at so many seconds since the
 * epoch. *v is filled in whatever comes of it.
 */
void jwt_judge(const struct config_endpoint *e, const char *name, struct http_text token,
	       double now, struct jwt_verdict *v);

/* The same of claims that were found to be good before: all but form, key and signature. */
void jwt_judge_claims(const struct config_endpoint *e, const char *name, const json_t *claims,
		      double now, struct jwt_verdict *v);

/*
 * Judges a token rule by rule, whatever came of those before, for people: fn is called with the setting or
 * what else each is about, and why it is not kept, NULL: it is. *claims is what the token says, good or
 * not, for json_decref; NULL: that cannot be read. Returns whether it would let somebody in.
 */
typedef void jwt_rule_fn(const char *rule, const char *why, void *arg);
bool jwt_explain(const struct config_endpoint *e, const char *name, struct http_text token,
		 double now, jwt_rule_fn *fn, void *arg, json_t **claims);

/* Those that a later jwt_judge_claims by the same rules looks at, for json_decref. NULL: no memory. */
json_t *jwt_claims_asked(const struct config_jwt *j, const json_t *claims);
/* Whether so many bytes of them may be kept with a connection. False: *v says so. */
bool jwt_may_keep(size_t len, struct jwt_verdict *v);

/* jwt_group.c: the checks of the group; access: of that around it, NULL: it is not there. */
void jwt_check(struct config_report *access, const struct config_jwt *top, struct config_jwt *j);
/* Of an endpoint, whose path is good. */
void jwt_check_endpoint(struct config_report *r, const struct config_endpoint *e);
void jwt_free_all(struct snapshot *n);

#endif
