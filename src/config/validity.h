/*
 * validity.h - what clients, or we, will not believe although it is well formed:
 * certificates and revocation lists that are out of date or do not lead to a root.
 *
 * All of it is a warning: a clock may be wrong, and a client may know more than this
 * machine does.
 */
#ifndef CONFIG_VALIDITY_H
#define CONFIG_VALIDITY_H

#include <stdint.h>

#include "config/report.h"

struct config_certificate;
struct config_tls;
struct X509_name_st;
struct x509_st;

/* A name as people write it, which the caller frees; when it ends, seconds since the epoch. */
char *validity_name(const struct X509_name_st *name);
int64_t validity_end(const struct x509_st *x);

/*
 * Notes when the certificates of c's file are valid, and warns at the setting of r's group that
 * names it, where quiet is false: of what is not valid, of an issuer that is missing, of
 * a wrong order. t's authorities have been read.
 */
void validity_of_certificate(struct config_report *r, struct config_tls *t,
			     const struct config_certificate *c, bool quiet);

/* The same for t's authorities and their revocation lists; warns also of an authority without one. */
void validity_of_clients(struct config_report *r, struct config_tls *t, bool quiet);

void validity_free(struct config_tls *t);

#endif
