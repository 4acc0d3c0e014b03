/*
 * The configuration: any text is a snapshot or has errors, and the text that is
 * handed to a worker gives the snapshot that the master has.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour.h"
#include "config/config.h"
#include "config/plan.h"
#include "config/source.h"
#include "fuzz.h"

/* As config_load makes it of one file without includes; that refuses NULs. */
static struct config_source *make_source(const uint8_t *data, size_t size)
{
	struct config_source *s = calloc(1, sizeof(*s));
	const char *p = (const char *)data, *end = p + size;

	source_add_run(s, source_add_file(s, "fuzz.conf"), 1);
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p)), *stop = nl ? nl : end;

		source_add_line(s, p, (size_t)(stop - p));
		p = stop + 1;
	}
	if (s->lines == 0)
		source_add_line(s, "", 0);
	/* nobody is asked whether a user exists */
	s->unpacked = true;
	return s;
}

static void check_line(bool warning, const char *line, void *arg)
{
	(void)warning;
	for (const char *p = line; *p; p++)
		fuzz_require((unsigned char)*p >= ' ' && *p != 0x7f);
	++*(size_t *)arg;
}

static struct config *parse(struct config_source *s)
{
	struct config_errors *e = config_errors_new();
	struct config *c = config_parse(s, behaviours, 1, e);
	size_t lines = 0;

	config_errors_each(e, check_line, &lines);
	fuzz_require((c == NULL) == (config_errors_count(e) > 0));
	fuzz_require(lines >= config_errors_count(e));
	config_errors_free(e);
	return c;
}

static void check_copy(struct config_source *s, struct config *c)
{
	size_t len;
	void *bytes = config_source_pack(s, &len);
	struct config_source *t = config_source_unpack(bytes, len);
	struct plan *p;
	struct config *copy;

	fuzz_require(t != NULL);
	copy = parse(t);
	fuzz_require(copy != NULL);
	p = plan_new(c, c, copy);
	fuzz_require(p->count == 0);
	plan_free(p);
	config_unref(copy);
	config_source_free(t);
	free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_source *s;
	struct config *c;

	if (memchr(data, '\0', size))
		return 0;
	s = make_source(data, size);
	c = parse(s);
	if (c)
		check_copy(s, c);
	config_unref(c);
	config_source_free(s);
	return 0;
}
