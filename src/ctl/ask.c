/*
 * ask.c - see ask.h.
 *
 * libcurl does the asking, one question at a time over a connection that it keeps. Whom we ask is
 * named on the command line and nobody else: no proxy, no redirection, no protocol but HTTP. The
 * answer is bounded, and nothing of it is believed before it was looked at.
 */
#include "ctl/ask.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/visible.h"
#include "ctl/token.h"
#include "ctl/trouble.h"
#include "ctl/whom.h"

struct asker {
	CURL *curl;
	const char *socket, *url; /* one of them is NULL */
	char *authorization; /* the header; NULL: none */
	bool (*ended)(void);
	char error[CURL_ERROR_SIZE];
};

static int progress_cb(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e)
{
	const struct asker *d = arg;

	(void)a, (void)b, (void)c, (void)e;
	return d->ended && d->ended();
}

/* Whether scheme and host are such that a token may be sent there: over TLS, or within this machine. */
static bool is_safe(const char *scheme, const char *host)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++)
		if (strcmp(host, local[i]) == 0)
			return true;
	return strcmp(scheme, "https") == 0;
}

/* Whether the URL is one, and one to send a token to if there is one. */
static bool check_url(const char *url, bool token)
{
	CURLU *u = trouble_if_null(curl_url());
	char *scheme = NULL, *host = NULL;
	bool good = curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
		    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		    strncmp(scheme, "http", 4) == 0;

	if (!good)
		trouble("-H takes http://HOST:PORT or https://HOST:PORT, not \"%s\"", url);
	else if (token && !(good = is_safe(scheme, host)))
		trouble("a token is sent to https:// or to this machine alone, not to %s", url);
	curl_free(scheme);
	curl_free(host);
	curl_url_cleanup(u);
	return good;
}

static bool use_url(struct asker *d, const struct whom *w)
{
	char token[TOKEN_LINE_MAX];

	if (!check_url(w->url, w->token_file != NULL))
		return false;
	if (w->cacert)
		curl_easy_setopt(d->curl, CURLOPT_CAINFO, w->cacert);
	if (!w->token_file)
		return true;
	if (token_read(w->token_file, token) < 0)
		return false;
	if (asprintf(&d->authorization, "Authorization: Bearer %s", token) < 0)
		trouble_if_null(NULL);
	return true;
}

