/* A message in its envelope: every byte of it, and that it has the length that was said. */
// links: base proto bus net session
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "bus/bus.h"
#include "proto/frame.h"
#include "session/envelope.h"

enum { LONG = 70000 };

#define HEAD "{\"type\":\"message\",\"room\":\"/a\",\"position\":\"00000000000000ab.7\",\"time\":"

static uint8_t made[8 * LONG];

/* The payload of what is made of one message; the frame is right. */
static const char *envelope_of(enum ws_opcode opcode, const void *payload, size_t len,
			       uint64_t sender, int64_t time, bool json)
{
	static uint8_t frame[LONG + WS_HEADER_MAX];
	const struct envelope v = { "/a", 2, 0xab, json };
	size_t header = ws_encode_header(frame, opcode, len), own;
	struct bus_entry e = { .sequence = 7,
			       .meta = { .sender = sender, .time = time },
			       .frame = frame,
			       .frame_len = header + len };
	uint64_t said;
	uint8_t *end;

	memcpy(frame + header, payload, len);
	memset(made, '#', sizeof(made));
	end = envelope_write(made, &v, &e);
	assert_int_equal(end - made, envelope_size(&v, &e));
	assert_int_equal(*end, '#');
	assert_int_equal(made[0], 0x80 | WS_TEXT);
	own = ws_own_header(made, &said);
	assert_int_equal(said, (size_t)(end - made) - own);
	*end = '\0';
	return (const char *)made + own;
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(
		envelope_of(WS_TEXT, "User: hi", 8, 0x10000000002, 1764201600123, false),
		HEAD "1764201600.123,\"sender\":\"10000000002\",\"data\":\"User: hi\"}");
	assert_string_equal(envelope_of(WS_TEXT, "", 0, 0, 5, false),
			    HEAD "0.005,\"sender\":null,\"data\":\"\"}");
	assert_string_equal(
		envelope_of(WS_TEXT, "\"\\/\b\t\n\f\r\0\x1f\x7f\xc3\xa9", 13, 0, 0, false),
		HEAD "0.000,\"sender\":null,\"data\":\"\\\"\\\\/"
		     "\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\xc3\xa9\"}");
}

static void test_json_as_it_is(void **state)
{
	(void)state;
	assert_string_equal(envelope_of(WS_TEXT, "{\"a\": 1.50}", 11, 0, 0, true),
			    HEAD "0.000,\"sender\":null,\"data\":{\"a\": 1.50}}");
}

static void test_binary(void **state)
{
	(void)state;
	assert_string_equal(envelope_of(WS_BINARY, "\0\xff\x10z", 4, 0, 0, false),
			    HEAD "0.000,\"sender\":null,\"base64\":\"AP8Qeg==\"}");
	assert_string_equal(envelope_of(WS_BINARY, "", 0, 0, 0, true),
			    HEAD "0.000,\"sender\":null,\"base64\":\"\"}");
}

/* Headers of each length, and nothing but escapes. */
static void test_lengths(void **state)
{
	static char text[LONG];

	(void)state;
	for (size_t len = 0; len < 300; len++) {
		memset(text, 'a', len);
		assert_int_equal(strlen(envelope_of(WS_TEXT, text, len, 0, 0, false)),
				 sizeof(HEAD) - 1 + 30 + len);
	}
	memset(text, '\1', LONG);
	assert_int_equal(strlen(envelope_of(WS_TEXT, text, LONG, 0, 0, false)),
			 sizeof(HEAD) - 1 + 30 + 6 * LONG);
	assert_int_equal(strlen(envelope_of(WS_BINARY, text, LONG, 0, 0, false)),
			 sizeof(HEAD) - 1 + 32 + (LONG + 2) / 3 * 4);
}

static void test_put_string(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	assert_true(envelope_put_string(&b, "a\"b", 3));
	assert_int_equal(b.len, 6);
	assert_memory_equal(b.p, "\"a\\\"b\"", 6);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),      cmocka_unit_test(test_json_as_it_is),
		cmocka_unit_test(test_binary),     cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_put_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
