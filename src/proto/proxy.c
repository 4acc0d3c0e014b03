/*
 * proxy.c - the PROXY protocol, see proxy.h.
 *
 * Version 1 is a line that is taken piece by piece, version 2 a fixed part, the
 * addresses and a list of TLVs. Each step returns 1 when it is done, PROXY_MORE or
 * PROXY_BAD, so that what is wrong is found before the rest has come.
 */
#include "proto/proxy.h"

#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "proto/utf8.h"

enum {
	SIGNATURE_LEN = 12,
	FIXED_LEN = 16, /* signature, version and command, family, length */
	LOCAL = 0x20, /* version 2 in the high bits */
	TLV_HEAD = 3,
	SSL_HEAD = 5,
	CRC_LEN = 4,
};

enum {
	TLV_AUTHORITY = 0x02,
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
		return PROXY_MORE;
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
		return PROXY_MORE;
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
		return PROXY_MORE;
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
	int r;

	if ((r = take(v, "PROXY ")) <= 0 || (r = take_protocol(v, h)) <= 0)
		return r;
	h->local = h->family == AF_UNSPEC;
	if (h->local)
		return skip_line(v);
	if ((r = take_address(v, h->family, h->source)) <= 0 ||
	    (r = take_address(v, h->family, h->destination)) <= 0 ||
	    (r = take_port(v, " ", &h->source_port)) <= 0)
		return r;
	return take_port(v, "\r\n", &h->destination_port);
}

