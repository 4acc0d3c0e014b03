/*
 * What somebody sends to the admin socket: requests, their targets and queries, keys and messages.
 *
 * Invariants: what comes back are whole HTTP answers, and those of ours are JSON of one line, the
 * errors of which have a word. Nothing is published but by a request that is told so. There are no
 * workers: who is asked about connections does not answer.
 */
#include <ctype.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/admin_internal.h"
#include "admin/inquire.h"
#include "admin/routes.h"
#include "base/board.h"
#include "base/chronicle.h"
#include "base/metrics.h"
#include "behaviour.h"
#include "bus/bus.h"
#include "config/config.h"
#include "config/source.h"
#include "fuzz.h"

enum { TURNS = 64, ANSWER_MAX = 4 << 20 };

static const char *const text[] = {
	"listen = ( { address = \"127.0.0.1\"; port = 8080; } );",
	"endpoints = (",
	" { path = \"/chat\"; behaviour = \"room\"; max_message = \"1K\"; },",
	" { path = \"/news\"; behaviour = \"notify\"; message = \"hi\"; } );",
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static socklen_t address_len;
static char answer[ANSWER_MAX + 1];

static int refuse_reload(uint32_t id, bool dry_run)
{
	(void)id;
	(void)dry_run;
	return -1;
}

static int refuse_level(int level)
{
	(void)level;
	return -1;
}

static struct config *make_config(void)
{
	struct config_source *s = calloc(1, sizeof(*s));
	struct config_errors *e = config_errors_new();
	struct config *c;

	source_add_run(s, source_add_file(s, "fuzz.conf"), 1);
	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
		source_add_line(s, text[i], strlen(text[i]));
	s->unpacked = true;
	c = config_parse(s, behaviours, 1, e);
	fuzz_require(c);
	config_errors_free(e);
	config_source_free(s);
	return c;
}

static void answer_cb(struct evhttp_request *http, void *arg)
{
	(void)arg;
	routes_answer(http);
}

static void begin(void)
{
	const struct bus_limits limits = { .size = 1 << 20, .lag = 1 << 17, .max_rooms = 16 };
	static struct segment counted, told, kept;
	static int nobody[SLOTS], asked[SLOTS], pairs[SLOTS][2];
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct evhttp *http;

	for (int i = 0; i < SLOTS; i++) {
		nobody[i] = -1;
		fuzz_require(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pairs[i]) == 0);
		asked[i] = pairs[i][0];
	}
	admin = (struct admin_start){ .base = event_base_new(),
				      .config = make_config(),
				      .bus = bus_new(&limits, nobody),
				      .metrics = metrics_new(&counted),
				      .board = board_new(&told),
				      .chronicle = chronicle_new(&kept),
				      .reload = refuse_reload,
				      .log_level = refuse_level,
				      .workers = asked };
	admin.started = admin.config;
	fuzz_require(ask_begin(admin.base, asked) == 0);
	bus_set_slot(admin.bus, SLOT_ADMIN);
	http = evhttp_new(admin.base);
	evhttp_set_max_headers_size(http, 16384);
	evhttp_set_max_body_size(http, 65536);
	evhttp_set_allowed_methods(http, 0xffff);
	evhttp_set_gencb(http, answer_cb, NULL);
	/* the kernel finds an address */
	fuzz_require(bind(s, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	address_len = sizeof(address);
	fuzz_require(getsockname(s, (struct sockaddr *)&address, &address_len) == 0);
	evhttp_bind_listener(http, evconnlistener_new(admin.base, NULL, NULL, 0, 8, s));
}

/* Sends all of it and reads what comes; returns its length. */
static size_t converse(const uint8_t *data, size_t size)
{
	int c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	size_t sent = 0, len = 0;

	fuzz_require(connect(c, (struct sockaddr *)&address, address_len) == 0);
	for (int turn = 0; turn < TURNS; turn++) {
		ssize_t n = send(c, data + sent, size - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(admin.base, EVLOOP_NONBLOCK);
		while ((n = recv(c, answer + len, ANSWER_MAX - len, 0)) > 0)
			len += (size_t)n;
		if (n == 0)
			break;
	}
	close(c);
	for (int turn = 0; turn < 4; turn++)
		event_base_loop(admin.base, EVLOOP_NONBLOCK);
	answer[len] = '\0';
	return len;
}

/* The body of a whole answer is what its head says. */
static const char *check_one(const char *p, const char *end)
{
	const char *body = strstr(p, "\r\n\r\n"), *length, *type;
	size_t n;

	fuzz_require(strncmp(p, "HTTP/1.", 7) == 0 && isdigit((unsigned char)p[9]));
	fuzz_require(body);
	body += 4;
	length = strstr(p, "Content-Length: ");
	type = strstr(p, "Content-Type: application/json");
	if (!length || length > body)
		return end; /* one that goes on, or 100 Continue */
	n = strtoul(length + 16, NULL, 10);
	if (n > (size_t)(end - body))
		return end; /* of HEAD */
	if (type && type < body && n > 0 && body[0] == '{') {
		json_t *json = json_loadb(body, n, 0, NULL);
		const char *word = json_string_value(json_object_get(json, "error"));

		fuzz_require(json && memchr(body, '\n', n) == body + n - 1);
		fuzz_require(p[9] == '2' || p[9] == '5' || word);
		json_decref(json);
	}
	return body + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len;
	uint64_t tail;

	if (!admin.base)
		begin();
	tail = bus_cursor(admin.bus);
	len = converse(data, size);
	for (const char *p = answer; p < answer + len;)
		p = check_one(p, answer + len);
	fuzz_require(bus_cursor(admin.bus) == tail || strstr(answer, " 200 OK"));
	return 0;
}
