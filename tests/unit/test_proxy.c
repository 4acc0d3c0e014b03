/*
 * The PROXY header. What is right is found whole and one byte at a time; what is
 * wrong is found at the first byte that makes it so.
 */
// links: base proto
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "proto/proxy.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
/* Source and destination, 192.0.2.1:40000 and 198.51.100.7:443, and the same in IPv6. */
#define FROM4 "\xc0\x00\x02\x01"
#define TO4 "\xc6\x33\x64\x07"
#define FROM6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define TO6 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define PORTS "\x9c\x40\x01\xbb"
#define V2_TCP4(size) SIGNATURE "\x21\x11" size FROM4 TO4 PORTS
#define V2_TCP6(size) SIGNATURE "\x21\x21" size FROM6 TO6 PORTS
#define BYTES(text) (text), sizeof(text) - 1

enum { PROXY_MORE = 0 };

static struct proxy_header header;

/* A copy of just that size, so that a sanitizer sees what is read behind it. */
static ssize_t read_copy(struct proxy_reader *r, const uint8_t *bytes, size_t n)
{
	uint8_t *copy = malloc(n + !n);
	ssize_t used;

	assert_non_null(copy);
	memcpy(copy, bytes, n);
	used = proxy_read(r, copy, n);
	free(copy);
	return used;
}

/* Of n bytes in pieces: the length of the header, PROXY_MORE or PROXY_BAD. */
static ssize_t parse_pieces(const void *bytes, size_t n, size_t piece)
{
	struct proxy_reader r = { .step = 0 };
	size_t at = 0;

	while (at < n && !r.done) {
		ssize_t used =
			read_copy(&r, (const uint8_t *)bytes + at, piece < n - at ? piece : n - at);

		if (used < 0)
			return PROXY_BAD;
		at += (size_t)used;
	}
	if (!r.done)
		return PROXY_MORE;
	header = r.header;
	return (ssize_t)at;
}

/* The same whole and one byte at a time. */
static ssize_t parse(const void *bytes, size_t n)
{
	ssize_t whole = parse_pieces(bytes, n, n), bytewise = parse_pieces(bytes, n, 1);

	assert_int_equal(whole, bytewise);
	return whole;
}

struct right {
	const char *bytes;
	size_t len;
	int family; /* AF_UNSPEC: local */
	const char *source;
	int source_port;
};

static const struct right rights[] = {
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n"), AF_INET, "192.0.2.1", 40000 },
	{ BYTES("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n"), AF_INET, "255.255.255.255",
	  65535 },
	{ BYTES("PROXY TCP6 2001:db8::1 ::ffff:192.0.2.1 1 2\r\n"), AF_INET6, "2001:db8::1", 1 },
	{ BYTES("PROXY TCP6 2001:0DB8:0000:0000:0000:0000:0000:0001 "
		"2001:0db8:0000:0000:0000:0000:0000:0002 65535 65535\r\n"),
	  AF_INET6, "2001:db8::1", 65535 },
	{ BYTES("PROXY UNKNOWN\r\n"), AF_UNSPEC, "", 0 },
	{ BYTES("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), AF_UNSPEC, "", 0 },
	{ BYTES("PROXY UNKNOWN  any \xff thing\r\n"), AF_UNSPEC, "", 0 },
	{ BYTES(V2_TCP4("\0\x0c")), AF_INET, "192.0.2.1", 40000 },
	{ BYTES(V2_TCP6("\0\x24")), AF_INET6, "2001:db8::1", 40000 },
	{ BYTES(V2_TCP4("\0\x13") "\x04\0\x01\0\xee\0\0"), AF_INET, "192.0.2.1", 40000 },
	{ BYTES(SIGNATURE "\x21\x00\0\0"), AF_UNSPEC, "", 0 },
	{ BYTES(SIGNATURE "\x21\x00\0\x05\xff\xff\xff\xff\xff"), AF_UNSPEC, "", 0 },
	/* LOCAL: the family is ignored, and so is all that follows */
	{ BYTES(SIGNATURE "\x20\x00\0\0"), AF_UNSPEC, "", 0 },
	{ BYTES(SIGNATURE "\x20\x11\0\x0c" FROM4 TO4 PORTS), AF_UNSPEC, "", 0 },
	{ BYTES(SIGNATURE "\x20\xff\0\x03\x02\xff\xff"), AF_UNSPEC, "", 0 },
};

static void check_right(const struct right *r)
{
	uint8_t source[16] = { 0 };

	if (r->family != AF_UNSPEC)
		assert_int_equal(inet_pton(r->family, r->source, source), 1);
	assert_int_equal(header.local, r->family == AF_UNSPEC);
	assert_int_equal(header.family, r->family);
	assert_memory_equal(header.source, source, 16);
	assert_int_equal(header.source_port, r->source_port);
	assert_false(header.client_verified);
	assert_string_equal(header.client_name, "");
}

static void test_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rights) / sizeof(*rights); i++) {
		const struct right *r = &rights[i];
		char more[512];

		memset(&header, 0xee, sizeof(header));
		for (size_t n = 0; n < r->len; n++)
			if (parse(r->bytes, n) != PROXY_MORE)
				fail_msg("%zu: %zu of %zu bytes", i, n, r->len);
		assert_int_equal(header.family, 0xee); /* not touched before it is whole */
		assert_int_equal(parse(r->bytes, r->len), r->len);
		check_right(r);
		/* what follows is not looked at */
		memcpy(more, r->bytes, r->len);
		memcpy(more + r->len, "\r\nGET /", 7);
		assert_int_equal(parse(more, r->len + 7), r->len);
		check_right(r);
	}
}

