/*
 * happened.c - see happened.h.
 *
 * Who writes to the chronicle may be out of its mind, and what a path or a certificate says is a
 * stranger's anyway: of texts only what may be shown is shown, the rest as %XX.
 */
#include "admin/happened.h"

#include <stdio.h>
#include <string.h>

#include "admin/request.h"
#include "admin/values.h"
#include "base/log.h"
#include "base/printable.h"
#include "base/reason.h"

static json_t *json_of_bytes(const char *bytes, size_t len)
{
	char copy[CHRONICLE_TEXT_MAX + 1], out[3 * CHRONICLE_TEXT_MAX + 1], *to = out;
	const char *p = copy;

	memcpy(copy, bytes, len);
	copy[len] = '\0';
	while (p < copy + len) {
		size_t n = printable((const unsigned char *)p);

		if (n > 0)
			to = (char *)memcpy(to, p, n) + n;
		else
			to += sprintf(to, "%%%02X", (unsigned char)*p);
		p += n > 0 ? n : 1;
	}
	return json_stringn(out, (size_t)(to - out));
}

static void put(json_t *o, const char *name, json_t *value)
{
	json_object_set_new(o, name, value);
}

static void put_number(json_t *o, const char *name, uint64_t n)
{
	put(o, name, json_integer((json_int_t)n));
}

static void put_worker(json_t *o, const struct chronicle_entry *e)
{
	put_number(o, "worker", e->conn >> 56);
}

static void put_reason(json_t *o, const struct chronicle_entry *e)
{
	put(o, "reason", json_string(reason_word(e->reason)));
	put(o, "text", json_string(reason_text(e->reason)));
}

static void put_conn(json_t *o, const struct chronicle_entry *e)
{
	struct net_peer p = { .port = e->port, .family = e->family };
	char peer[NET_PEER_TEXT_MAX];

	memcpy(p.address, e->address, sizeof(p.address));
	put(o, "id", json_sprintf("%llx", (unsigned long long)e->conn));
	put_worker(o, e);
	put(o, "peer", json_string(net_peer_format(&p, peer)));
	if (e->what > 0)
		put(o, e->asked ? "path" : "endpoint", json_of_bytes(e->text, e->what));
	if (e->room > 0)
		put(o, "room", json_of_bytes(e->text + e->what + e->name + e->user, e->room));
	if (e->user > 0)
		put(o, "user", json_of_bytes(e->text + e->what + e->name, e->user));
	if (e->name > 0)
		put(o, "client", json_of_bytes(e->text + e->what, e->name));
}

static void put_end(json_t *o, const struct chronicle_entry *e)
{
	put_conn(o, e);
	put_number(o, "code", e->code);
	put(o, "initiator", json_string(reason_initiator(e->reason)));
	put_reason(o, e);
	put(o, "duration", json_real(seconds_of(e->duration)));
	put_number(o, "received", e->messages_in);
	put_number(o, "received_bytes", e->bytes_in);
	put_number(o, "sent", e->messages_out);
	put_number(o, "sent_bytes", e->bytes_out);
}

static void put_refusal(json_t *o, const struct chronicle_entry *e)
{
	put_conn(o, e);
	if (e->code != 0)
		put_number(o, "status", e->code);
	put_reason(o, e);
}

static void put_text(json_t *o, const struct chronicle_entry *e)
{
	put(o, "text", json_of_bytes(e->text, e->what));
}

static void put_death(json_t *o, const struct chronicle_entry *e)
{
	put_number(o, "pid", (uint64_t)(uint32_t)e->pid);
	put_text(o, e);
}

static void put_worker_death(json_t *o, const struct chronicle_entry *e)
{
	put_worker(o, e);
	put_death(o, e);
	put_number(o, "lost", e->lost);
}

typedef void put_fn(json_t *o, const struct chronicle_entry *e);

json_t *json_of_happened(const struct chronicle_entry *e)
{
	static put_fn *const puts[LOG_EVENT_COUNT] = {
		[LOG_EVENT_CONN_OPEN] = put_conn,           [LOG_EVENT_CONN_CLOSE] = put_end,
		[LOG_EVENT_CONN_REFUSED] = put_refusal,     [LOG_EVENT_RELOADED] = put_text,
		[LOG_EVENT_RELOAD_REFUSED] = put_text,      [LOG_EVENT_ADMIN_DIED] = put_death,
		[LOG_EVENT_WORKER_DIED] = put_worker_death,
	};
	json_t *o = json_pack("{s:s, s:f}", "event", log_event_word(e->event), "time",
			      seconds_of(e->time));

	if (o && puts[e->event])
		puts[e->event](o, e);
	return o;
}

struct chronicle_key happened_key(const struct net_peer *p)
{
	struct chronicle_key k = { .family = p->family,
				   .port = p->port,
				   .any_address = !net_peer_is_known(p) };

	memcpy(k.address, p->address, sizeof(k.address));
	return k;
}

bool happened_read_peer(struct request *r, struct net_peer *p)
{
	if (net_peer_parse(p, request_parameter(r, "peer")) == 0)
		return true;
	answer_error(r, 400, "bad-parameter",
		     "\"peer\" has to be an address, perhaps with its port, as the log has it");
	return false;
}
