/*
 * key_changes.h - how what a file of keys of `jwt` holds differs from what it held.
 */
#ifndef CONFIG_KEY_CHANGES_H
#define CONFIG_KEY_CHANGES_H

#include "config/file_changes.h"

/* Of two struct jwk_set. */
extern const struct file_kind key_changes;

#endif
