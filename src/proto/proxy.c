/*
 * proxy.c - the PROXY protocol, see proxy.h.
 *
 * Version 1 is a line that is taken piece by piece, version 2 a fixed part, the
 * addresses and a list of TLVs, which may have the client's certificates and be long.
 * So the line and the fixed part are looked at with each byte of them, the rest
 * one field at a time, of which no more is kept than a name has. What takes a piece
 * returns 1 when it is whole, MORE or PROXY_BAD.
 */
#include "proto/proxy.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "proto/http.h"
#include "proto/utf8.h"

enum { MORE = 0 };

enum step { START, ADDRESSES, REST, TLV, VALUE, SSL };

enum {
	SIGNATURE_LEN = 12,
	FIXED_LEN = 16, /* signature, version and command, family, length */
	LOCAL = 0x20, /* version 2 in the high bits */
	TLV_HEAD = 3,
	SSL_HEAD = 5,
	CRC_LEN = 4,
};

enum {
	TLV_CRC32C = 0x03,
	TLV_SSL = 0x20,
	TLV_SSL_CN = 0x22, /* inside of TLV_SSL */
};

enum { CLIENT_SSL = 1, CLIENT_CERT_CONN = 2, CLIENT_CERT_SESS = 4 };

static const char SIGNATURE[SIGNATURE_LEN + 1] = "\r\n\r\n\0\r\nQUIT\n";

/* Takes a fixed text off *v. */
static int take(struct http_text *v, const char *text)
{
	size_t n = strlen(text), have = v->len < n ? v->len : n;

	if (memcmp(v->p, text, have) != 0)
		return PROXY_BAD;
	if (have < n)
		return MORE;
	v->p += n;
	v->len -= n;
	return 1;
}

static int take_protocol(struct http_text *v, struct proxy_header *h)
{
	static const struct {
		const char *word;
		uint8_t family;
	} protocols[] = { { "TCP4 ", AF_INET }, { "TCP6 ", AF_INET6 }, { "UNKNOWN", AF_UNSPEC } };
	int result = PROXY_BAD;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++) {
		int r = take(v, protocols[i].word);

		if (r == PROXY_BAD)
			continue;
		h->family = protocols[i].family;
		result = r;
		if (r > 0)
			break;
	}
	return result;
}

/* An address and the space behind it. */
static int take_address(struct http_text *v, uint8_t family, uint8_t out[16])
{
	const char *digits = family == AF_INET ? "0123456789." : "0123456789abcdefABCDEF:.";
	size_t n = 0;

	while (n < v->len && v->p[n] != '\0' && strchr(digits, v->p[n]))
		n++;
	if (n == v->len)
		return MORE;
	if (v->p[n] != ' ' || cidr_parse_address(v->p, n, out) != family)
		return PROXY_BAD;
	v->p += n + 1;
	v->len -= n + 1;
	return 1;
}

/* A port and what ends it. */
static int take_port(struct http_text *v, const char *end, uint16_t *out)
{
	unsigned port = 0;
	size_t n = 0;

	for (; n < v->len && v->p[n] >= '0' && v->p[n] <= '9'; n++) {
		port = port * 10 + (unsigned)(v->p[n] - '0');
		if (port > UINT16_MAX || (n > 0 && v->p[0] == '0'))
			return PROXY_BAD;
	}
	if (n == v->len)
		return MORE;
	if (n == 0)
		return PROXY_BAD;
	v->p += n;
	v->len -= n;
	*out = (uint16_t)port;
	return take(v, end);
}

/* What follows UNKNOWN says nothing to us, up to the end of the line. */
static int skip_line(struct http_text *v)
{
	const char *cr = memchr(v->p, '\r', v->len);
	size_t n = cr ? (size_t)(cr - v->p) : v->len;

	if ((n > 0 && *v->p != ' ') || memchr(v->p, '\n', n))
		return PROXY_BAD;
	v->p += n;
	v->len -= n;
	return take(v, "\r\n");
}

