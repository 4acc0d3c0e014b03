/*
 * happened.h - what the chronicle has, as JSON.
 */
#ifndef ADMIN_HAPPENED_H
#define ADMIN_HAPPENED_H

#include <jansson.h>
#include <stdbool.h>

#include "base/chronicle.h"
#include "net/peer.h"

struct request;

/* An object, as ignyxd-api(7) has it. NULL: no memory. */
json_t *json_of_happened(const struct chronicle_entry *e);

/* What a peer's entries are looked for by. */
struct chronicle_key happened_key(const struct net_peer *p);

/* Reads the parameter "peer", which is there. false: it is no address, and that is answered. */
bool happened_read_peer(struct request *r, struct net_peer *p);

#endif
