/*
 * account.c - see account.h.
 */
#include "base/account.h"

size_t account_bytes;
