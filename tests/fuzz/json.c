/*
 * JSON texts, beside jansson.
 *
 * Invariants: what jansson takes is taken, what it refuses is refused unless it is one of
 * its own limits, and the member that is shown is the one that jansson finds. Wherever the text is
 * cut in slices, the answer is the same.
 */
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "proto/json.h"
#include "proto/utf8.h"

/* What RFC 8259 allows and jansson does not. */
static bool is_own_limit(const json_error_t *e)
{
	switch (json_error_code(e)) {
	case json_error_numeric_overflow:
	case json_error_stack_overflow:
	case json_error_null_byte_in_key:
		return true;
	default:
		return strncmp(e->text, "invalid Unicode", 15) == 0;
	}
}

static bool has_nul(const json_t *j)
{
	return strlen(json_string_value(j)) != json_string_length(j);
}

static void check_shown(const struct json_value *value, const json_t *j)
{
	static char shown[1 << 16];
	size_t n = json_show(value, shown, sizeof(shown));
	json_t *again;

	fuzz_require(n == strlen(shown) && utf8_valid(shown, n));
	/* it may be cut */
	if (n + 8 > sizeof(shown) || value->len > JSON_SHOWN_MAX)
		return;
	if (json_is_string(j) && !has_nul(j)) {
		fuzz_require(strcmp(shown, json_string_value(j)) == 0);
		return;
	}
	again = json_loads(shown, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	fuzz_require(again && json_equal(again, j ? j : json_null()));
	json_decref(again);
}

/* In one go; the text itself says where it is cut the second time. */
static bool find(const uint8_t *data, size_t size, struct json_scan *s)
{
	struct json_scan cut;
	enum json_result whole, r = JSON_MORE;

	json_begin(s, data, size, "content");
	whole = json_go_on(s, size + 1);
	json_begin(&cut, data, size, "content");
	for (size_t i = 0; r == JSON_MORE; i++) {
		fuzz_require(i <= 2 * size);
		r = json_go_on(&cut, 1 + data[i % size] % 16);
	}
	fuzz_require(whole != JSON_MORE && r == whole);
	fuzz_require(cut.value.p == s->value.p && cut.value.len == s->value.len);
	fuzz_require(cut.error.text == s->error.text && cut.error.line == s->error.line &&
		     cut.error.column == s->error.column);
	return whole == JSON_GOOD;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_scan s;
	json_error_t theirs;
	char shown[16];
	json_t *j;
	bool good;

	if (size == 0 || !utf8_valid(data, size))
		return 0;
	good = find(data, size, &s);
	/* jansson does not see a NUL behind a number */
	if (memchr(data, '\0', size)) {
		fuzz_require(!good);
		return 0;
	}
	j = json_loadb((const char *)data, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &theirs);
	if (good)
		fuzz_require(json_show(&s.value, shown, sizeof(shown)) < sizeof(shown));
	else
		fuzz_require(s.error.line >= 1 && s.error.column >= 1 && s.error.text);
	fuzz_require(good || !j);
	fuzz_require(!good || j || is_own_limit(&theirs));
	if (j)
		check_shown(&s.value, json_object_get(j, "content"));
	json_decref(j);
	return 0;
}
