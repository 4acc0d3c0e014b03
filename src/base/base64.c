/*
 * base64.c - see base64.h.
 */
#include "base/base64.h"

#include <limits.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ENCODED_MAX = 1 << 30 };

void base64_write(char *out, const void *bytes, size_t len)
{
	EVP_EncodeBlock((unsigned char *)out, bytes, (int)len);
}

char *base64_encode(const void *bytes, size_t len)
{
	char *text = len <= ENCODED_MAX ? malloc(base64_size(len) + 1) : NULL;

	if (text)
		base64_write(text, bytes, len);
	return text;
}

static bool is_alphabet(const char *text, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789+/";

	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || !strchr(letters, text[i]))
			return false;
	return true;
}

/* OpenSSL's takes spaces at the ends, and counts what is padding as bytes of 0. */
long base64_decode(char *text, size_t len)
{
	size_t padding = 0;
	int n;

	while (padding < 2 && padding < len && text[len - 1 - padding] == '=')
		padding++;
	if (len % 4 != 0 || len > INT_MAX || !is_alphabet(text, len - padding))
		return -1;
	n = EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)text, (int)len);
	return n < 0 ? -1 : n - (long)padding;
}
