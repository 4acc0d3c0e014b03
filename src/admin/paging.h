/*
 * paging.h - lists that are told in pages.
 *
 * Each has at most "limit" entries (100; 1 to 1000), and "next" where there may be more: to be
 * given back as "after".
 */
#ifndef ADMIN_PAGING_H
#define ADMIN_PAGING_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

struct page {
	json_t *entries;
	size_t limit;
	uint64_t at; /* where it begins; who fills it moves it on */
};

/* false: a parameter is wrong, and that is answered. */
bool page_begin(struct request *r, struct page *p);

bool page_has_place(const struct page *p);

/* entry is taken over. */
void page_add(struct page *p, json_t *entry);

/* Answers; more: it does not end with this page, but goes on at p->at. */
void page_answer(struct request *r, struct page *p, const char *name, bool more);

#endif