static int take_line(struct http_text *v, struct proxy_header *h)
{
	uint8_t destination[16];
	uint16_t port;
	int r;

	if ((r = take(v, "PROXY ")) <= 0 || (r = take_protocol(v, h)) <= 0)
		return r;
	h->local = h->family == AF_UNSPEC;
	if (h->local)
		return skip_line(v);
	if ((r = take_address(v, h->family, h->source)) <= 0 ||
	    (r = take_address(v, h->family, destination)) <= 0 ||
	    (r = take_port(v, " ", &h->source_port)) <= 0)
		return r;
	return take_port(v, "\r\n", &port);
}

static ssize_t parse_v1(const uint8_t *bytes, size_t len, struct proxy_header *h)
{
	const char *start = (const char *)bytes;
	struct http_text v = { start, len };
	int r = take_line(&v, h);

	if (r > 0)
		return v.p - start;
	return len == PROXY_V1_MAX ? PROXY_BAD : r;
}

/* The families over streams; all else is not for us. */
static const struct family {
	uint8_t byte;
	uint8_t family;
	uint8_t size; /* of one address */
	bool ports;
} families[] = {
	{ 0x00, AF_UNSPEC, 0, false },
	{ 0x11, AF_INET, 4, true },
	{ 0x21, AF_INET6, 16, true },
	{ 0x31, AF_UNIX, 108, false },
};

static const struct family *find_family(uint8_t byte)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		if (families[i].byte == byte)
			return &families[i];
	return NULL;
}

static size_t addresses_size(const struct family *f)
{
	return 2u * f->size + (f->ports ? 4 : 0);
}

static unsigned read16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)read16(p) << 16 | read16(p + 2);
}

/* --- what is kept --- */

static void read_addresses(const uint8_t *p, const struct family *f, struct proxy_header *h)
{
	h->family = f->family;
	if (!f->ports)
		return;
	memcpy(h->source, p, f->size);
	h->source_port = (uint16_t)read16(p + 2 * f->size);
}

