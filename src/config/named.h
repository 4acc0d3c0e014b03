/*
 * named.h - objects that are found by their names, of which there may be thousands.
 *
 * What is kept begins with its name, a char *, which stays as it is.
 */
#ifndef CONFIG_NAMED_H
#define CONFIG_NAMED_H

/* A tree of such; zero: nothing is in it. */
struct named_objects {
	void *tree;
};

/* NULL: there is none of that name. */
void *named_find(const struct named_objects *all, const char *name);

/* Keeps it, unless there is one of its name: that is found as before. */
void named_add(struct named_objects *all, void *it);

/* Calls end with each, in no order. */
void named_end(struct named_objects *all, void (*end)(void *it));

#endif