/* The last byte is the one that makes it wrong. */
static const struct {
	const char *bytes;
	size_t len;
} wrongs[] = {
	{ BYTES("\x16") }, /* TLS */
	{ BYTES("G") },
	{ BYTES("\n") },
	{ BYTES("\0") },
	{ BYTES("p") },
	{ BYTES("PU") }, /* PUT, POST */
	{ BYTES("PO") },
	{ BYTES("PROXY\t") },
	{ BYTES("PROXY  ") },
	{ BYTES("PROXY TCP5") },
	{ BYTES("PROXY TCP4\r") },
	{ BYTES("PROXY UD") },
	{ BYTES("PROXY UNI") },
	{ BYTES("PROXY UNKNOWNX") },
	{ BYTES("PROXY UNKNOWN\n") },
	{ BYTES("PROXY UNKNOWN \n") },
	{ BYTES("PROXY UNKNOWN\rX") },
	{ BYTES("PROXY TCP4  ") },
	{ BYTES("PROXY TCP4 a") },
	{ BYTES("PROXY TCP4 192.0.2.1\r") },
	{ BYTES("PROXY TCP4 192.0.2 ") },
	{ BYTES("PROXY TCP4 192.0.2.256 ") },
	{ BYTES("PROXY TCP4 192.0.2.01 ") },
	{ BYTES("PROXY TCP4 192.0.2.1\0") },
	{ BYTES("PROXY TCP4 192.0.2.1  ") },
	{ BYTES("PROXY TCP4 192.0.2.1 2001:") },
	{ BYTES("PROXY TCP6 192.0.2.1 ") },
	{ BYTES("PROXY TCP6 2001:db8::1::2 ") },
	{ BYTES("PROXY TCP6 fe80::1%") },
	{ BYTES("PROXY TCP6 [") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7  ") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 -") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 00") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 08") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 65536") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1\t") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1\r") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 \r") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 ") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n") },
	{ BYTES("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r") },
	/* version 2 */
	{ BYTES("\r\r") },
	{ BYTES("\r\n\r\nG") },
	{ BYTES("\r\n\r\n\0\r\nQUIT\r") },
	{ BYTES(SIGNATURE "\x11") }, /* version 1 */
	{ BYTES(SIGNATURE "\x31") },
	{ BYTES(SIGNATURE "\x22") }, /* no such command */
	{ BYTES(SIGNATURE "\x21\x12") }, /* datagrams */
	{ BYTES(SIGNATURE "\x21\x22") },
	{ BYTES(SIGNATURE "\x21\x32") },
	{ BYTES(SIGNATURE "\x21\x10") },
	{ BYTES(SIGNATURE "\x21\x01") },
	{ BYTES(SIGNATURE "\x21\x41") },
	{ BYTES(SIGNATURE "\x21\x11\0\x0b") }, /* too short for its addresses */
	{ BYTES(SIGNATURE "\x21\x21\0\x23") },
	{ BYTES(SIGNATURE "\x21\x31\0\xd7") },
	/* TLVs: too long, and less than a head left */
	{ BYTES(V2_TCP4("\0\x0f") "\x04\0\x01") },
	{ BYTES(V2_TCP4("\0\x10") "\x04\xff\xff") },
	{ BYTES(V2_TCP4("\0\x0d")) },
	{ BYTES(V2_TCP4("\0\x0e")) },
	{ BYTES(V2_TCP4("\0\x11") "\x04\0\0") },
	/* a checksum of another length, and a wrong one */
	{ BYTES(V2_TCP4("\0\x12") "\x03\0\x03\0\0\0") },
	{ BYTES(V2_TCP4("\0\x13") "\x03\0\x04\0\0\0\0") },
	/* right but for its length */
	{ BYTES(V2_TCP4("\0\x14") "\x03\0\x05\x15\x1f\x6b\x20\0") },
	/* twice */
	{ BYTES(V2_TCP4("\0\x1c") "\x20\0\x05\x01\0\0\0\0\x20\0\x05") },
	{ BYTES(V2_TCP4("\0\x1a") "\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0") },
	/* SSL: too short, longer than what is left, what is in it overruns, two names */
	{ BYTES(V2_TCP4("\0\x13") "\x20\0\x04") },
	{ BYTES(V2_TCP4("\0\x13") "\x20\0\x05") },
	{ BYTES(V2_TCP4("\0\x17") "\x20\0\x08\x01\0\0\0\0\x22\0\x01") },
	{ BYTES(V2_TCP4("\0\x16") "\x20\0\x07\x01\0\0\0\0") },
	{ BYTES(V2_TCP4("\0\x1c") "\x20\0\x0d\x01\0\0\0\0\x22\0\x01"
				  "a\x22\0\x01"
				  "b") },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrongs) / sizeof(*wrongs); i++) {
		char more[512] = { 0 };
		size_t n = wrongs[i].len;

		if (parse(wrongs[i].bytes, n) != PROXY_BAD)
			fail_msg("%zu: all %zu bytes", i, n);
		for (size_t k = 0; k < n; k++)
			if (parse(wrongs[i].bytes, k) != PROXY_MORE)
				fail_msg("%zu: %zu of %zu bytes", i, k, n);
		memcpy(more, wrongs[i].bytes, n);
		if (parse(more, sizeof(more)) != PROXY_BAD)
			fail_msg("%zu: with more", i);
	}
}

