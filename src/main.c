/*
 * main.c - the command line.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "net/tls.h"
#include "process/command.h"
#include "process/explain.h"
#include "process/inherited.h"
#include "process/master.h"
#include "process/title.h"

/*
 * Ahead of the constructors of libraries: that of libjose has OpenSSL ask for memory, and then it is too
 * late for memory of ours.
 */
static void (*const ahead_of_libraries)(void)
	__attribute__((section(".preinit_array"), used)) = tls_init;

static const char usage_text[] =
	"usage: ignyxd [-c FILE] [-t | -r] [-v]\n"
	"       ignyxd [-c FILE] --explain-token PATH < TOKEN\n"
	"       ignyxd -V | -h\n"
	"\n"
	"  -c FILE  the configuration; default " IGNYX_CONF_FILE "\n"
	"  -t       check the configuration and exit: 0 if it is valid, 1 with all errors\n"
	"  -r       have the running daemon reload, wait for the outcome: 0 applied, 1 refused\n"
	"  -v       log at debug level\n"
	"  --explain-token PATH  which rules of PATH a JSON Web Token keeps: 0 if it lets in\n"
	"  -V       print the version (--version)\n"
	"  -h       print this (--help)\n"
	"\n"
	"It stays in the foreground. SIGHUP reloads, SIGTERM stops. See ignyxd(8).\n";

static const struct option long_options[] = {
	{ "version", no_argument, NULL, 'V' },
	{ "explain-token", required_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static int usage_error(void)
{
	fputs(usage_text, stderr);
	return MASTER_USAGE;
}

int main(int argc, char **argv)
{
	struct master_options options = { .file = IGNYX_CONF_FILE };
	int (*run)(const struct master_options *) = master_run;
	bool check = false, reload = false;
	int c;

	inherited_mend();
	argv = title_init(argc, argv);
	while ((c = getopt_long(argc, argv, "c:trvVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.file = optarg;
			options.file_given = true;
			break;
		case 't':
			check = true;
			run = command_check;
			break;
		case 'r':
			reload = true;
			run = command_reload;
			break;
		case 'k':
			options.explain = optarg;
			run = explain_token;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'V':
			puts("ignyxd " IGNYX_VERSION);
			return MASTER_OK;
		case 'h':
			fputs(usage_text, stdout);
			return MASTER_OK;
		default:
			return usage_error();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ignyxd: unexpected argument \"%s\"\n", argv[optind]);
		return usage_error();
	}
	if (check && reload) {
		fputs("ignyxd: -t only looks and -r applies: one at a time\n", stderr);
		return usage_error();
	}
	if (secret_draw() < 0) {
		perror("ignyxd: no random numbers");
		return MASTER_FAILED;
	}
	log_init("ignyxd");
	return run(&options);
}
