/*
 * known.h - users of a test, and files that only it has.
 */
#ifndef TESTS_UNIT_SESSION_KNOWN_H
#define TESTS_UNIT_SESSION_KNOWN_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of ann, whose token is "abc", and of bea, whose is "d". */
#define ANN "Authorization: Bearer abc\r\n\r\n"
#define BEA "Authorization: Bearer d\r\n\r\n"
#define LINE_OF_ANN "ann ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n"
#define LINE_OF_BEA "bea 18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4\n"

/* Puts the text into the file *fd, made at the first time (-1), which its owner alone may read; returns it. */
static inline int file_with(int *fd, const char *text)
{
	if (*fd < 0)
		*fd = memfd_create("test.file", MFD_CLOEXEC);
	assert_int_equal(fchmod(*fd, 0600), 0);
	assert_int_equal(ftruncate(*fd, 0), 0);
	assert_int_equal(pwrite(*fd, text, strlen(text), 0), (ssize_t)strlen(text));
	return *fd;
}

/* Of two endpoints that ask for one of them: settings at the top, and of the first. */
static inline const char *two_known(const char *top, const char *of_a)
{
	static char text[1024];
	static int fd = -1;

	file_with(&fd, LINE_OF_ANN LINE_OF_BEA);
	snprintf(text, sizeof(text),
		 "%s\ndrain_time = \"0\"; access = { tokens = \"/proc/self/fd/%d\"; };\n"
		 "endpoints = ( { path = \"/a\"; behaviour = \"echo\"; %s },\n"
		 "{ path = \"/b\"; behaviour = \"echo\"; } );\n",
		 top, fd, of_a);
	return text;
}

#endif
