/*
 * tls.h - encrypted transports.
 *
 * A tls_server is what a listener offers: certificates by name, who may connect. It is
 * counted; connections keep what they began with, over reloads.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/anchor.h"
#include "net/transport.h"

struct bufferevent;
struct config_tls;
struct event_base;
struct tickets;
struct tls_server;

/* Once in a process, ahead of its first call into OpenSSL. */
void tls_init(void);

/*
 * Makes one of its configuration, which may go away afterwards. tickets is lent for
 * ever. NULL: no memory, or OpenSSL would not; *why says what in a few words.
 */
struct tls_server *tls_server_new(const struct config_tls *c, const struct tickets *tickets,
				  const char **why);
void tls_server_ref(struct tls_server *s);
void tls_server_unref(struct tls_server *s);

/*
 * A bufferevent that speaks TLS as the server once it is given its descriptor, which it closes; it
 * keeps s. NULL: no memory. And whether one is of that kind.
 */
struct bufferevent *tls_bufferevent(struct event_base *base, struct tls_server *s);
bool tls_is_on(struct bufferevent *b);

/*
 * Makes a transport that was begun as plain an encrypted one, ahead of its first byte.
 * -1: no memory; it is then still plain.
 */
int tls_start(struct transport *t, struct tls_server *s);

enum tls_result {
	TLS_DONE, /* messages can go both ways */
	TLS_WAIT, /* until it can be written if t->want_write, until bytes come if not */
	TLS_GONE, /* the peer ended the connection before it had said what it wants */
	TLS_PLAIN, /* the peer speaks HTTP without TLS */
	TLS_FAILED, /* *why says what was wrong, in OpenSSL's words */
};

/* Goes on with the handshake. */
enum tls_result tls_handshake(struct transport *t, const char **why);

/* Takes the encryption off again: what is written then goes out as it is. */
void tls_abandon(struct transport *t);

/*
 * Subject and names of the peer's verified certificate, as text: "CN=x DNS:a
 * email:b". Returns its length, cut to size - 1; 0: it has shown none.
 */
size_t tls_peer_identity(const struct transport *t, char *out, size_t size);

/*
 * Calls is for the names in the peer's verified certificate, up to one for which it is true: those of
 * its subject first, then the alternative ones, and no more than TLS_NAMES_MAX. kind is "CN", "DNS",
 * "email" or "URI", as in the text above; name may be shown as it is. Whether there was one.
 */
enum { TLS_NAMES_MAX = 64 };
typedef bool tls_name_fn(const char *kind, const char *name, void *arg);
bool tls_peer_has_name(const struct transport *t, tls_name_fn *is, void *arg);

/*
 * Whether one of the lists (NULL: there are none) has the peer's certificate, or one between that and its
 * authority; also without memory to find out.
 */
struct stack_st_X509_CRL;
bool tls_peer_is_revoked(const struct transport *t, const struct stack_st_X509_CRL *lists);

/* The authority (anchor.h) that the peer's verified certificate leads to. False: it has none. */
bool tls_peer_anchor(const struct transport *t, uint8_t out[ANCHOR]);

/* Writes "TLSv1.3 TLS_AES_256_GCM_SHA384"; "" of a plain one. */
void tls_describe(const struct transport *t, char *out, size_t size);

#endif
