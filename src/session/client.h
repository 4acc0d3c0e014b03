/*
 * client.h - who is at the other end of a connection.
 */
#ifndef SESSION_CLIENT_H
#define SESSION_CLIENT_H

struct conn;
struct http_head;
struct proxy_header;

/* By the PROXY header that the connection began with. */
void client_by_proxy(struct conn *c, const struct proxy_header *h);

/* By its TLS certificate, if it has shown one that is good. */
void client_by_certificate(struct conn *c);

/*
 * By the headers of its request, where the listener believes them. This is the last there is to
 * know: from here on it does not change any more.
 */
void client_by_request(struct conn *c, const struct http_head *h);

#endif
