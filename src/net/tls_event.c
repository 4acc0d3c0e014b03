/*
 * tls_event.c - TLS for what reads and writes by a bufferevent of libevent.
 *
 * That is the admin interface, whose HTTP is libevent's; the messages of clients do not come by
 * here. A reload may bring another tls_server while a handshake goes on with this one, so each
 * session holds the one that it began with.
 */
#include <event2/bufferevent_ssl.h>

#include "net/tls_internal.h"

static int index_of_server = -1; /* where a session keeps it */

static void release_cb(void *session, void *server, CRYPTO_EX_DATA *data, int index, long l,
		       void *p)
{
	(void)session;
	(void)data;
	(void)index;
	(void)l;
	(void)p;
	if (server)
		tls_server_unref(server);
}

/* NULL: no memory. */
static SSL *new_session(struct tls_server *s)
{
	SSL *ssl = tls_server_session(s);

	if (index_of_server < 0)
		index_of_server = SSL_get_ex_new_index(0, NULL, NULL, NULL, release_cb);
	if (!ssl || index_of_server < 0 || SSL_set_ex_data(ssl, index_of_server, s) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	tls_server_ref(s);
	/* what OpenSSL has read ahead libevent would wait for */
	SSL_set_read_ahead(ssl, 0);
	return ssl;
}

struct bufferevent *tls_bufferevent(struct event_base *base, struct tls_server *s)
{
	SSL *ssl = new_session(s);
	struct bufferevent *b;

	if (!ssl)
		return NULL;
	/* the session is its own from here on: it ends it, too, where it cannot be made */
	b = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING,
					   BEV_OPT_CLOSE_ON_FREE);
	if (b)
		bufferevent_openssl_set_allow_dirty_shutdown(b, 1);
	return b;
}

bool tls_is_on(struct bufferevent *b)
{
	return bufferevent_openssl_get_ssl(b) != NULL;
}