static void set_up(struct asker *d)
{
	curl_easy_setopt(d->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(d->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(d->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(d->curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(d->curl, CURLOPT_USERAGENT, "ignyxctl/" IGNYX_VERSION);
	curl_easy_setopt(d->curl, CURLOPT_ERRORBUFFER, d->error);
	curl_easy_setopt(d->curl, CURLOPT_CONNECTTIMEOUT, 10L);
	curl_easy_setopt(d->curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(d->curl, CURLOPT_XFERINFOFUNCTION, progress_cb);
	curl_easy_setopt(d->curl, CURLOPT_XFERINFODATA, d);
	if (d->socket)
		curl_easy_setopt(d->curl, CURLOPT_UNIX_SOCKET_PATH, d->socket);
	asker_set_timeout(d, 100);
}

struct asker *asker_new(const struct arguments *a)
{
	struct asker *d = trouble_if_null(calloc(1, sizeof(*d)));
	struct whom w;

	whom_find(&w, a);
	d->curl = trouble_if_null(curl_easy_init());
	d->socket = w.socket;
	d->url = w.url;
	if (d->url && !use_url(d, &w)) {
		asker_free(d);
		return NULL;
	}
	set_up(d);
	return d;
}

void asker_free(struct asker *d)
{
	if (!d)
		return;
	curl_easy_cleanup(d->curl);
	free(d->authorization);
	free(d);
}

void asker_set_timeout(struct asker *d, double seconds)
{
	curl_easy_setopt(d->curl, CURLOPT_TIMEOUT_MS, (long)(seconds * 1000));
}

void asker_set_break(struct asker *d, bool (*ended)(void))
{
	d->ended = ended;
}

static size_t write_cb(char *p, size_t size, size_t n, void *arg)
{
	struct buffer *body = arg;

	n *= size;
	if (n > ASK_ANSWER_MAX - body->len || !buffer_append(body, p, n))
		return 0;
	return n;
}

/* The target of the question in the form that the wire wants; the caller's to curl_free. */
static char *target_of(const struct asker *d, const struct question *q)
{
	CURLU *u = trouble_if_null(curl_url());
	char *path, *query, *url = NULL;
	CURLUcode rc = curl_url_set(u, CURLUPART_URL, d->url ? d->url : "http://localhost", 0);

	if (asprintf(&path, "%s%s", q->path, q->below ? q->below : "") < 0)
		trouble_if_null(NULL);
	if (rc == CURLUE_OK)
		rc = curl_url_set(u, CURLUPART_PATH, path, CURLU_URLENCODE);
	free(path);
	for (size_t i = 0; i < ASK_QUERIES && q->query[i].name && rc == CURLUE_OK; i++) {
		if (!q->query[i].value)
			continue;
		if (asprintf(&query, "%s=%s", q->query[i].name, q->query[i].value) < 0)
			trouble_if_null(NULL);
		rc = curl_url_set(u, CURLUPART_QUERY, query, CURLU_APPENDQUERY | CURLU_URLENCODE);
		free(query);
	}
	if (rc == CURLUE_OK)
		rc = curl_url_get(u, CURLUPART_URL, &url, 0);
	curl_url_cleanup(u);
	return rc == CURLUE_OK ? url : NULL;
}

static struct curl_slist *header(struct curl_slist *list, const char *line)
{
	return trouble_if_null(curl_slist_append(list, line));
}

static struct curl_slist *headers_of(const struct asker *d, const struct question *q)
{
	struct curl_slist *list = header(NULL, "Accept: application/json, text/plain");
	char type[128], *key;

	if (d->authorization)
		list = header(list, d->authorization);
	if (q->key) {
		if (asprintf(&key, "Idempotency-Key: %s", q->key) < 0)
			trouble_if_null(NULL);
		list = header(list, key);
		free(key);
	}
	/* without a body there is none, whatever libcurl thinks of POST */
	snprintf(type, sizeof(type), "Content-Type:%s%s", q->body ? " " : "",
		 q->body ? q->type : "");
	return header(list, type);
}

static void set_method(CURL *curl, const struct question *q)
{
	const char *method = q->method ? q->method : q->body ? "POST" : "GET";

	curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, "GET") == 0) {
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
		return;
	}
	if (strcmp(method, "DELETE") != 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body ? q->body : "");
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->len);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static char *text(const char *s)
{
	return trouble_if_null(visible_escaped(s));
}

/* What may be done about it over TCP. */
static const char *advice(const struct asker *d, CURLcode rc)
{
	switch (rc) {
	case CURLE_COULDNT_CONNECT:
		return "; does ignyxd run there, and has \"listen\" of its \"admin\" this address "
		       "and "
		       "port?";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "; if an authority of your own has signed its certificate: --cacert FILE";
	case CURLE_SSL_CACERT_BADFILE:
		return "; --cacert takes a file of certificates in PEM";
	case CURLE_SSL_CONNECT_ERROR:
		return "; if nobody speaks TLS there: http://";
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
		return strncmp(d->url, "http:", 5) == 0 ? "; if TLS is spoken there: https://" : "";
	default:
		return "";
	}
}

/* Why there was no answer, in libcurl's words, which may have some of who is at the other end. */
static char *no_answer(const struct asker *d, CURLcode rc)
{
	char *words = text(*d->error ? d->error : curl_easy_strerror(rc)), *why;
	int n = asprintf(&why, "no answer from %s: %s%s", d->socket ? d->socket : d->url, words,
			 d->socket ? "" : advice(d, rc));

	free(words);
	return trouble_if_null(n < 0 ? NULL : why);
}

/* Whether asking once more is of no use. */
static bool is_final(CURLcode rc, long error)
{
	return (rc == CURLE_COULDNT_CONNECT && (error == EACCES || error == EPERM)) ||
	       rc == CURLE_PEER_FAILED_VERIFICATION || rc == CURLE_SSL_CACERT_BADFILE;
}

static void note_failure(struct asker *d, CURLcode rc, struct answer *out)
{
	long error = 0;

	curl_easy_getinfo(d->curl, CURLINFO_OS_ERRNO, &error);
	out->outcome = is_final(rc, error) ? ANSWER_FORBIDDEN : ANSWER_NONE;
	if (rc == CURLE_COULDNT_CONNECT && d->socket && error != 0) {
		out->why = trouble_socket(d->socket, (int)error);
	} else if (rc == CURLE_WRITE_ERROR) {
		out->why = text("the answer is longer than 16 MiB, or there is no memory for it");
	} else {
		out->why = no_answer(d, rc);
	}
}

/* The daemon's own sentence and word, the first reason of /ready, or that there is none of these. */
static char *words_of(const json_t *json)
{
	const char *word = json_string_value(json_object_get(json, "error"));
	const char *message = json_string_value(json_object_get(json, "message"));
	char *words, *shown;
	int n;

	if (!message)
		message = json_string_value(json_array_get(json_object_get(json, "reasons"), 0));
	if (!message && !word)
		message = "no reason is given";
	n = asprintf(&words, "%s%s%s", message ? message : "", message && word ? ": " : "",
		     word ? word : "");
	shown = text(trouble_if_null(n < 0 ? NULL : words));
	free(words);
	return shown;
}

/* Who is let in, as the end of a sentence; NULL: that is not what was wrong. */
static char *who_may(const struct asker *d, int status)
{
	char *owners = NULL, *who = NULL;
	int n = 0;

	if (status == 403 && d->socket) {
		owners = trouble_owners(d->socket);
		n = asprintf(&who, "; %s %s", d->socket, owners);
		free(owners);
	} else if (status == 403) {
		n = asprintf(&who, "; ignyxctl token make NAME SCOPE makes one with another");
	} else if (status == 401) {
		n = asprintf(&who, "%s",
			     d->authorization ? "; is its line in that file, and was that reloaded?"
					      : ": --token-file FILE");
	}
	return n < 0 ? trouble_if_null(NULL) : who;
}

static void note_refusal(const struct asker *d, struct answer *out)
{
	char *who = who_may(d, out->status), *words = words_of(out->json);
	int n = asprintf(&out->why, "%s (%d)%s", words, out->status, who ? who : "");

	trouble_if_null(n < 0 ? NULL : out->why);
	free(who);
	free(words);
}

static void note_answer(struct asker *d, struct answer *out)
{
	long status = 0;

	curl_easy_getinfo(d->curl, CURLINFO_RESPONSE_CODE, &status);
	out->status = (int)status;
	out->json = json_loadb((const char *)out->body.p, out->body.len, 0, NULL);
	out->outcome = status >= 200 && status < 300 ? ANSWER_GOOD : ANSWER_REFUSED;
	if (out->outcome == ANSWER_REFUSED)
		note_refusal(d, out);
}

static void perform(struct asker *d, const struct question *q, curl_write_callback write, void *to,
		    struct answer *out)
{
	char *url = target_of(d, q);
	struct curl_slist *headers = headers_of(d, q);
	CURLcode rc = CURLE_URL_MALFORMAT;

	*d->error = '\0';
	if (url) {
		set_method(d->curl, q);
		curl_easy_setopt(d->curl, CURLOPT_URL, url);
		curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(d->curl, CURLOPT_WRITEFUNCTION, write);
		curl_easy_setopt(d->curl, CURLOPT_WRITEDATA, to);
		rc = curl_easy_perform(d->curl);
		curl_easy_setopt(d->curl, CURLOPT_HTTPHEADER, NULL);
	}
	if (rc == CURLE_OK)
		note_answer(d, out);
	else
		note_failure(d, rc, out);
	curl_slist_free_all(headers);
	curl_free(url);
}

void ask(struct asker *d, const struct question *q, struct answer *out)
{
	*out = (struct answer){ 0 };
	perform(d, q, write_cb, &out->body, out);
}

/* --- what goes on --- */

struct lines {
	struct asker *asker;
	struct buffer *rest; /* of a line that is not whole, or an answer that has none */
	bool (*line)(const json_t *line, void *arg);
	void *arg;
	bool strange; /* a line is no JSON object */
};

/* One line, of which end is behind the last byte. */
static bool take_line(struct lines *l, const char *begin, const char *end)
{
	json_t *json = json_loadb(begin, (size_t)(end - begin), JSON_ALLOW_NUL, NULL);
	bool goes_on;

	l->strange = !json_is_object(json);
	goes_on = !l->strange && l->line(json, l->arg);
	json_decref(json);
	return goes_on;
}

static bool take_lines(struct lines *l)
{
	char *begin = (char *)l->rest->p, *end = begin + l->rest->len, *feed;
	bool goes_on = true;

	while (goes_on && (feed = memchr(begin, '\n', (size_t)(end - begin))) != NULL) {
		goes_on = take_line(l, begin, feed);
		begin = feed + 1;
	}
	l->rest->len = (size_t)(end - begin);
	memmove(l->rest->p, begin, l->rest->len);
	return goes_on;
}

static size_t lines_cb(char *p, size_t size, size_t n, void *arg)
{
	struct lines *l = arg;
	long status = 0;

	n = write_cb(p, size, n, l->rest);
	curl_easy_getinfo(l->asker->curl, CURLINFO_RESPONSE_CODE, &status);
	return status != 200 || n == 0 || take_lines(l) ? n : 0;
}

static void end_cb(int sig)
{
	(void)sig;
	_exit(CTL_DONE);
}

static void end_well(void)
{
	const struct sigaction action = { .sa_handler = end_cb };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGPIPE, &action, NULL);
}

void ask_follow(struct asker *d, const struct question *q,
		bool (*line)(const json_t *line, void *arg), void *arg, struct answer *out)
{
	struct lines l = { .asker = d, .rest = &out->body, .line = line, .arg = arg };

	*out = (struct answer){ 0 };
	end_well();
	asker_set_timeout(d, 0);
	perform(d, q, lines_cb, &l, out);
	if (l.strange)
		answer_is_strange(out, NULL, q->path);
}

bool ask_is_path(const char *word)
{
	if (*word == '/')
		return true;
	trouble("the path of a room begins with a slash: /%s", word);
	return false;
}

void ask_print_line(const json_t *line)
{
	json_dumpf(line, stdout,
		   JSON_COMPACT | JSON_REAL_PRECISION(15) |
			   (visible_columns() > 0 ? JSON_ENSURE_ASCII : 0));
	putchar('\n');
}

void answer_free(struct answer *a)
{
	json_decref(a->json);
	json_decref(a->silent);
	buffer_free(&a->body);
	free(a->why);
	*a = (struct answer){ 0 };
}

void answer_is_strange(struct answer *a, const char *key, const char *where)
{
	int n;

	free(a->why);
	a->outcome = ANSWER_REFUSED;
	n = asprintf(&a->why, "what the daemon answers is of another kind than expected: %s%s%s",
		     key ? key : "", key ? " in " : "", where);
	trouble_if_null(n < 0 ? NULL : a->why);
}

int answer_trouble(const struct answer *a)
{
	trouble("%s", a->why);
	return a->outcome == ANSWER_REFUSED ? CTL_FAILED : CTL_UNREACHABLE;
}

int answer_ended(const struct answer *a)
{
	if (a->outcome != ANSWER_GOOD)
		return answer_trouble(a);
	trouble("the daemon has ended the stream");
	return CTL_FAILED;
}

/* As it came; on a terminal with all but ASCII escaped, which is the same JSON. */
static void print_as_it_came(const struct answer *a)
{
	if (visible_columns() > 0 && a->json)
		json_dumpf(a->json, stdout, JSON_ENSURE_ASCII | JSON_INDENT(2));
	else
		fwrite(a->body.p, 1, a->body.len, stdout);
	if (a->body.len > 0 && a->body.p[a->body.len - 1] != '\n')
		putchar('\n');
}

int ask_object(struct asker *d, const struct arguments *a, const struct question *q,
	       struct answer *out)
{
	ask(d, q, out);
	if (a->option[OPTION_JSON] && out->json)
		print_as_it_came(out);
	if (out->outcome != ANSWER_GOOD)
		return answer_trouble(out);
	if (json_is_object(out->json))
		return CTL_DONE;
	answer_is_strange(out, NULL, "no JSON object");
	return answer_trouble(out);
}
