/*
 * token.h - what a client over TCP shows to the daemon, which knows its hash alone.
 */
#ifndef CTL_TOKEN_H
#define CTL_TOKEN_H

enum {
	TOKEN_LINE_MAX = 1024, /* of the first line of a file */
	TOKEN_SIZE = 64 + 1, /* a new one: 256 random bits, hexadecimal */
	TOKEN_HASH_SIZE = 64 + 1, /* SHA-256 of its characters, hexadecimal */
};

/* The first line of a file. -1: that is none, which has been said. */
int token_read(const char *file, char token[TOKEN_LINE_MAX]) __attribute__((warn_unused_result));

/* A new one. -1: the system has no random numbers, which has been said. */
int token_new(char token[TOKEN_SIZE]) __attribute__((warn_unused_result));

/* What the daemon's file has of it. -1: it could not be computed, which has been said. */
int token_hash(const char *token, char hash[TOKEN_HASH_SIZE]) __attribute__((warn_unused_result));

#endif
