/*
 * envelope.c - see envelope.h.
 *
 * Each message of a room comes by here, once in each worker. So its numbers are written by hand: printf
 * takes longer for them than all the rest does for a short text.
 */
#include "session/envelope.h"

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/digits.h"
#include "bus/bus.h"
#include "bus/position.h"
#include "proto/frame.h"
#include "proto/json_string.h"

#define TYPE "{\"type\":\""
#define ROOM "\",\"room\":\""
#define BEGIN TYPE "message" ROOM
#define POSITION "\",\"position\":\""
#define GAP_BEGIN TYPE "gap" ROOM
#define GAP_FROM "\",\"from\":\""
#define GAP_TO "\",\"to\":\""
#define TIME "\",\"time\":"
#define SENDER ",\"sender\":"
#define DATA ",\"data\":\""
#define VALUE ",\"data\":"
#define BASE64 ",\"base64\":\""
#define END "\"}"
#define VALUE_END "}"

/* A text, a name as it is within quotes, a key, and the beginning of a position. */
static uint8_t *put_head(uint8_t *out, const char *begin, const struct envelope *v, const char *key,
			 const char *epoch)
{
	out = bytes_copy(out, begin, strlen(begin));
	out = bytes_copy(out, v->room, v->room_len);
	out = bytes_copy(out, key, strlen(key));
	return bytes_copy(out, epoch, strlen(epoch));
}

bool envelope_make(struct envelope *v, const char *room, uint64_t epoch)
{
	const size_t len = strlen(room), size = json_escaped_size(room, len);
	char position[BUS_POSITION_SIZE];
	uint8_t *out;

	/* all of it but the number, which is the last digit */
	const size_t n = bus_position_format((struct bus_position){ .epoch = epoch }, position) - 1;

	position[n] = '\0';
	v->head_len = sizeof(BEGIN) - 1 + size + sizeof(POSITION) - 1 + n;
	v->gap.head_len = sizeof(GAP_BEGIN) - 1 + size + sizeof(GAP_FROM) - 1 + n;
	v->gap.middle_len = sizeof(GAP_TO) - 1 + n;
	v->head = malloc(v->head_len + v->gap.head_len + v->gap.middle_len);
	if (!v->head)
		return false;
	out = v->head + sizeof(BEGIN) - 1;
	v->room = out;
	v->room_len = size;
	json_escape(out, room, len);
	out = put_head(v->head, BEGIN, v, POSITION, position);
	v->gap.head = out;
	out = put_head(out, GAP_BEGIN, v, GAP_FROM, position);
	v->gap.middle = out;
	bytes_copy(BYTES_PUT(out, GAP_TO), position, n);
	return true;
}

bool envelope_begin(const struct envelope *v, const char *type, struct buffer *out)
{
	const size_t len = strlen(type);
	uint8_t *end;

	if (!buffer_reserve(out, sizeof(TYPE) + len + sizeof(ROOM) + v->room_len + 1))
		return false;
	end = bytes_copy(BYTES_PUT(out->p + out->len, TYPE), type, len);
	end = bytes_copy(BYTES_PUT(end, ROOM), v->room, v->room_len);
	*end++ = '"';
	out->len = (size_t)(end - out->p);
	return true;
}

void envelope_free(struct envelope *v)
{
	free(v->head);
	*v = (struct envelope){ 0 };
}

/* Milliseconds as seconds with three digits; nobody published before 1970. */
static uint8_t *put_time(uint8_t *out, int64_t ms)
{
	const uint64_t t = ms > 0 ? (uint64_t)ms : 0;

	out = digits_put(out, t / 1000, 10);
	*out++ = '.';
	*out++ = (uint8_t)('0' + t / 100 % 10);
	*out++ = (uint8_t)('0' + t / 10 % 10);
	*out++ = (uint8_t)('0' + t % 10);
	return out;
}

static uint8_t *put_sender(uint8_t *out, uint64_t id)
{
	if (id == 0)
		return BYTES_PUT(out, "null");
	*out++ = '"';
	out = digits_put(out, id, 16);
	*out++ = '"';
	return out;
}

static size_t write_numbers(char *text, const struct bus_entry *e)
{
	uint8_t *begin = (uint8_t *)text, *out = begin;

	out = BYTES_PUT(digits_put(out, e->sequence, 10), TIME);
	out = BYTES_PUT(put_time(out, e->meta.time), SENDER);
	return (size_t)(put_sender(out, e->meta.sender) - begin);
}

/* The data with its key, and the end. */
static size_t written(const struct enveloped *x)
{
	if (x->json)
		return sizeof(VALUE) - 1 + x->len + sizeof(VALUE_END) - 1;
	if (x->binary)
		return sizeof(BASE64) - 1 + base64_size(x->len) + sizeof(END) - 1;
	return sizeof(DATA) - 1 + json_escaped_size(x->data, x->len) + sizeof(END) - 1;
}

void envelope_measure(struct enveloped *x, const struct envelope *v, const struct bus_entry *e)
{
	uint64_t len;

	x->data = e->frame + ws_own_header(e->frame, &len);
	x->len = (size_t)len;
	x->binary = (e->frame[0] & 0x0f) == WS_BINARY;
	x->json = e->meta.json && !x->binary;
	x->numbers_len = write_numbers(x->numbers, e);
	x->size = v->head_len + x->numbers_len + written(x);
}

uint8_t *envelope_write(uint8_t *out, const struct envelope *v, const struct enveloped *x)
{
	out = bytes_copy(out, v->head, v->head_len);
	out = bytes_copy(out, x->numbers, x->numbers_len);
	if (x->json)
		return BYTES_PUT(bytes_copy(BYTES_PUT(out, VALUE), x->data, x->len), VALUE_END);
	if (x->binary) {
		out = BYTES_PUT(out, BASE64);
		base64_write((char *)out, x->data, x->len);
		out += base64_size(x->len);
	} else {
		out = json_escape(BYTES_PUT(out, DATA), x->data, x->len);
	}
	return BYTES_PUT(out, END);
}
