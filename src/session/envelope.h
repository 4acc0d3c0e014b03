/*
 * envelope.h - what members get who asked for the format "json": each message within an object.
 *
 * {"type":"message","room":NAME,"position":POSITION,"time":SECONDS,"sender":ID,"data":TEXT}
 *
 * The keys, and their order, are a public contract: ignyxd-protocol(7).
 */
#ifndef SESSION_ENVELOPE_H
#define SESSION_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;
struct bus_entry;

/* What all messages of a room have in common. */
struct envelope {
	const char *room; /* its name: UTF-8, as JSON writes it within quotes */
	size_t room_len;
	uint64_t epoch; /* of the log */
	bool data_is_json; /* texts are JSON, and are written as they are */
};

/* How many bytes a string has within quotes; it is UTF-8. */
size_t envelope_escaped_size(const void *text, size_t len);
/* Writes it to out, without quotes. Returns the end. */
uint8_t *envelope_escape(uint8_t *out, const void *text, size_t len);

/* Appends a string, with quotes. False: no memory. */
bool envelope_put_string(struct buffer *b, const void *text, size_t len);

/* How many bytes envelope_write writes for an entry's frame, which was checked (rendition_payload). */
size_t envelope_size(const struct envelope *v, const struct bus_entry *e);
/* Writes a whole text frame. Returns the end. */
uint8_t *envelope_write(uint8_t *out, const struct envelope *v, const struct bus_entry *e);

#endif
