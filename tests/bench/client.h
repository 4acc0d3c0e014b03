/*
 * client.h - one WebSocket connection of the load generator.
 *
 * What a client sends is one frame, ready-made, over and over; so where it is in
 * its output is a number. Of what it receives only the frame headers are looked at.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The stream that all clients send: the same masked frame `copies` times. */
struct stream {
	uint8_t *bytes;
	size_t frame_len, copies;
	uint8_t answer; /* opcode of the frames that count as an answer, see client_read */
	const uint8_t *payload; /* what an echo has to bring back */
	size_t payload_len;
};

struct client {
	int fd;
	SSL *ssl;
	uint64_t skip; /* payload that is still to come, of the frame that is being received */
	uint64_t queued, sent; /* bytes of the stream */
	uint8_t head[14]; /* a frame's header that is not whole yet */
	uint8_t head_len;
	bool counts; /* the frame that is being received is the end of an answer */
	bool closed; /* a close frame came */
	bool blocked; /* waits for its socket to take more */
	unsigned greetings; /* frames that are to come ahead of the first answer */
	/* for load.c: */
	unsigned credit; /* answers since it sent */
	uint32_t first, pending; /* a ring of messages that are not answered yet, see load.c */
	struct moment *times;
	bool stamps; /* see client_stamp */
	uint64_t
		arrived; /* of what client_read received last, by CLOCK_REALTIME, in ns; 0: not told */
};

struct moment {
	uint64_t due; /* by CLOCK_MONOTONIC */
	uint64_t sent; /* by CLOCK_REALTIME, with stamps */
};

struct target {
	int port;
	const char *path; /* "%d" in it stands for the number of the room */
	SSL_CTX *tls; /* NULL: plain */
	bool compress; /* offers permessage-deflate, and the server has to take it */
	bool takeover; /* leaves it to the server to keep its window from message to message */
	unsigned greetings; /* that the server sends to each who comes, and that are no answers */
	unsigned addresses; /* how many addresses of 127.0.0.0/8 to come from; 0: not bound */
	unsigned first; /* of these: 0 is 127.0.0.1 */
};

/*
 * Makes a stream of frames with that opcode and payload (copied); compress: as
 * permessage-deflate has it. The caller frees bytes and payload, or ends.
 */
void stream_init(struct stream *s, uint8_t opcode, const void *payload, size_t len, size_t copies,
		 bool compress);

/* Where connection number i comes from and goes to; returns a non-blocking fd, or -1 with errno. */
int client_socket(const struct target *t, unsigned i);

/* The request for a room, for sending. Returns its length. */
size_t client_request(const struct target *t, unsigned room, char *out, size_t size);

/*
 * Connection number i, in two steps, so that many can be on their way at once: connects
 * and, if plain, asks for the upgrade / waits for it; the fd does not block afterwards.
 * -1: said why on stderr.
 */
int client_begin(struct client *c, const struct target *t, unsigned i, unsigned room);
int client_finish(struct client *c, const struct target *t, unsigned room);
void client_close(struct client *c);

/* Sends what is queued, as far as the socket takes it. -1: the connection is lost. */
int client_flush(struct client *c, const struct stream *s);

/*
 * From here on arrived says when the kernel had what is received, whenever that is (SO_TIMESTAMPING). Of
 * several segments it is the last one's. Not with TLS. -1: errno.
 */
int client_stamp(struct client *c);

/*
 * Receives once and returns how many answers ended in it, or -1 when the connection is
 * lost. *payload, if not NULL, is where the payload of the last of them begins, if it
 * came as a whole.
 */
int client_read(struct client *c, const struct stream *s, const uint8_t **payload);

#endif
