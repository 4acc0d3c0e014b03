/*
 * extension.c - the negotiation of permessage-deflate (RFC 7692 7.1), see deflate.h.
 *
 * The header is a list of offers in order of preference, and each offer a name
 * with parameters (RFC 6455 9.1). One that we cannot or will not meet is passed
 * over; a list that cannot be read ends at that point.
 */
#include <stdio.h>
#include <string.h>

#include "proto/deflate.h"
#include "proto/http.h"

enum param { SERVER_NO_TAKEOVER, CLIENT_NO_TAKEOVER, SERVER_BITS, CLIENT_BITS, PARAM_COUNT };

static const char *const param_names[PARAM_COUNT] = {
	[SERVER_NO_TAKEOVER] = "server_no_context_takeover",
	[CLIENT_NO_TAKEOVER] = "client_no_context_takeover",
	[SERVER_BITS] = "server_max_window_bits",
	[CLIENT_BITS] = "client_max_window_bits",
};

/* What an offer says; bits 0: nothing, or no number. */
struct offer {
	bool has[PARAM_COUNT];
	uint8_t bits[PARAM_COUNT];
	bool acceptable; /* of this extension, and each parameter known and well-formed */
};

/* Unread text of the header. */
struct scan {
	const char *p, *end;
};

static void skip_space(struct scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t'))
		s->p++;
}

/* Takes the character, with the white space around it, if it is next. */
static bool take(struct scan *s, char c)
{
	skip_space(s);
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	skip_space(s);
	return true;
}

static struct http_text take_token(struct scan *s)
{
	const char *start = s->p;

	while (s->p < s->end && http_is_token_char((unsigned char)*s->p))
		s->p++;
	return (struct http_text){ start, (size_t)(s->p - start) };
}

/* A token, or one in quotes, which is all that a quoted string may hold here (RFC 6455 9.1). */
static bool take_value(struct scan *s, struct http_text *value)
{
	bool quoted = s->p < s->end && *s->p == '"';

	s->p += quoted;
	*value = take_token(s);
	if (value->len == 0)
		return false;
	if (!quoted)
		return true;
	if (s->p == s->end || *s->p != '"')
		return false;
	s->p++;
	return true;
}

/* 8 to 15, without leading zeros; 0: anything else. */
static uint8_t window_bits(struct http_text value)
{
	if (value.len == 1 && (*value.p == '8' || *value.p == '9'))
		return (uint8_t)(*value.p - '0');
	if (value.len == 2 && value.p[0] == '1' && value.p[1] >= '0' && value.p[1] <= '5')
		return (uint8_t)(10 + value.p[1] - '0');
	return 0;
}

/* value.p NULL: the parameter has none. */
static bool note_param(struct offer *o, struct http_text name, struct http_text value)
{
	int k = 0;

	while (k < PARAM_COUNT && !http_is(name, param_names[k]))
		k++;
	if (k == PARAM_COUNT || o->has[k])
		return false;
	o->has[k] = true;
	if (!value.p)
		return k != SERVER_BITS;
	o->bits[k] = window_bits(value);
	return o->bits[k] != 0 && (k == SERVER_BITS || k == CLIENT_BITS);
}

/* Reads one offer. False: the text is none, and nothing behind it can be read either. */
static bool read_offer(struct scan *s, struct offer *o)
{
	struct http_text name = take_token(s);

	*o = (struct offer){ .acceptable = http_is(name, "permessage-deflate") };
	if (name.len == 0)
		return false;
	while (take(s, ';')) {
		struct http_text value = { NULL, 0 };

		name = take_token(s);
		if (name.len == 0 || (take(s, '=') && !take_value(s, &value)))
			return false;
		if (o->acceptable)
			o->acceptable = note_param(o, name, value);
	}
	skip_space(s);
	return s->p == s->end || *s->p == ',';
}

static uint8_t least(uint8_t a, uint8_t b)
{
	return a < b ? a : b;
}

/* What an offer comes to. False: it asks for a window that is too small for us. */
static bool meet(const struct offer *o, const struct deflate_params *wanted,
		 struct deflate_params *out)
{
	if (!o->acceptable || (o->has[SERVER_BITS] && o->bits[SERVER_BITS] < DEFLATE_BITS_MIN))
		return false;
	*out = *wanted;
	out->server_takeover &= !o->has[SERVER_NO_TAKEOVER];
	out->client_takeover &= !o->has[CLIENT_NO_TAKEOVER];
	out->server_bits_asked = o->has[SERVER_BITS];
	if (o->has[SERVER_BITS])
		out->server_bits = least(wanted->server_bits, o->bits[SERVER_BITS]);
	/* A client that does not say that it can be told uses the whole window. */
	if (!o->has[CLIENT_BITS])
		out->client_bits = DEFLATE_BITS_MAX;
	else if (o->bits[CLIENT_BITS] != 0)
		out->client_bits = least(wanted->client_bits, o->bits[CLIENT_BITS]);
	return true;
}

void deflate_negotiate(const struct http_head *h, const struct deflate_params *wanted,
		       struct deflate_params *out)
{
	const struct http_header *x = NULL;

	while (wanted->on && (x = http_find(h, "Sec-WebSocket-Extensions", x))) {
		struct scan s = { x->value.p, x->value.p + x->value.len };
		struct offer o;

		while (s.p < s.end) {
			if (take(&s, ',')) /* an empty element */
				continue;
			if (!read_offer(&s, &o))
				break;
			if (meet(&o, wanted, out))
				return;
		}
	}
	*out = (struct deflate_params){ .on = false };
}

size_t deflate_write_header(char out[DEFLATE_HEADER_MAX], const struct deflate_params *p)
{
	char server_bits[40] = "", client_bits[40] = "";

	*out = '\0';
	if (!p->on)
		return 0;
	if (p->server_bits_asked || p->server_bits < DEFLATE_BITS_MAX)
		snprintf(server_bits, sizeof(server_bits), "; %s=%u", param_names[SERVER_BITS],
			 p->server_bits);
	if (p->client_bits < DEFLATE_BITS_MAX)
		snprintf(client_bits, sizeof(client_bits), "; %s=%u", param_names[CLIENT_BITS],
			 p->client_bits);
	return (size_t)snprintf(
		out, DEFLATE_HEADER_MAX, "Sec-WebSocket-Extensions: permessage-deflate%s%s%s%s\r\n",
		p->server_takeover ? "" : "; server_no_context_takeover",
		p->client_takeover ? "" : "; client_no_context_takeover", server_bits, client_bits);
}