/* A name, if it can be shown; the client chose it, and the proxy need not have looked at it. */
static void read_name(const uint8_t *p, size_t len, char out[PROXY_NAME_MAX + 1])
{
	if (len > PROXY_NAME_MAX || !utf8_valid(p, len))
		return;
	for (size_t i = 0; i < len; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return;
	memcpy(out, p, len);
	out[len] = '\0';
}

static void read_ssl(const uint8_t *p, struct proxy_header *h)
{
	/* zero is also what a proxy writes that saw no certificate */
	h->client_verified = p[0] & CLIENT_SSL && p[0] & (CLIENT_CERT_CONN | CLIENT_CERT_SESS) &&
			     read32(p + 1) == 0;
}

/* --- one field after the other --- */

/* Goes on with a CRC32c (RFC 3720 12.1), four bits at a time. p NULL: n zeros. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
	static const uint32_t table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};

	for (size_t i = 0; i < n; i++) {
		crc ^= p ? p[i] : 0;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* What comes next, if the list that it is in has room for it. */
static int await(struct proxy_reader *r, enum step step, size_t n)
{
	size_t *left = r->in_ssl ? &r->ssl_left : &r->left;

	if (n > *left)
		return PROXY_BAD;
	*left -= n;
	r->step = (uint8_t)step;
	r->want = n;
	r->have = 0;
	return 1;
}

static int await_tlv(struct proxy_reader *r)
{
	if (r->in_ssl && r->ssl_left == 0)
		r->in_ssl = false;
	if (r->in_ssl || r->left > 0)
		return await(r, TLV, TLV_HEAD);
	if (r->has_crc && ~r->crc != r->told_crc)
		return PROXY_BAD;
	r->done = true;
	return 1;
}

static int enter_ssl(struct proxy_reader *r, size_t len)
{
	if (r->has_ssl || len > r->left)
		return PROXY_BAD;
	r->has_ssl = r->in_ssl = true;
	r->left -= len;
	r->ssl_left = len;
	return await(r, SSL, SSL_HEAD);
}

static int take_tlv(struct proxy_reader *r)
{
	size_t len = read16(r->field + 1);

	r->type = r->field[0];
	if (!r->in_ssl && r->type == TLV_SSL)
		return enter_ssl(r, len);
	return await(r, VALUE, len);
}

static bool is_crc(const struct proxy_reader *r)
{
	return r->step == VALUE && !r->in_ssl && r->type == TLV_CRC32C;
}

static int take_value(struct proxy_reader *r)
{
	if (is_crc(r)) {
		if (r->has_crc || r->want != CRC_LEN)
			return PROXY_BAD;
		r->has_crc = true;
		r->told_crc = read32(r->field);
	} else if (r->in_ssl && r->type == TLV_SSL_CN) {
		if (r->has_name)
			return PROXY_BAD;
		r->has_name = true;
		read_name(r->field, r->want, r->header.client_name);
	}
	return await_tlv(r);
}

/* The field that is whole. */
static int take_field(struct proxy_reader *r)
{
	switch ((enum step)r->step) {
	case ADDRESSES:
		read_addresses(r->field, find_family(r->type), &r->header);
		return await_tlv(r);
	case TLV:
		return take_tlv(r);
	case VALUE:
		return take_value(r);
	case SSL:
		read_ssl(r->field, &r->header);
		return await_tlv(r);
	case START:
	case REST:
		break;
	}
	r->done = true;
	return 1;
}

/* Takes bytes to the field that is awaited, and returns how many. */
static size_t gather(struct proxy_reader *r, const uint8_t *p, size_t n)
{
	size_t more = n < r->want - r->have ? n : r->want - r->have;

	for (size_t i = 0; i < more && r->have + i < sizeof(r->field); i++)
		r->field[r->have + i] = p[i];
	r->have += more;
	/* the checksum is made as if it were zero itself */
	r->crc = crc32c(r->crc, is_crc(r) ? NULL : p, more);
	return more;
}

/* --- how it begins --- */

/* Checks of the fixed part what is there. */
static int check_fixed(const uint8_t *p, size_t len)
{
	const struct family *f;

	if (memcmp(p, SIGNATURE, len < SIGNATURE_LEN ? len : SIGNATURE_LEN) != 0)
		return PROXY_BAD;
	if (len > 12 && (p[12] & ~1) != LOCAL)
		return PROXY_BAD;
	if (len > 13 && p[12] != LOCAL) {
		f = find_family(p[13]);
		if (!f || (len >= FIXED_LEN && read16(p + 14) < addresses_size(f)))
			return PROXY_BAD;
	}
	return len >= FIXED_LEN ? 1 : MORE;
}

static int take_fixed(struct proxy_reader *r)
{
	const struct family *f = &families[0];

	if (r->field[12] != LOCAL)
		f = find_family(r->field[13]);
	r->left = read16(r->field + 14);
	r->crc = crc32c(UINT32_MAX, r->field, FIXED_LEN);
	r->type = f->byte;
	r->header.local = f->family == AF_UNSPEC;
	if (r->header.local) /* whatever is there has no known form */
		return await(r, REST, r->left);
	return await(r, ADDRESSES, addresses_size(f));
}

/* Of the line, or the fixed part. Returns as proxy_read does. */
static ssize_t read_start(struct proxy_reader *r, const uint8_t *p, size_t n)
{
	bool line = (r->have > 0 ? r->field[0] : p[0]) == 'P';
	size_t room = (line ? PROXY_V1_MAX : FIXED_LEN) - r->have, had = r->have;
	ssize_t whole;

	n = n < room ? n : room;
	memcpy(r->field + had, p, n);
	r->have += n;
	if (line) {
		whole = parse_v1(r->field, r->have, &r->header);
		r->done = whole > 0;
		return whole > 0 ? whole - (ssize_t)had : whole < 0 ? PROXY_BAD : (ssize_t)n;
	}
	whole = check_fixed(r->field, r->have);
	if (whole > 0)
		whole = take_fixed(r);
	return whole < 0 ? PROXY_BAD : (ssize_t)n;
}

ssize_t proxy_read(struct proxy_reader *r, const uint8_t *bytes, size_t n)
{
	size_t at = 0;

	if (r->step == START && n > 0) {
		ssize_t used = read_start(r, bytes, n);

		if (used < 0)
			return PROXY_BAD;
		at = (size_t)used;
	}
	while (!r->done && r->step != START) {
		at += gather(r, bytes + at, n - at);
		if (r->have < r->want)
			break;
		if (take_field(r) < 0)
			return PROXY_BAD;
	}
	return (ssize_t)at;
}
