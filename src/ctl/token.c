/*
 * token.c - see token.h.
 *
 * A token has 256 random bits, so a plain hash of it tells nobody anything, and needs no salt: who
 * reads the daemon's file cannot use what is in it.
 */
#include "ctl/token.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "ctl/trouble.h"

/* A pipe, such as /dev/stdin, is nobody else's. */
static bool is_guarded(FILE *f, const char *file)
{
	struct stat st;

	if (fstat(fileno(f), &st) == 0 && (!S_ISREG(st.st_mode) || (st.st_mode & S_IRWXO) == 0))
		return true;
	trouble("%s: every user of this machine may use the token in it: chmod o= %s", file, file);
	return false;
}

/* NULL: what is wrong was said. */
static FILE *open_guarded(const char *file)
{
	FILE *f = fopen(file, "re");

	if (!f) {
		trouble("%s: %s", file, strerror(errno));
		return NULL;
	}
	if (is_guarded(f, file))
		return f;
	fclose(f);
	return NULL;
}

int token_read(const char *file, char token[TOKEN_LINE_MAX])
{
	FILE *f = open_guarded(file);
	size_t len;

	if (!f)
		return -1;
	if (!fgets(token, TOKEN_LINE_MAX, f))
		*token = '\0';
	fclose(f);
	len = strcspn(token, " \t\r\n");
	/* it becomes a line of the request */
	for (size_t i = 0; i < len; i++)
		if (token[i] < '!' || token[i] > '~')
			len = 0;
	if (len > 0 && strspn(token + len, " \t\r\n") == strlen(token + len)) {
		token[len] = '\0';
		return 0;
	}
	trouble("%s: its first line is no token, see: ignyxctl token -h", file);
	return -1;
}

static void hexadecimal(const unsigned char *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		sprintf(out + 2 * i, "%02x", p[i]);
}

int token_new(char token[TOKEN_SIZE])
{
	unsigned char bits[32];

	if (getrandom(bits, sizeof(bits), 0) != sizeof(bits)) {
		trouble("no random numbers: %s", strerror(errno));
		return -1;
	}
	hexadecimal(bits, sizeof(bits), token);
	return 0;
}

int token_hash(const char *token, char hash[TOKEN_HASH_SIZE])
{
	unsigned char digest[32];
	unsigned n;

	if (EVP_Digest(token, strlen(token), digest, &n, EVP_sha256(), NULL) != 1 ||
	    n != sizeof(digest)) {
		trouble("SHA-256 could not be computed");
		return -1;
	}
	hexadecimal(digest, sizeof(digest), hash);
	return 0;
}
