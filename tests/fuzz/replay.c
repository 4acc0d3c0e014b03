/*
 * Feeds files to a target, without a fuzzer: replay FILE...
 */
#include "fuzz.h"

static int run_file(const char *name)
{
	static uint8_t bytes[1 << 20];
	FILE *f = fopen(name, "rb");
	uint8_t *copy;
	size_t n;

	if (!f) {
		perror(name);
		return 1;
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	/* of just that size, so that a sanitizer sees what is read behind it */
	copy = malloc(n + !n);
	for (size_t i = 0; i < n; i++)
		copy[i] = bytes[i];
	printf("%s\n", name);
	fflush(stdout);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed |= run_file(argv[i]);
	return failed;
}
