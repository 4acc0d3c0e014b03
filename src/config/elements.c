/*
 * elements.c - see elements.h.
 *
 * The table lies in static memory: a token asks for none by its length, and has no more elements than
 * there are places. Its hash is no secret: who makes many elements that meet pays for each step by them.
 */
#include "config/elements.h"

#include <string.h>

enum {
	PLACES = 8192, /* a power of two; the longest token has some 6,000 elements */
	NONE = PLACES,

	/* Nanoseconds, two to three times what they are. */
	COST_TAKE = 20,
	COST_LOOK = 40,
	COST_STEP = 10,
	COST_PATTERN = 30,
	COST_BYTE = 1,
};

struct element {
	const char *text; /* NULL: it is a number or a boolean */
	const json_t *value;
	uint32_t len;
	uint16_t next; /* that has the same place; NONE: there is no more */
};

static struct {
	struct element list[PLACES];
	size_t count;
	uint16_t first[PLACES]; /* by hash; NONE: nothing is there */
	size_t mask; /* of the places that are used */
	uint16_t patterns; /* a list of those, which are at no place */
} table;

bool elements_spend(struct elements_look *look, uint64_t nanoseconds)
{
	look->too_much |= nanoseconds > ELEMENTS_COST_MAX - (uint64_t)look->spent;
	if (!look->too_much)
		look->spent += (uint32_t)nanoseconds;
	return !look->too_much;
}

/* --- places --- */

static uint32_t hash_text(const char *p, size_t len)
{
	uint32_t h = UINT32_C(2166136261);

	while (len-- > 0)
		h = (h ^ (unsigned char)*p++) * UINT32_C(16777619);
	return h ^ h >> 15;
}

/* Numbers that are the same have one, be they integers or not; -0.0 is 0. */
static uint32_t hash_value(const json_t *value)
{
	const double n = json_number_value(value) + 0.0;

	return json_is_number(value) ? hash_text((const char *)&n, sizeof(n))
				     : (uint32_t)json_typeof(value);
}

static void make_places(size_t count)
{
	size_t n = 1;

	while (n < count && n < PLACES)
		n *= 2;
	table.count = 0;
	table.mask = n - 1;
	table.patterns = NONE;
	for (size_t i = 0; i < n; i++)
		table.first[i] = NONE;
}

static void put(struct elements_look *look, uint16_t *at, struct element e)
{
	if (table.count == PLACES) {
		look->too_much = true;
		return;
	}
	e.next = *at;
	*at = (uint16_t)table.count;
	table.list[table.count++] = e;
}

/* --- what is taken --- */

static void put_text(struct elements_look *look, const char *text, size_t len)
{
	const bool pattern = look->form != ELEMENTS_PLAIN && memchr(text, '*', len);
	const struct element e = { .text = text, .len = (uint32_t)len };

	if (elements_spend(look, COST_TAKE + len * COST_BYTE))
		put(look,
		    pattern ? &table.patterns : &table.first[hash_text(text, len) & table.mask], e);
}

static void put_words(struct elements_look *look, const char *p)
{
	while (*p != '\0') {
		const size_t n = strcspn(p, " ");

		if (n > 0)
			put_text(look, p, n);
		p += n + (p[n] != '\0');
	}
}

static void put_any(struct elements_look *look, const json_t *element)
{
	if (json_is_string(element) && look->form == ELEMENTS_WORDS)
		put_words(look, json_string_value(element));
	else if (json_is_string(element))
		put_text(look, json_string_value(element), json_string_length(element));
	else if (elements_spend(look, COST_TAKE) &&
		 (json_is_number(element) || json_is_boolean(element)))
		put(look, &table.first[hash_value(element) & table.mask],
		    (struct element){ .value = element });
}

/* At most: there may be a word for each second byte. */
static size_t elements_of(const json_t *claim, enum elements_form form)
{
	if (json_is_array(claim))
		return form == ELEMENTS_WORDS ? PLACES : json_array_size(claim);
	return form == ELEMENTS_WORDS ? json_string_length(claim) / 2 + 1 : 1;
}

void elements_take(struct elements_look *look, const json_t *claim, enum elements_form form)
{
	const json_t *element;
	size_t i;

	if (look->claim == claim && look->form == form)
		return;
	look->claim = claim;
	look->form = form;
	make_places(elements_of(claim, form));
	elements_spend(look, table.mask);
	if (!json_is_array(claim))
		put_any(look, claim);
	json_array_foreach(claim, i, element) put_any(look, element);
}

/* --- what is looked for --- */

/*
 * Whether text has the form of a pattern, in which "*" stands for any bytes. Each piece between two of
 * them is looked for behind the one before it, so no byte is gone over again for another "*".
 */
static bool matches(const char *pattern, size_t len, const char *text, size_t n)
{
	const char *star = memchr(pattern, '*', len), *end = pattern + len, *next, *at;
	size_t piece = (size_t)(star - pattern);

	if (piece > n || memcmp(pattern, text, piece) != 0)
		return false;
	text += piece;
	n -= piece;
	for (; (next = memchr(star + 1, '*', (size_t)(end - star - 1))) != NULL; star = next) {
		piece = (size_t)(next - star - 1);
		at = piece > 0 ? memmem(text, n, star + 1, piece) : text;
		if (at == NULL)
			return false;
		n -= (size_t)(at - text) + piece;
		text = at + piece;
	}
	piece = (size_t)(end - star - 1);
	return piece <= n && memcmp(star + 1, text + n - piece, piece) == 0;
}

static bool any_pattern(struct elements_look *look, const char *text, size_t len)
{
	for (uint16_t i = table.patterns; i != NONE; i = table.list[i].next) {
		const struct element *e = &table.list[i];

		if (!elements_spend(look, COST_PATTERN + (len + e->len) * COST_BYTE))
			return false;
		if (matches(e->text, e->len, text, len))
			return true;
	}
	return false;
}

bool elements_have_text(struct elements_look *look, const char *text, size_t len)
{
	if (!elements_spend(look, COST_LOOK + len * COST_BYTE))
		return false;
	for (uint16_t i = table.first[hash_text(text, len) & table.mask]; i != NONE;
	     i = table.list[i].next) {
		const struct element *e = &table.list[i];

		if (!elements_spend(look, COST_STEP))
			return false;
		if (e->text != NULL && e->len == len && memcmp(e->text, text, len) == 0)
			return true;
	}
	return any_pattern(look, text, len);
}

static bool is_same(const json_t *value, const json_t *wanted)
{
	if (json_is_integer(value) && json_is_integer(wanted))
		return json_integer_value(value) == json_integer_value(wanted);
	if (json_is_number(value) && json_is_number(wanted))
		return json_number_value(value) == json_number_value(wanted);
	return value == wanted; /* there is one true, and one false */
}

bool elements_have_value(struct elements_look *look, const json_t *wanted)
{
	uint16_t i = table.first[hash_value(wanted) & table.mask];

	if (!elements_spend(look, COST_LOOK))
		return false;
	for (; i != NONE; i = table.list[i].next) {
		const struct element *e = &table.list[i];

		if (!elements_spend(look, COST_STEP))
			return false;
		if (e->text == NULL && is_same(e->value, wanted))
			return true;
	}
	return false;
}
