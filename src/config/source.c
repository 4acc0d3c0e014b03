/*
 * source.c - the expanded text as a value.
 *
 * One text is parsed by the master and again by each worker, and both have to
 * speak of the same files and lines. So the text travels with a map: runs of
 * lines that came from one file. Packed it is
 *
 *	header, runs, the names of the files (each with its NUL), the text, then of
 *	each attached file its length, its name (with its NUL) and its bytes
 *
 * in the byte order of the machine, for it never leaves it. Unpacking trusts
 * no number of it.
 */
#include "config/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/alloc.h"
#include "config/config.h"
#include "config/file.h"

static const uint32_t PACK_MAGIC = 0x69677932;

struct pack_header {
	uint32_t magic, run_count, file_count, lines;
	uint64_t names_len, text_len, attached_len;
};

static void append(struct config_source *s, const char *p, size_t len)
{
	/* one more for the NUL behind the text */
	s->text = alloc_grow(s->text, s->len + len + 1, &s->cap, 1);
	if (len != 0)
		memcpy(s->text + s->len, p, len);
	s->len += len;
	s->text[s->len] = '\0';
}

void source_add_line(struct config_source *s, const char *line, size_t len)
{
	append(s, line, len);
	append(s, "\n", 1);
	s->lines++;
}

uint32_t source_add_file(struct config_source *s, const char *name)
{
	s->files = alloc_grow(s->files, s->file_count, &s->file_cap, sizeof(*s->files));
	s->files[s->file_count] = alloc_string(name);
	return (uint32_t)s->file_count++;
}

void source_add_run(struct config_source *s, uint32_t file, unsigned line)
{
	struct source_run r = { s->lines + 1, file, line };

	/* a run of no lines gives way to the next */
	if (s->run_count > 0 && s->runs[s->run_count - 1].first == r.first)
		s->run_count--;
	s->runs = alloc_grow(s->runs, s->run_count, &s->run_cap, sizeof(*s->runs));
	s->runs[s->run_count++] = r;
}

static const struct source_run *find_run(const struct config_source *s, unsigned line)
{
	size_t low = 0, high = s->run_count;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (s->runs[mid].first <= line)
			low = mid;
		else
			high = mid;
	}
	return &s->runs[low];
}

struct config_place source_place(const struct config_source *s, unsigned line)
{
	const struct source_run *r;

	if (line == 0)
		line = 1;
	r = find_run(s, line);
	return (struct config_place){ s->files[r->file], r->line + (line - r->first), line };
}

uint32_t source_file(const struct config_source *s, unsigned line)
{
	return find_run(s, line)->file;
}

static void attach(struct config_source *s, const char *name, char *bytes, size_t len,
		   unsigned mode)
{
	struct source_attachment *a = alloc_zero(1, sizeof(*a));

	*a = (struct source_attachment){ alloc_string(name), bytes, len, mode };
	s->attachments = alloc_grow(s->attachments, s->attachment_count, &s->attachment_cap,
				    sizeof(*s->attachments));
	s->attachments[s->attachment_count++] = a;
	named_add(&s->by_name, a);
}

static const char *read_whole(const char *name, char **bytes, size_t *len, unsigned *mode)
{
	const char *why = NULL;
	struct stat st;
	int fd = file_open(name, &st, &why);

	if (fd < 0)
		return why;
	*mode = st.st_mode & 07777;
	why = file_read(fd, SOURCE_BYTES_MAX, "it is larger than 4 MiB", bytes, len);
	close(fd);
	return why;
}

const struct source_attachment *source_attach(struct config_source *s, const char *name,
					      const char **why)
{
	const struct source_attachment *known = named_find(&s->by_name, name);
	char *bytes = NULL;
	size_t len = 0;
	unsigned mode = 0;

	if (known != NULL)
		return known;
	*why = s->unpacked ? "it did not come with the configuration"
			   : read_whole(name, &bytes, &len, &mode);
	if (*why != NULL) {
		alloc_free_secret(bytes, len);
		return NULL;
	}
	attach(s, name, bytes, len, mode);
	return s->attachments[s->attachment_count - 1];
}

static void leave(void *attachment)
{
	(void)attachment;
}

/* Keys are among them. */
static void free_attachments(struct config_source *s)
{
	named_end(&s->by_name, leave);
	for (size_t i = 0; i < s->attachment_count; i++) {
		alloc_free_secret(s->attachments[i]->bytes, s->attachments[i]->len);
		free(s->attachments[i]->name);
		free(s->attachments[i]);
	}
	free(s->attachments);
}

