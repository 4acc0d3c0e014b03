/*
 * secret.c - see secret.h.
 */
#include "base/secret.h"

#include <stdbool.h>
#include <sys/random.h>

static uint8_t bytes[SECRET_LEN];
static bool drawn;

int secret_draw(void)
{
	if (!drawn && getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -1;
	drawn = true;
	return 0;
}

const uint8_t *secret_bytes(void)
{
	return bytes;
}
