/*
 * routes.h - which request is answered by what.
 */
#ifndef ADMIN_ROUTES_H
#define ADMIN_ROUTES_H

struct evhttp_request;

/* Answers a request, whatever it is. */
void routes_answer(struct evhttp_request *http);

#endif
