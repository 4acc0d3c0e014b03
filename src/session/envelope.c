/*
 * envelope.c - see envelope.h.
 *
 * A message is gone through twice: for its length, which stands ahead of it, and to be written.
 * Most of it needs no escape, and is copied in one piece up to the next character that does.
 */
#include "session/envelope.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "bus/bus.h"
#include "bus/position.h"
#include "proto/frame.h"

#define BEGIN "{\"type\":\"message\",\"room\":\""
#define POSITION "\",\"position\":\""
#define TIME "\",\"time\":"
#define SENDER ",\"sender\":"
#define DATA ",\"data\":"
#define BASE64 ",\"base64\":\""

enum { ESCAPE_MAX = 6, MIDDLE_MAX = 160, TIME_PART = 1000 };

/* Of a character that cannot stand for itself: what it is written as. 0: it can. */
static inline uint8_t escape_of(uint8_t c)
{
	static const uint8_t short_forms[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};

	if (c < 0x20)
		return short_forms[c] ? short_forms[c] : 'u';
	return c == '"' || c == '\\' ? c : 0;
}

size_t envelope_escaped_size(const void *text, size_t len)
{
	const uint8_t *p = text;
	size_t size = len;

	for (size_t i = 0; i < len; i++) {
		uint8_t e = escape_of(p[i]);

		size += e == 0 ? 0 : e == 'u' ? ESCAPE_MAX - 1 : 1;
	}
	return size;
}

uint8_t *envelope_escape(uint8_t *out, const void *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = text, *end = p + len, *plain = p;

	for (; p < end; p++) {
		uint8_t e = escape_of(*p);

		if (e == 0)
			continue;
		out = bytes_copy(out, plain, (size_t)(p - plain));
		plain = p + 1;
		*out++ = '\\';
		*out++ = e;
		if (e != 'u')
			continue;
		*out++ = '0';
		*out++ = '0';
		*out++ = (uint8_t)digits[*p >> 4];
		*out++ = (uint8_t)digits[*p & 0x0f];
	}
	return bytes_copy(out, plain, (size_t)(end - plain));
}

bool envelope_put_string(struct buffer *b, const void *text, size_t len)
{
	size_t size = envelope_escaped_size(text, len) + 2;
	uint8_t *out;

	if (!buffer_reserve(b, size))
		return false;
	out = b->p + b->len;
	*out++ = '"';
	out = envelope_escape(out, text, len);
	*out = '"';
	b->len += size;
	return true;
}

/* Behind the room's name, up to the data. */
static size_t write_middle(char out[MIDDLE_MAX], const struct envelope *v,
			   const struct bus_entry *e)
{
	char position[BUS_POSITION_SIZE], sender[24] = "null";
	int64_t time = e->meta.time;

	bus_position_format((struct bus_position){ v->epoch, e->sequence }, position);
	if (e->meta.sender)
		snprintf(sender, sizeof(sender), "\"%" PRIx64 "\"", e->meta.sender);
	return (size_t)snprintf(out, MIDDLE_MAX, POSITION "%s" TIME "%lld.%03d" SENDER "%s",
				position, (long long)(time / TIME_PART), (int)(time % TIME_PART),
				sender);
}

/* How a frame's payload is written. */
struct data {
	const uint8_t *p;
	size_t len,
		size; /* as it is; as it is written, with its key and quotes, and the last brace */
	bool binary, as_it_is;
};

static struct data data_of(const struct envelope *v, const struct bus_entry *e)
{
	uint64_t len;
	size_t header = ws_own_header(e->frame, &len);
	struct data d = { .p = e->frame + header,
			  .len = (size_t)len,
			  .binary = (e->frame[0] & 0x0f) == WS_BINARY,
			  .as_it_is = v->data_is_json };

	if (d.binary)
		d.size = sizeof(BASE64) - 1 + base64_size(d.len) + 2;
	else if (d.as_it_is)
		d.size = sizeof(DATA) - 1 + d.len + 1;
	else
		d.size = sizeof(DATA) - 1 + envelope_escaped_size(d.p, d.len) + 3;
	return d;
}

static uint8_t *put(uint8_t *out, const char *text)
{
	return bytes_copy(out, text, strlen(text));
}

static uint8_t *write_data(uint8_t *out, const struct data *d)
{
	if (d->binary) {
		out = put(out, BASE64);
		base64_write((char *)out, d->p, d->len);
		return put(out + base64_size(d->len), "\"}");
	}
	out = put(out, DATA);
	if (d->as_it_is)
		return put(bytes_copy(out, d->p, d->len), "}");
	*out++ = '"';
	return put(envelope_escape(out, d->p, d->len), "\"}");
}

static size_t payload_size(const struct envelope *v, const struct data *d, size_t middle)
{
	return sizeof(BEGIN) - 1 + v->room_len + middle + d->size;
}

size_t envelope_size(const struct envelope *v, const struct bus_entry *e)
{
	char middle[MIDDLE_MAX];
	struct data d = data_of(v, e);
	size_t n = payload_size(v, &d, write_middle(middle, v, e));
	uint8_t header[WS_HEADER_MAX];

	return ws_encode_header(header, WS_TEXT, n) + n;
}

uint8_t *envelope_write(uint8_t *out, const struct envelope *v, const struct bus_entry *e)
{
	char middle[MIDDLE_MAX];
	size_t n = write_middle(middle, v, e);
	struct data d = data_of(v, e);

	out += ws_encode_header(out, WS_TEXT, payload_size(v, &d, n));
	out = put(out, BEGIN);
	out = bytes_copy(out, v->room, v->room_len);
	return write_data(bytes_copy(out, middle, n), &d);
}
