/*
 * admin_internal.h - what the requests share.
 */
#ifndef ADMIN_ADMIN_INTERNAL_H
#define ADMIN_ADMIN_INTERNAL_H

#include "admin/admin.h"

/* In force; to be read by all of this layer. */
extern struct admin_start admin;

#endif
