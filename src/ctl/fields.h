/*
 * fields.h - reading an object of an answer, which may not be what was expected.
 *
 * What is wrong is noted, once, and looked at when all has been read.
 */
#ifndef CTL_FIELDS_H
#define CTL_FIELDS_H

#include <jansson.h>
#include <stdbool.h>

struct fields {
	const json_t *object;
	const char *wrong; /* the first key whose value is of another type than was asked for */
};

/*
 * The value of a key, lent; NULL if it is missing or null. What is there and of another type is
 * noted, and NULL.
 */
const char *fields_text(struct fields *f, const char *key);
const json_t *fields_object(struct fields *f, const char *key);
const json_t *fields_array(struct fields *f, const char *key);

/* The same for numbers and truth: missing is 0 and false. */
double fields_number(struct fields *f, const char *key);
bool fields_true(struct fields *f, const char *key);

#endif
