/*
 * paging.c - see paging.h.
 */
#include "admin/paging.h"

#include <inttypes.h>

#include "admin/numbers.h"
#include "admin/request.h"

enum { USUAL = 100, MOST = 1000 };

bool page_begin(struct request *r, struct page *p)
{
	uint64_t limit = USUAL;

	*p = (struct page){ 0 };
	if (!number_parameter(r, "limit", 1, MOST, &limit) ||
	    !number_parameter(r, "after", 0, UINT64_MAX, &p->at))
		return false;
	p->limit = limit;
	p->entries = json_array();
	return true;
}

bool page_has_place(const struct page *p)
{
	return json_array_size(p->entries) < p->limit;
}

void page_add(struct page *p, json_t *entry)
{
	json_array_append_new(p->entries, entry);
}

void page_answer(struct request *r, struct page *p, const char *name, bool more)
{
	json_t *body = json_pack("{s:o}", name, p->entries);

	if (more && body)
		json_object_set_new(body, "next", json_sprintf("%" PRIu64, p->at));
	answer_json(r, 200, body);
}
