/*
 * request.h - a request that is being answered.
 */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>

#include "admin/caller.h"
#include "proto/upgrade.h"

struct evbuffer;

struct request {
	struct evhttp_request *http;
	char path[UPGRADE_PATH_MAX + 1]; /* decoded */
	const char *rest; /* of it behind the route's: "" or from a "/" on */
	struct evkeyvalq query;
	struct caller caller; /* not of one that is answered later */
	enum right right; /* that it takes */
};

/* Each answers the request, with which that ends; body is taken over, NULL: there is no memory. */
void answer_json(struct request *r, int status, json_t *body);
void answer_buffer(struct request *r, int status, const char *type, struct evbuffer *body);
/* word: a public contract, as the reasons of connections are; the rest is a sentence. */
void answer_error(struct request *r, int status, const char *word, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* A value as one line, which it ends with; value is taken over. NULL: there is no memory. */
struct evbuffer *json_line(json_t *value);

/* The descriptor of the connection that it came by. */
int request_socket(const struct request *r);

/* The value of a parameter, the first of that name. NULL: none. */
const char *request_parameter(const struct request *r, const char *name);
/* Copies it, if it is there. false: it does not fit, and that is answered. */
bool request_copy(struct request *r, const char *name, char *out, size_t size);

/*
 * Whoever has asked is gone, and the answer has not come to its end: to be called once, by the
 * function that evhttp_connection_set_closecb was given.
 */
void request_gone(struct evhttp_request *http);

#endif
