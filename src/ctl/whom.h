/*
 * whom.h - whom is asked, as the command line says, and where that says nothing the environment.
 */
#ifndef CTL_WHOM_H
#define CTL_WHOM_H

#include <stdbool.h>

struct arguments;

struct whom {
	const char *socket, *url; /* one of them is NULL */
	const char *token_file, *cacert; /* of the URL; NULL: none */
};

/* The strings are those of the arguments, of the environment, or stay for ever. */
void whom_find(struct whom *w, const struct arguments *a);

/* Whether the URL has TLS. */
bool whom_has_tls(const struct whom *w);

#endif