static void test_longest_line(void **state)
{
	char text[PROXY_V1_MAX + 2];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "PROXY UNKNOWN ", 14);
	assert_int_equal(parse(text, PROXY_V1_MAX - 1), PROXY_MORE);
	assert_int_equal(parse(text, PROXY_V1_MAX), PROXY_BAD);
	memcpy(text + PROXY_V1_MAX - 2, "\r\n", 2);
	assert_int_equal(parse(text, PROXY_V1_MAX), PROXY_V1_MAX);
	memcpy(text + PROXY_V1_MAX - 2, "x\r\n", 3);
	assert_int_equal(parse(text, PROXY_V1_MAX + 1), PROXY_BAD);
}

/* The protocol's own limit, in one TLV and in many, whatever is in them. */
static void test_longest_v2(void **state)
{
	static const char start[] = V2_TCP4("\xff\xff") "\x28\xff\xf0";
	char *bytes = calloc(1, PROXY_V2_MAX + 1);

	(void)state;
	assert_non_null(bytes);
	memcpy(bytes, start, sizeof(start) - 1);
	assert_int_equal(parse_pieces(bytes, PROXY_V2_MAX - 1, 4096), PROXY_MORE);
	assert_int_equal(parse_pieces(bytes, PROXY_V2_MAX + 1, 4096), PROXY_V2_MAX);
	assert_int_equal(parse_pieces(bytes, PROXY_V2_MAX + 1, 1), PROXY_V2_MAX);
	assert_int_equal(header.source_port, 40000);
	/* empty ones, of kind 0, and at the end one that overruns */
	memset(bytes + 28, 0, PROXY_V2_MAX - 28);
	assert_int_equal(parse_pieces(bytes, PROXY_V2_MAX, 1000), PROXY_V2_MAX);
	bytes[PROXY_V2_MAX - 1] = 1;
	assert_int_equal(parse_pieces(bytes, PROXY_V2_MAX, 1000), PROXY_BAD);
	free(bytes);
}

/* The name is found on either side of a certificate that is longer than what is kept. */
static void test_name_beside_a_certificate(void **state)
{
	static const char name[] = "\x22\0\x05"
				   "alice",
			  cert[] = "\x28\x08\x00";
	char bytes[28 + 3 + 5 + 8 + 3 + 2048] = V2_TCP4("\x08\x1f") "\x20\x08\x10\x07\0\0\0\0";

	(void)state;
	for (int first = 0; first < 2; first++) {
		char *p = bytes + 28 + 8;

		memset(p, 'c', 8 + 3 + 2048);
		memcpy(p + (first ? 0 : 3 + 2048), name, 8);
		memcpy(p + (first ? 8 : 0), cert, 3);
		header = (struct proxy_header){ 0 };
		assert_int_equal(parse(bytes, sizeof(bytes)), sizeof(bytes));
		assert_true(header.client_verified);
		assert_string_equal(header.client_name, "alice");
	}
}

