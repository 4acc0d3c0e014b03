/*
 * tls_internal.h - what tls.c and tls_transport.c share.
 */
#ifndef NET_TLS_INTERNAL_H
#define NET_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "net/tls.h"

/* A session with a client that has not said yet what name it wants. NULL: no memory. */
SSL *tls_server_session(const struct tls_server *s);

/* What OpenSSL has of an encrypted transport. NULL: it is none. */
SSL *tls_session(const struct transport *t);

#endif
