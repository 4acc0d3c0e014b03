/*
 * syntax.h - from the expanded text to libconfig's tree.
 */
#ifndef CONFIG_SYNTAX_H
#define CONFIG_SYNTAX_H

#include <libconfig.h>
#include <stdbool.h>

struct config_errors;
struct config_source;

/*
 * Parses the text into lib, which the caller ends with config_destroy in any
 * case. false: there is no tree; the errors are reported. A true may come with
 * errors too, such as a number that does not fit: the tree is good for checks.
 */
bool syntax_parse(const struct config_source *s, config_t *lib, struct config_errors *e);

#endif
