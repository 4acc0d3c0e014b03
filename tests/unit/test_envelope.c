/* A message in its envelope: every byte of it, and that it has the length that was said. */
// links: base proto bus net session
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bus/bus.h"
#include "proto/frame.h"
#include "session/envelope.h"

enum { LONG = 70000 };

#define HEAD "{\"type\":\"message\",\"room\":\"/a\",\"position\":\"00000000000000ab.7\",\"time\":"

static uint8_t made[8 * LONG];

/* What is made of one message. */
static const char *make(enum ws_opcode opcode, const void *payload, size_t len,
			struct bus_meta meta)
{
	static uint8_t frame[LONG + WS_HEADER_MAX];
	struct envelope v;
	struct enveloped x;
	size_t header = ws_encode_header(frame, opcode, len);
	struct bus_entry e = {
		.sequence = 7, .meta = meta, .frame = frame, .frame_len = header + len
	};
	uint8_t *end;

	memcpy(frame + header, payload, len);
	memset(made, '#', sizeof(made));
	assert_true(envelope_make(&v, "/a", 0xab));
	envelope_measure(&x, &v, &e);
	end = envelope_write(made, &v, &x);
	envelope_free(&v);
	assert_int_equal(end - made, x.size);
	assert_int_equal(*end, '#');
	*end = '\0';
	return (const char *)made;
}

static const char *envelope_of(enum ws_opcode opcode, const void *payload, size_t len,
			       uint64_t sender, int64_t time)
{
	return make(opcode, payload, len, (struct bus_meta){ .sender = sender, .time = time });
}

/* The same of what was published as JSON. */
static const char *json_of(enum ws_opcode opcode, const char *text)
{
	return make(opcode, text, strlen(text), (struct bus_meta){ .json = true });
}

static void test_texts(void **state)
{
	(void)state;
	assert_string_equal(envelope_of(WS_TEXT, "User: hi", 8, 0x10000000002, 1764201600123), HEAD
			    "1764201600.123,\"sender\":\"10000000002\",\"data\":\"User: hi\"}");
	assert_string_equal(envelope_of(WS_TEXT, "", 0, 0, 5),
			    HEAD "0.005,\"sender\":null,\"data\":\"\"}");
	assert_string_equal(envelope_of(WS_TEXT, "\"\\/\b\t\n\f\r\0\x1f\x7f\xc3\xa9", 13, 0, 0),
			    HEAD "0.000,\"sender\":null,\"data\":\"\\\"\\\\/"
				 "\\b\\t\\n\\f\\r\\u0000\\u001f\x7f\xc3\xa9\"}");
}

static void test_binary(void **state)
{
	(void)state;
	assert_string_equal(envelope_of(WS_BINARY, "\0\xff\x10z", 4, 0, 0),
			    HEAD "0.000,\"sender\":null,\"base64\":\"AP8Qeg==\"}");
	assert_string_equal(envelope_of(WS_BINARY, "", 0, 0, 0),
			    HEAD "0.000,\"sender\":null,\"base64\":\"\"}");
}

/* Byte for byte, whatever stands in it; and nothing that is binary is JSON. */
static void test_json(void **state)
{
	(void)state;
	assert_string_equal(json_of(WS_TEXT, "{\"a\":[1,\"\\n\"]}"),
			    HEAD "0.000,\"sender\":null,\"data\":{\"a\":[1,\"\\n\"]}}");
	assert_string_equal(json_of(WS_TEXT, "1"), HEAD "0.000,\"sender\":null,\"data\":1}");
	assert_string_equal(json_of(WS_TEXT, " \r\n\t1e999\n"),
			    HEAD "0.000,\"sender\":null,\"data\": \r\n\t1e999\n}");
	assert_string_equal(json_of(WS_BINARY, "1"),
			    HEAD "0.000,\"sender\":null,\"base64\":\"MQ==\"}");
}

/* By hand, and so looked at at their ends. */
static void test_numbers(void **state)
{
	struct envelope v;
	struct enveloped x;
	uint8_t frame[] = { 0x81, 0 };
	struct bus_entry e = { .sequence = UINT64_MAX,
			       .meta = { .sender = UINT64_MAX, .time = INT64_MAX },
			       .frame = frame,
			       .frame_len = sizeof(frame) };

	(void)state;
	assert_true(envelope_make(&v, "/\"\1", UINT64_MAX));
	envelope_measure(&x, &v, &e);
	assert_true(x.numbers_len <= sizeof(x.numbers));
	*envelope_write(made, &v, &x) = '\0';
	assert_string_equal(
		(char *)made,
		"{\"type\":\"message\",\"room\":\"/\\\"\\u0001\",\"position\":"
		"\"ffffffffffffffff.18446744073709551615\",\"time\":9223372036854775.807,"
		"\"sender\":\"ffffffffffffffff\",\"data\":\"\"}");
	assert_int_equal(v.room_len, 9);
	assert_memory_equal(v.room, "/\\\"\\u0001", 9);
	envelope_free(&v);
}

/* Each length, and nothing but escapes. */
static void test_lengths(void **state)
{
	static char text[LONG];

	(void)state;
	for (size_t len = 0; len < 300; len++) {
		memset(text, 'a', len);
		assert_int_equal(strlen(envelope_of(WS_TEXT, text, len, 0, 0)),
				 sizeof(HEAD) - 1 + 30 + len);
	}
	memset(text, '\1', LONG);
	assert_int_equal(strlen(envelope_of(WS_TEXT, text, LONG, 0, 0)),
			 sizeof(HEAD) - 1 + 30 + 6 * LONG);
	memset(text, ' ', LONG);
	assert_int_equal(strlen(make(WS_TEXT, text, LONG, (struct bus_meta){ .json = true })),
			 sizeof(HEAD) - 1 + 28 + LONG);
	assert_int_equal(strlen(envelope_of(WS_BINARY, text, LONG, 0, 0)),
			 sizeof(HEAD) - 1 + 32 + (LONG + 2) / 3 * 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),   cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_binary),  cmocka_unit_test(test_json),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