void config_source_free(struct config_source *s)
{
	if (s == NULL)
		return;
	free_attachments(s);
	for (size_t i = 0; i < s->file_count; i++)
		free(s->files[i]);
	free(s->files);
	free(s->runs);
	free(s->text);
	free(s);
}

void *config_source_pack(const struct config_source *s, size_t *len)
{
	struct pack_header h = { .magic = PACK_MAGIC,
				 .run_count = (uint32_t)s->run_count,
				 .file_count = (uint32_t)s->file_count,
				 .lines = s->lines,
				 .text_len = s->len };
	size_t runs_len = s->run_count * sizeof(*s->runs);
	char *bytes, *p;

	for (size_t i = 0; i < s->file_count; i++)
		h.names_len += strlen(s->files[i]) + 1;
	for (size_t i = 0; i < s->attachment_count; i++)
		h.attached_len += sizeof(uint64_t) + strlen(s->attachments[i]->name) + 1 +
				  s->attachments[i]->len;
	*len = sizeof(h) + runs_len + h.names_len + s->len + h.attached_len;
	p = bytes = alloc_zero(*len, 1);
	p = mempcpy(p, &h, sizeof(h));
	p = mempcpy(p, s->runs, runs_len);
	for (size_t i = 0; i < s->file_count; i++)
		p = stpcpy(p, s->files[i]) + 1;
	p = mempcpy(p, s->text, s->len);
	for (size_t i = 0; i < s->attachment_count; i++) {
		const struct source_attachment *a = s->attachments[i];
		uint64_t n = a->len;

		p = mempcpy(p, &n, sizeof(n));
		p = stpcpy(p, a->name) + 1;
		p = mempcpy(p, a->bytes, a->len);
	}
	return bytes;
}

/* Whether the numbers of a header are possible and make up len. */
static bool header_fits(const struct pack_header *h, size_t len)
{
	size_t rest = len - sizeof(*h);

	return h->magic == PACK_MAGIC && h->run_count > 0 && h->file_count > 0 &&
	       h->run_count <= rest / sizeof(struct source_run) && h->names_len <= rest &&
	       h->text_len <= rest && h->attached_len <= rest &&
	       h->run_count * sizeof(struct source_run) + h->names_len + h->text_len +
			       h->attached_len ==
		       rest;
}

static bool unpack_attachments(struct config_source *s, const char *p, size_t len)
{
	while (len > 0) {
		const char *name = p + sizeof(uint64_t), *nul = NULL;
		uint64_t n = 0;
		size_t head;

		if (len > sizeof(n))
			nul = memchr(name, '\0', len - sizeof(n));
		if (nul == NULL)
			return false;
		memcpy(&n, p, sizeof(n));
		head = (size_t)(nul + 1 - p);
		if (n > len - head)
			return false;
		attach(s, name, alloc_bytes(nul + 1, (size_t)n), (size_t)n, 0);
		p += head + n;
		len -= head + (size_t)n;
	}
	return true;
}

static bool unpack_names(struct config_source *s, const char *p, size_t len, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const char *nul = memchr(p, '\0', len);

		if (nul == NULL)
			return false;
		source_add_file(s, p);
		len -= (size_t)(nul - p) + 1;
		p = nul + 1;
	}
	return len == 0;
}

static bool runs_are_sound(const struct config_source *s)
{
	for (size_t i = 0; i < s->run_count; i++) {
		if (s->runs[i].file >= s->file_count)
			return false;
		if (i == 0 ? s->runs[i].first != 1 : s->runs[i].first <= s->runs[i - 1].first)
			return false;
	}
	return true;
}

struct config_source *config_source_unpack(const void *bytes, size_t len)
{
	struct config_source *s;
	struct pack_header h;
	const char *p = bytes, *text;
	size_t runs_len;

	if (len < sizeof(h))
		return NULL;
	memcpy(&h, p, sizeof(h));
	if (!header_fits(&h, len))
		return NULL;
	s = alloc_zero(1, sizeof(*s));
	s->unpacked = true;
	s->lines = h.lines;
	runs_len = h.run_count * sizeof(*s->runs);
	s->runs = alloc_zero(h.run_count, sizeof(*s->runs));
	s->run_count = s->run_cap = h.run_count;
	memcpy(s->runs, p + sizeof(h), runs_len);
	text = p + sizeof(h) + runs_len + h.names_len;
	append(s, text, h.text_len);
	if (memchr(text, '\0', h.text_len) != NULL ||
	    !unpack_names(s, p + sizeof(h) + runs_len, h.names_len, h.file_count) ||
	    !unpack_attachments(s, text + h.text_len, h.attached_len) || !runs_are_sound(s)) {
		config_source_free(s);
		return NULL;
	}
	return s;
}
