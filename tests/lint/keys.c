// links: base proto bus config net session behaviours
/*
 * keys.c - prints every setting there is, one `scope key` a line.
 *
 * The scope is "global", the name of a group or a list, or of a behaviour. The
 * lint looks each key up in the man page and in the sample.
 */
#include <stdio.h>

#include "behaviour.h"
#include "config/config.h"

static void print_key(const char *scope, const struct config_key *k, void *arg)
{
	(void)arg;
	printf("%s %s\n", *scope != '\0' ? scope : "global", k->name);
}

int main(void)
{
	config_each_key(behaviours, print_key, NULL);
	return fflush(stdout) == 0 ? 0 : 1;
}
