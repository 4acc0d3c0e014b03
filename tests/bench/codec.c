/*
 * codec.c - how fast the codec is on this machine, as a table in Markdown.
 *
 * `codec` times each kernel; `codec --count N [KERNEL]` decodes N frames of 32
 * bytes and ends, for a tool that counts instructions: take the difference of two N.
 * The key is zero: that is the same work, and the text is there for the next round.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "proto/frame.h"
#include "proto/mask.h"
#include "proto/text.h"

enum { ROUNDS = 15, FRAME_TEXT = 32, LARGEST = 1 << 20, ROUND_NS = 1000 * 1000 };

struct work {
	uint8_t *p;
	size_t n;
};

struct path {
	const char *name;
	const char *text; /* repeated to the size */
	void (*run)(const struct work *w);
};

struct timing {
	double ns, cycles; /* of one call */
};

static volatile uint32_t sink;

static void run_mask(const struct work *w)
{
	ws_mask(w->p, w->n, 0, 0);
}

static void run_unmask(const struct work *w)
{
	sink = ws_unmask_text(w->p, w->n, 0, 0, UTF8_BOUNDARY);
}

static void run_check(const struct work *w)
{
	sink = utf8_feed(UTF8_BOUNDARY, w->p, w->n);
}

static void run_decode(const struct work *w)
{
	struct ws_decoder d;
	struct ws_message m;
	uint8_t *p = w->p;
	enum reason reason;
	uint16_t code;

	ws_decoder_init(&d, LARGEST);
	if (ws_decode(&d, &p, w->p + w->n, &m, &code, &reason) != WS_EVENT)
		exit(1);
	sink = (uint32_t)m.len;
	ws_decoder_fini(&d);
}

static void run_encode(const struct work *w)
{
	sink = (uint32_t)ws_encode_header(w->p, WS_TEXT, FRAME_TEXT);
}

#define ENGLISH "The quick brown fox jumps over the lazy dog. "
#define GERMAN "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. "
#define MANY "naïve café, Привет, мир! 你好 \U0001f600 and some plain words; "
#define CHINESE "天地玄黄宇宙洪荒日月盈昃辰宿列张"

static const struct path PATHS[] = {
	{ "mask", ENGLISH, run_mask },
	{ "unmask and check, ASCII", ENGLISH, run_unmask },
	{ "unmask and check, German", GERMAN, run_unmask },
	{ "unmask and check, mixed", MANY, run_unmask },
	{ "unmask and check, CJK", CHINESE, run_unmask },
	{ "check, ASCII", ENGLISH, run_check },
	{ "check, mixed", MANY, run_check },
};

static const size_t SIZES[] = { 32, 1024, 16384, LARGEST };

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_cycles(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#else
	return 0;
#endif
}

static struct timing time_calls(void (*run)(const struct work *w), const struct work *w, long calls)
{
	uint64_t ns = now_ns(), cycles = now_cycles();

	for (long i = 0; i < calls; i++)
		run(w);
	cycles = now_cycles() - cycles;
	ns = now_ns() - ns;
	return (struct timing){ (double)ns / (double)calls, (double)cycles / (double)calls };
}

/* The best of several rounds, each long enough for the clock. */
static struct timing measure(void (*run)(const struct work *w), const struct work *w)
{
	struct timing best, t;
	long calls = 1;

	do {
		calls *= 2;
		best = time_calls(run, w, calls);
	} while (best.ns * (double)calls < ROUND_NS);
	for (int i = 0; i < ROUNDS; i++) {
		t = time_calls(run, w, calls);
		if (t.ns < best.ns)
			best = t;
	}
	return best;
}

static void print_row(const char *kernel, const char *path, size_t n, struct timing t)
{
	printf("| %s | %s | %zu | %.2f | %.2f | %.1f |", kernel, path, n, t.ns, (double)n / t.ns,
	       t.ns * 1024 / (double)n);
	if (t.cycles > 0)
		printf(" %.3f |\n", t.cycles / (double)n);
	else
		printf(" - |\n");
}

/* Text of n bytes; what does not fit at the end is filled up with ASCII. */
static void fill(uint8_t *p, size_t n, const char *text)
{
	size_t len = strlen(text), i = 0;

	for (; i + len <= n; i += len)
		memcpy(p + i, text, len);
	if (i < n)
		memcpy(p + i, text, n - i);
	while (n > 0 && !utf8_valid(p, n)) {
		for (i = n; i-- > 0 && p[i] >= 0x80 && p[i] < 0xc0;)
			p[i] = 'x';
		p[i] = 'x';
	}
}

/* A whole masked frame with 32 bytes of text; returns its size. */
static size_t make_frame(uint8_t *p)
{
	static const uint8_t HEADER[] = { 0x81, 0x80 | FRAME_TEXT, 0, 0, 0, 0 };

	memcpy(p, HEADER, sizeof(HEADER));
	fill(p + sizeof(HEADER), FRAME_TEXT, ENGLISH);
	return sizeof(HEADER) + FRAME_TEXT;
}

/* The payload lies behind its header, as in a buffer that was read into. */
static void measure_kernel(const struct text_kernel *k, uint8_t *buffer)
{
	struct work w;

	text_best = k;
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		for (size_t j = 0; j < sizeof(SIZES) / sizeof(SIZES[0]); j++) {
			w.n = SIZES[j];
			w.p = buffer + (w.n < 126 ? 6 : w.n < 65536 ? 8 : 14);
			fill(w.p, w.n, PATHS[i].text);
			print_row(k->name, PATHS[i].name, w.n, measure(PATHS[i].run, &w));
		}
	}
	w = (struct work){ buffer, make_frame(buffer) };
	print_row(k->name, "decode a frame", FRAME_TEXT, measure(run_decode, &w));
}

static const struct text_kernel *find_kernel(const char *name)
{
	for (size_t i = 0; text_kernels[i]; i++)
		if (strcmp(text_kernels[i]->name, name) == 0 && text_kernels[i]->usable())
			return text_kernels[i];
	return NULL;
}

static int count(char **args, uint8_t *buffer)
{
	struct work w = { buffer, make_frame(buffer) };
	long n = atol(args[0]);

	if (args[1]) {
		text_best = find_kernel(args[1]);
		if (!text_best)
			return 2;
	}
	for (long i = 0; i < n; i++)
		run_decode(&w);
	return 0;
}

int main(int argc, char **argv)
{
	static uint8_t buffer[LARGEST + 64] __attribute__((aligned(64)));
	struct work w = { buffer, FRAME_TEXT };

	if (argc > 2 && strcmp(argv[1], "--count") == 0)
		return count(argv + 2, buffer);
	printf("| kernel | path | bytes | ns a call | bytes per ns | ns per KiB | cycles per byte "
	       "|\n"
	       "|---|---|--:|--:|--:|--:|--:|\n");
	for (size_t i = 0; text_kernels[i]; i++)
		if (text_kernels[i]->usable())
			measure_kernel(text_kernels[i], buffer);
	print_row("-", "encode a header", FRAME_TEXT, measure(run_encode, &w));
	return 0;
}
