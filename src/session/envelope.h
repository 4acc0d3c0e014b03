/*
 * envelope.h - what members get who asked for the format "json": each message within an object.
 *
 * {"type":"message","room":NAME,"position":POSITION,"time":SECONDS,"sender":ID,"data":TEXT}
 *
 * TEXT is a string, or, of a message that was published as JSON, that value byte for byte.
 *
 * The keys, and their order, are a public contract: ignyxd-protocol(7).
 */
#ifndef SESSION_ENVELOPE_H
#define SESSION_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/gap.h"

struct buffer;
struct bus_entry;

/* What those of one room have in common. Zeroed: nothing was made yet. */
struct envelope {
	uint8_t *head; /* up to the number in the position */
	size_t head_len;
	const uint8_t *room; /* in that: its name as it stands within quotes */
	size_t room_len;
	struct gap_form gap; /* what stands for those that a member does not get */
};

/* Makes it for a room, by its name, and the log's epoch. False: no memory. */
bool envelope_make(struct envelope *v, const char *room, uint64_t epoch);
void envelope_free(struct envelope *v);

/* Appends {"type":TYPE,"room":NAME to what is told in the format. False: no memory. */
bool envelope_begin(const struct envelope *v, const char *type, struct buffer *out);

enum { ENVELOPE_NUMBERS_MAX = 128 };

/* One message, measured; its entry is lent. */
struct enveloped {
	const uint8_t *data;
	size_t len; /* of the data */
	bool binary;
	bool json; /* it is written as it is */
	char numbers[ENVELOPE_NUMBERS_MAX]; /* what follows the head, up to the data */
	size_t numbers_len;
	size_t size; /* of the payload of a text frame that has all of it */
};

/* Measures an entry, whose frame was checked (rendition_payload). */
void envelope_measure(struct enveloped *x, const struct envelope *v, const struct bus_entry *e);

/* Writes that payload. Returns the end. */
uint8_t *envelope_write(uint8_t *out, const struct envelope *v, const struct enveloped *x);

#endif
