/*
 * compress.h - the messages of connections that agreed on permessage-deflate.
 */
#ifndef SESSION_COMPRESS_H
#define SESSION_COMPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buffer.h"
#include "proto/deflate.h"
#include "proto/frame.h"
#include "session/uncompressed.h"

struct config_compression;
struct conn;
struct http_head;

/* Where the compression of a message stands that takes longer. Zeroed: none is under way. */
struct compress_job {
	struct deflater *by; /* NULL: none is */
	size_t done; /* bytes of the payload */
	size_t start; /* where the frame begins in its buffer */
};

enum compress_step { COMPRESS_DONE, COMPRESS_LATER, COMPRESS_NO_MEMORY };

/* What a connection keeps for it; most have none. */
struct conn_deflate {
	struct deflate_params params;
	struct ws_inflate inflate;
	struct deflater *own; /* NULL: without takeover, or nothing was sent yet */
	struct uncompressed waiting; /* messages: with takeover, or long ones */
	struct compress_job job; /* of the first of them, */
	struct buffer out; /* and what there is of its frame */
};

/*
 * Finds out whether c, which is about to open, gets compression, and prepares
 * it for that. -1: no memory.
 */
int compress_agree(struct conn *c, const struct http_head *h) __attribute__((warn_unused_result));

/* Frees what compress_agree made, behind the last use of c's decoder. */
void compress_free(struct conn *c);

/*
 * The window that c's messages are compressed with, 9..15, if that takes nothing
 * but the message; 0 if they are not compressed at all, -1 if each one depends on
 * those that c was sent before.
 */
int compress_class(const struct conn *c);

/*
 * Appends a message as one whole frame to out: compressed for a class of
 * compress_class (not -1), or plain where that is not worth it. The parts are the
 * payload. False: no memory.
 */
bool compress_for_class(const struct config_compression *config, int class, enum ws_opcode opcode,
			const struct iovec *parts, int count, struct buffer *out)
	__attribute__((warn_unused_result));

/*
 * The same in slices, one a call. *job: zeroed at first; out is appended to by nobody else
 * meanwhile.
 */
enum compress_step compress_slice(struct compress_job *job, const struct config_compression *config,
				  int class, enum ws_opcode opcode, const struct iovec *payload,
				  struct buffer *out) __attribute__((warn_unused_result));
/* It will not be gone on with. */
void compress_give_up(struct compress_job *job);

/* The same for one connection, of whatever class. */
bool compress_for(struct conn *c, enum ws_opcode opcode, const struct iovec *parts, int count,
		  struct buffer *out) __attribute__((warn_unused_result));

/* The same a slice a call, into c->deflate->out; of what waits for c (uncompressed.h). */
enum compress_step compress_go_on(struct conn *c, enum ws_opcode opcode,
				  const struct iovec *payload) __attribute__((warn_unused_result));
/* What is there of its frame has been sent, or will not be. */
void compress_forget_out(struct conn *c);
/* Nothing of what waits is to be sent. */
void compress_drop(struct conn *c);

/* A message that was compressed for c is not sent: the next one must not refer to it. */
void compress_forget(struct conn *c);

/* Ends what the worker's connections share. */
void compress_fini(void);

#endif
