/*
 * message.c - see message.h.
 */
#include "admin/message.h"

#include <string.h>

#include "admin/values.h"
#include "bus/bus.h"
#include "proto/frame.h"

json_t *json_of_message(const struct bus_entry *e)
{
	uint8_t head[WS_HEADER_MAX] = { 0 };
	const char *data = (const char *)e->frame;
	size_t header;
	uint64_t len;
	json_t *line;

	memcpy(head, e->frame, e->frame_len < sizeof(head) ? e->frame_len : sizeof(head));
	header = ws_own_header(head, &len);
	if (header > e->frame_len || len != e->frame_len - header)
		return NULL;
	data += header;
	line = json_pack("{s:o, s:f}", "position", json_of_position(e->sequence), "time",
			 seconds_of(e->meta.time));
	if (e->meta.sender)
		json_object_set_new(line, "sender", json_of_id(e->meta.sender));
	if ((head[0] & 0x0f) == WS_TEXT)
		json_object_set_new(line, "data", json_of_text(data, len));
	else
		json_object_set_new(line, "base64", json_of_base64(data, len));
	return line;
}
