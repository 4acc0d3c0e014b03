/*
 * jws_verify.c - whether a token was signed with a key: libjose's part, and nothing else of it.
 *
 * What libjose and OpenSSL have to say about a stranger's signature is dropped: the one would write it
 * to stderr, with the other it would be found by the next who asks for an error, and taken for his own.
 */
#include "proto/jws.h"

#ifdef IGNYX_JOSE

#include <errno.h>
#include <jose/cfg.h>
#include <jose/jws.h>
#include <openssl/err.h>
#include <stdarg.h>

#include "proto/json_memory.h"

static void say_nothing(void *misc, const char *file, int line, uint64_t err, const char *fmt,
			va_list ap)
{
	(void)misc, (void)file, (void)line, (void)err, (void)fmt, (void)ap;
}

static jose_cfg_t *quiet(void)
{
	static jose_cfg_t *cfg;

	if (!cfg) {
		cfg = jose_cfg();
		if (cfg)
			jose_cfg_set_err_func(cfg, say_nothing, NULL);
	}
	return cfg;
}

static bool add(json_t *jws, const char *name, struct http_text value)
{
	return json_object_set_new(jws, name, json_stringn(value.p, value.len)) == 0;
}

bool jws_verify(const struct jws *s, const struct jws_key *k)
{
	jose_cfg_t *cfg;
	json_t *jws;
	bool good = false;
	int e;

	errno = 0;
	json_memory_watch();
	cfg = quiet();
	jws = json_object();
	if (cfg && add(jws, "protected", s->head) && add(jws, "payload", s->payload) &&
	    add(jws, "signature", s->signature))
		good = jose_jws_ver(cfg, jws, NULL, k->jwk, false);
	e = json_memory_is_short() ? ENOMEM : errno;
	json_decref(jws);
	ERR_clear_error();
	errno = e == ENOMEM ? ENOMEM : 0;
	return good;
}

bool jws_is_there(void)
{
	return true;
}

#else

bool jws_verify(const struct jws *s, const struct jws_key *k)
{
	(void)s, (void)k;
	return false;
}

bool jws_is_there(void)
{
	return false;
}

#endif
