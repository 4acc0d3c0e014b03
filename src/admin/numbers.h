/*
 * numbers.h - numbers in requests.
 */
#ifndef ADMIN_NUMBERS_H
#define ADMIN_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

struct request;

/*
 * Reads the number that a parameter says; without one *value stays. false: it says another thing,
 * and that is answered.
 */
bool number_parameter(struct request *r, const char *name, uint64_t from, uint64_t to,
		      uint64_t *value);

/* Reads the id of a connection, which is never 0, as the log writes it. false: it is none. */
bool number_of_id(const char *text, uint64_t *id);

#endif