static void test_unix(void **state)
{
	char bytes[16 + 216 + 7] = SIGNATURE "\x21\x31\0\xdf";

	(void)state;
	strcpy(bytes + 16, "/run/from");
	strcpy(bytes + 16 + 108, "/run/to");
	memcpy(bytes + 16 + 216, "\x02\0\x04name", 7);
	for (size_t n = 0; n < sizeof(bytes); n++)
		assert_int_equal(parse(bytes, n), PROXY_MORE);
	assert_int_equal(parse(bytes, sizeof(bytes)), sizeof(bytes));
	assert_false(header.local);
	assert_int_equal(header.family, AF_UNIX);
	assert_int_equal(header.source_port, 0);
}

/* The checksum was computed by long division, outside of this program. */
static void test_checksum(void **state)
{
	static const char bytes[] = V2_TCP4("\0\x24") "\x02\0\x09"
						      "a.example\x03\0\x04\xce\x40\x5b\x23"
						      "\x04\0\x02\0\0";
	const size_t n = sizeof(bytes) - 1;
	char copy[sizeof(bytes)];

	(void)state;
	assert_int_equal(parse(bytes, n - 1), PROXY_MORE);
	assert_int_equal(parse(bytes, n), n);
	for (size_t i = 16; i < n; i++) {
		memcpy(copy, bytes, n);
		copy[i] ^= 0x10;
		/* what is no checksum any more is not checked */
		assert_int_equal(parse(copy, n), i == 16 + 12 + 12 ? (ssize_t)n : PROXY_BAD);
	}
}

static void test_tls(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		bool verified;
		const char *name;
	} rows[] = {
		{ BYTES("\x20\0\x05\x01\0\0\0\0"), false, "" },
		{ BYTES("\x20\0\x05\x03\0\0\0\0"), true, "" },
		{ BYTES("\x20\0\x05\x05\0\0\0\0"), true, "" },
		{ BYTES("\x20\0\x05\x03\0\0\0\x13"), false, "" },
		{ BYTES("\x20\0\x05\x03\x01\0\0\0"), false, "" },
		{ BYTES("\x20\0\x05\x02\0\0\0\0"), false, "" }, /* no TLS */
		{ BYTES("\x20\0\x17\x07\0\0\0\0\x21\0\x07TLSv1.3\x22\0\x05"
			"alice"),
		  true, "alice" },
		{ BYTES("\x20\0\x0a\x07\0\0\0\0\x22\0\x02\xc3\xa9"), true, "\xc3\xa9" },
		/* what cannot be shown is left out */
		{ BYTES("\x20\0\x0a\x07\0\0\0\0\x22\0\x02\xc3\n"), true, "" },
		{ BYTES("\x20\0\x0a\x07\0\0\0\0\x22\0\x02\n\n"), true, "" },
		{ BYTES("\x20\0\x0a\x07\0\0\0\0\x22\0\x02\0\0"), true, "" },
		{ BYTES("\x20\0\x0a\x07\0\0\0\0\x22\0\x02\x7f\x7f"), true, "" },
		{ BYTES("\x20\0\x08\x07\0\0\0\0\x22\0\0"), true, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char bytes[256] = V2_TCP4("\0\0");
		size_t n = 28 + rows[i].len;

		bytes[15] = (char)(12 + rows[i].len);
		memcpy(bytes + 28, rows[i].bytes, rows[i].len);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(parse(bytes, k), PROXY_MORE);
		assert_int_equal(parse(bytes, n), n);
		if (header.client_verified != rows[i].verified ||
		    strcmp(header.client_name, rows[i].name) != 0)
			fail_msg("%zu: %d %s", i, header.client_verified, header.client_name);
	}
}

static void test_longest_name(void **state)
{
	static const char start[] = V2_TCP4("\x01\x16") "\x20\x01\x07\x01\0\0\0\0\x22\0\xff";
	char bytes[28 + 3 + 5 + 3 + PROXY_NAME_MAX + 1];

	(void)state;
	memset(bytes, 'n', sizeof(bytes));
	memcpy(bytes, start, sizeof(start) - 1);
	assert_int_equal(parse(bytes, sizeof(bytes) - 1), sizeof(bytes) - 1);
	assert_int_equal(strlen(header.client_name), PROXY_NAME_MAX);
	memcpy(bytes + 14, "\x01\x17", 2);
	memcpy(bytes + 28, "\x20\x01\x08", 3);
	memcpy(bytes + 36, "\x22\x01\0", 3);
	assert_int_equal(parse(bytes, sizeof(bytes)), sizeof(bytes));
	assert_string_equal(header.client_name, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_longest_line),
		cmocka_unit_test(test_longest_v2),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_longest_name),
		cmocka_unit_test(test_name_beside_a_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