static ssize_t parse_v1(const uint8_t *bytes, size_t len, struct proxy_header *h)
{
	const char *start = (const char *)bytes;
	struct http_text v = { start, len < PROXY_V1_MAX ? len : PROXY_V1_MAX };
	int r = take_line(&v, h);

	if (r > 0)
		return v.p - start;
	return len >= PROXY_V1_MAX ? PROXY_BAD : r;
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

static void read_addresses(const uint8_t *p, const struct family *f, struct proxy_header *h)
{
	h->family = f->family;
	if (!f->ports)
		return;
	memcpy(h->source, p, f->size);
	memcpy(h->destination, p + f->size, f->size);
	p += 2 * f->size;
	h->source_port = (uint16_t)read16(p);
	h->destination_port = (uint16_t)read16(p + 2);
}

struct tlv {
	uint8_t type;
	const uint8_t *value;
	size_t len;
};

/* The TLV at *at in a list that ends at `end`, of which the bytes up to `have` are there. */
static int next_tlv(const uint8_t *p, size_t *at, size_t have, size_t end, struct tlv *t)
{
	if (end - *at < TLV_HEAD)
		return PROXY_BAD;
	if (have < *at + TLV_HEAD)
		return PROXY_MORE;
	*t = (struct tlv){ p[*at], p + *at + TLV_HEAD, read16(p + *at + 1) };
	*at += TLV_HEAD;
	if (t->len > end - *at)
		return PROXY_BAD;
	if (have < *at + t->len)
		return PROXY_MORE;
	*at += t->len;
	return 1;
}

/* A name, if it can be shown; the client chose it, and the proxy need not have looked at it. */
static struct http_text read_name(const struct tlv *t)
{
	if (t->len == 0 || t->len > PROXY_NAME_MAX || !utf8_valid(t->value, t->len))
		return (struct http_text){ NULL, 0 };
	for (size_t i = 0; i < t->len; i++)
		if (t->value[i] < ' ' || t->value[i] == 0x7f)
			return (struct http_text){ NULL, 0 };
	return (struct http_text){ (const char *)t->value, t->len };
}

static int read_ssl(const struct tlv *t, struct proxy_header *h)
{
	size_t at = SSL_HEAD;
	struct tlv sub;

	if (t->len < SSL_HEAD)
		return PROXY_BAD;
	h->tls = t->value[0] & CLIENT_SSL;
	/* zero is also what a proxy writes that saw no certificate */
	h->client_verified = h->tls && (t->value[0] & (CLIENT_CERT_CONN | CLIENT_CERT_SESS)) &&
			     read32(t->value + 1) == 0;
	while (at < t->len) {
		if (next_tlv(t->value, &at, t->len, t->len, &sub) <= 0)
			return PROXY_BAD;
		if (sub.type != TLV_SSL_CN)
			continue;
		if (h->client_name.p)
			return PROXY_BAD;
		h->client_name = read_name(&sub);
	}
	return 1;
}

/* The CRC32c (RFC 3720 12.1) of n bytes, those from `hole` on being taken for zeros. */
static uint32_t crc32c(const uint8_t *p, size_t n, const uint8_t *hole)
{
	uint32_t crc = UINT32_MAX;

	for (const uint8_t *end = p + n; p < end; p++) {
		crc ^= p >= hole && p < hole + CRC_LEN ? 0 : *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

/* What was found in the list of TLVs; NULL: not there. */
struct found {
	const uint8_t *authority, *ssl, *crc;
};

static int read_tlv(const struct tlv *t, struct found *f, struct proxy_header *h)
{
	const uint8_t **which;

	switch (t->type) {
	case TLV_AUTHORITY:
		which = &f->authority;
		h->server_name = read_name(t);
		break;
	case TLV_SSL:
		which = &f->ssl;
		break;
	case TLV_CRC32C:
		which = &f->crc;
		break;
	default:
		return 1;
	}
	if (*which || (t->type == TLV_CRC32C && t->len != CRC_LEN))
		return PROXY_BAD;
	*which = t->value;
	return t->type == TLV_SSL ? read_ssl(t, h) : 1;
}

static ssize_t parse_tlvs(const uint8_t *p, size_t at, size_t have, size_t end,
			  struct proxy_header *h)
{
	struct found found = { NULL, NULL, NULL };
	struct tlv t;
	int r;

	while (at < end)
		if ((r = next_tlv(p, &at, have, end, &t)) <= 0 ||
		    (r = read_tlv(&t, &found, h)) <= 0)
			return r;
	if (found.crc && crc32c(p, end, found.crc) != read32(found.crc))
		return PROXY_BAD;
	return (ssize_t)end;
}

/* Checks of the fixed part what is there. */
static int check_fixed(const uint8_t *p, size_t len)
{
	const size_t max = PROXY_V2_MAX - FIXED_LEN;
	const struct family *f;

	if (memcmp(p, SIGNATURE, len < SIGNATURE_LEN ? len : SIGNATURE_LEN) != 0)
		return PROXY_BAD;
	if (len > 12 && (p[12] & ~1) != LOCAL)
		return PROXY_BAD;
	if (len > 14 && p[14] > max >> 8)
		return PROXY_BAD;
	if (len > 13 && p[12] != LOCAL) {
		f = find_family(p[13]);
		if (!f || (len >= FIXED_LEN && read16(p + 14) < addresses_size(f)))
			return PROXY_BAD;
	}
	if (len < FIXED_LEN)
		return PROXY_MORE;
	return read16(p + 14) <= max ? 1 : PROXY_BAD;
}

static ssize_t parse_v2(const uint8_t *p, size_t len, struct proxy_header *h)
{
	const struct family *f;
	size_t end;
	int r = check_fixed(p, len);

	if (r <= 0)
		return r;
	end = FIXED_LEN + read16(p + 14);
	f = p[12] == LOCAL ? &families[0] : find_family(p[13]);
	h->local = f->family == AF_UNSPEC;
	if (h->local) /* whatever is there has no known form */
		return len < end ? PROXY_MORE : (ssize_t)end;
	if (len < FIXED_LEN + addresses_size(f))
		return PROXY_MORE;
	read_addresses(p + FIXED_LEN, f, h);
	return parse_tlvs(p, FIXED_LEN + addresses_size(f), len, end, h);
}

ssize_t proxy_parse(const uint8_t *bytes, size_t len, struct proxy_header *h)
{
	struct proxy_header found = { .local = false };
	ssize_t n;

	if (len == 0)
		return PROXY_MORE;
	n = (bytes[0] == 'P' ? parse_v1 : parse_v2)(bytes, len, &found);
	if (n > 0)
		*h = found;
	return n;
}
