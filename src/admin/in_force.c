/*
 * in_force.c - what all of this layer knows.
 */
#include "admin/admin_internal.h"

struct admin_start admin;
