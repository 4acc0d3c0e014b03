/*
 * lws.c - echo by libwebsockets, as its own examples do it: what came is queued and
 * leaves, one message for each callback, when the socket is writable.
 */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct message {
	struct message *next;
	size_t len;
	enum lws_write_protocol type;
	unsigned char bytes[];
};

struct session {
	struct message *first, **end, *partial;
};

static int append(struct lws *wsi, struct session *s, const void *in, size_t len)
{
	size_t had = s->partial ? s->partial->len : 0;
	struct message *m = realloc(s->partial, sizeof(*m) + LWS_PRE + had + len);

	if (!m)
		return -1;
	memcpy(m->bytes + LWS_PRE + had, in, len);
	m->len = had + len;
	m->next = NULL;
	m->type = lws_frame_is_binary(wsi) ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
	s->partial = m;
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
		return 0;
	s->partial = NULL;
	*s->end = m;
	s->end = &m->next;
	lws_callback_on_writable(wsi);
	return 0;
}

static int send_first(struct lws *wsi, struct session *s)
{
	struct message *m = s->first;
	int r;

	if (!m)
		return 0;
	r = lws_write(wsi, m->bytes + LWS_PRE, m->len, m->type);
	s->first = m->next;
	if (!s->first)
		s->end = &s->first;
	else
		lws_callback_on_writable(wsi);
	free(m);
	return r < 0 ? -1 : 0;
}

static void drop(struct session *s)
{
	struct message *next;

	for (struct message *m = s->first; m; m = next) {
		next = m->next;
		free(m);
	}
	free(s->partial);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t len)
{
	struct session *s = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		s->first = s->partial = NULL;
		s->end = &s->first;
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return append(wsi, s, in, len);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return send_first(wsi, s);
	case LWS_CALLBACK_CLOSED:
		drop(s);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols PROTOCOLS[] = {
	{ .name = "echo",
	  .callback = callback,
	  .per_session_data_size = sizeof(struct session),
	  .rx_buffer_size = 64 * 1024 },
	{ 0 },
};

int main(int argc, char **argv)
{
	struct lws_context_creation_info info = {
		.port = argc > 1 ? atoi(argv[1]) : 0,
		.iface = "127.0.0.1",
		.protocols = PROTOCOLS,
		.options = LWS_SERVER_OPTION_VALIDATE_UTF8,
		.pt_serv_buf_size = 64 * 1024,
		.gid = -1,
		.uid = -1,
	};
	struct lws_context *context;

	if (argc > 3) {
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.ssl_cert_filepath = argv[2];
		info.ssl_private_key_filepath = argv[3];
	}
	lws_set_log_level(LLL_ERR, NULL);
	context = lws_create_context(&info);
	if (!context)
		return 1;
	while (lws_service(context, 0) >= 0)
		;
	lws_context_destroy(context);
	return 0;
}
