/*
 * elements.h - what a claim of a token has, to look for many values in it.
 *
 * A claim may be a list of thousands, and a configuration may ask for a thousand values. So what is in it is
 * put into a table once, and each value is looked for there; only patterns are gone over one by one. All
 * of that is counted in nanoseconds, and has an end: what a look at one token may take.
 */
#ifndef CONFIG_ELEMENTS_H
#define CONFIG_ELEMENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELEMENTS_COST_MAX = 1000000 /* nanoseconds for one token */ };

/* What texts in a claim are: themselves; patterns, where they have a "*"; words that are, by spaces. */
enum elements_form { ELEMENTS_PLAIN, ELEMENTS_PATTERNS, ELEMENTS_WORDS };

/* A look at one token, which begins with zeroes; of two the one ends before the other begins. */
struct elements_look {
	uint32_t spent; /* nanoseconds, as they are charged */
	bool too_much; /* it would have taken longer than it may: nothing is found any more */
	const json_t *claim; /* whose elements are in the table; NULL: nobody's */
	enum elements_form form;
};

/* Charges so much. False: that is too much. */
bool elements_spend(struct elements_look *look, uint64_t nanoseconds);

/* Takes a claim, or each element of one that is a list. It is lent until the next one or the end of the look. */
void elements_take(struct elements_look *look, const json_t *claim, enum elements_form form);

/* Whether what was taken has a text, or a number or boolean. */
bool elements_have_text(struct elements_look *look, const char *text, size_t len);
bool elements_have_value(struct elements_look *look, const json_t *wanted);

#endif
