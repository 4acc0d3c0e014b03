/*
 * access_group.c - the group `access`: who may come in.
 *
 * At the top it is the default, and an endpoint's has what it does not set from there, key by key. A
 * file of tokens that several name is read once; so an endpoint that sets none has the very tokens of
 * the top.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"
#include "config/alloc.h"
#include "config/jwt.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/tokens.h"

/* --- networks --- */

/* The clients of unix sockets have no address, and are in no block: they have a word of their own. */
static bool read_network(const char *word, struct cidr *out)
{
	if (strcmp(word, "unix") != 0)
		return cidr_parse(word, out);
	*out = (struct cidr){ .family = AF_UNIX };
	return true;
}

/* r: of the group that they are set in; NULL: in another, and what is wrong is reported already. */
static struct cidr *read_networks(struct config_report *r, const char *key, char *const *words)
{
	const config_setting_t *list = r != NULL ? config_setting_get_member(r->group, key) : NULL;
	struct cidr *all;
	size_t n = 0;

	if (words == NULL)
		return NULL;
	while (words[n] != NULL)
		n++;
	all = alloc_zero(n + 1, sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		const config_setting_t *s =
			list != NULL ? config_setting_get_elem(list, (unsigned)i) : NULL;

		if (!read_network(words[i], &all[i]) && s != NULL)
			report_key(r, s, key,
				   "must have blocks such as \"10.0.0.0/8\" or \"2001:db8::1\", "
				   "without bits behind the prefix, or \"unix\", not \"%s\"",
				   words[i]);
	}
	return all;
}

void networks_end(void *networks)
{
	struct config_networks *n = networks;

	if (n->owns_allowed)
		free(n->allowed);
	if (n->owns_denied)
		free(n->denied);
}

/* --- tokens --- */

/* Only who is the first to name a file hears what is wrong with it. */
static const struct token_file *read_file(struct config_report *r, const char *name,
					  const struct source_attachment *a)
{
	struct token_file *f = alloc_zero(1, sizeof(*f));

	attach_warn_mode(r, "tokens", name, a, "the tokens' hashes");
	attach_tokens(r, "tokens", a, &tokens_of_access, &f->tokens);
	f->name = alloc_string(a->name);
	named_add(&r->parse->snapshot->token_files, f);
	return f;
}

static const struct config_tokens *read_tokens(struct config_report *r, const char *name)
{
	const struct source_attachment *a = attach_file(r, "tokens", name);
	const struct token_file *f;

	if (a == NULL)
		return NULL;
	f = named_find(&r->parse->snapshot->token_files, a->name);
	return &(f != NULL ? f : read_file(r, name, a))->tokens;
}

static void end_file(void *file)
{
	struct token_file *f = file;

	free(f->tokens.list);
	free(f->name);
	free(f);
}

void access_free_files(struct snapshot *n)
{
	named_end(&n->token_files, end_file);
}

/* --- all of it --- */

/* The report of a group within r's. NULL: it is not there, or is none. *label is to be freed. */
static struct config_report *enter(const struct config_report *r, const char *name,
				   struct config_report *sub, char **label)
{
	const config_setting_t *group =
		r != NULL ? config_setting_get_member(r->group, name) : NULL;

	*label = NULL;
	if (group == NULL || !config_setting_is_group(group))
		return NULL;
	*label = report_enter(r, name, group, sub);
	return sub;
}

/* Blocks are read where they are written; of ten thousand endpoints each may have a thousand. */
static bool is_own(const struct config_report *r, const char *key, const struct config_networks *n,
		   const struct config_networks *top)
{
	return n == top || (r != NULL && config_setting_get_member(r->group, key) != NULL);
}

static void check_networks(struct config_report *access, const struct config_networks *top,
			   struct config_networks *n)
{
	struct config_report sub, *r;
	char *label;

	r = enter(access, "networks", &sub, &label);
	limits_drop_any(&n->allow);
	n->owns_allowed = is_own(r, "allow", n, top);
	n->allowed = n->owns_allowed ? read_networks(r, "allow", n->allow) : top->allowed;
	n->owns_denied = is_own(r, "deny", n, top);
	n->denied = n->owns_denied ? read_networks(r, "deny", n->deny) : top->denied;
	free(label);
}

static void check_tokens(struct config_report *r, const struct config *c, struct config_access *a)
{
	if (a->tokens_file == NULL || *a->tokens_file == '\0')
		return;
	if (r != NULL && config_setting_get_member(r->group, "tokens") != NULL &&
	    !report_is_wrong(r, "tokens"))
		a->tokens = read_tokens(r, a->tokens_file);
	else
		a->tokens = c->limits.access.tokens;
}

static void check_users(struct config_report *r, const struct config *c, struct config_access *a)
{
	if (a->users_file == NULL || *a->users_file == '\0')
		return;
	if (r != NULL && config_setting_get_member(r->group, "users") != NULL &&
	    !report_is_wrong(r, "users"))
		a->users = user_files_read(r, "users", a->users_file);
	else
		a->users = c->limits.access.users;
}

/* All of these are told in the one Authorization header that a request may have. */
static void check_possible(struct config_report *r, const struct config_access *a)
{
	/* a password is known with the request, and of who comes with both both are kept */
	const struct config_jwt *jwt = &a->jwt;
	const bool elsewhere = (jwt->cookie != NULL || jwt->query != NULL || jwt->subprotocol) &&
			       !jwt->first_message;
	const bool bearer = a->tokens != NULL || (jwt->rules != NULL && !elsewhere);

	if (r == NULL || a->satisfy == SATISFY_ANY)
		return;
	if (a->tokens != NULL && a->jwt.rules != NULL)
		config_report_error(
			r, "jwt",
			"and \"tokens\" both ask for \"Authorization: Bearer\", and who has "
			"the one has not the other: set \"satisfy\" to \"any\"");
	if (bearer && a->users != NULL)
		config_report_error(r, "users",
				    "asks for \"Authorization: Basic\", and \"%s\" for "
				    "\"Authorization: Bearer\" in its place: set \"satisfy\" to "
				    "\"any\", or ask for one of them only",
				    a->tokens != NULL ? "tokens" : "jwt");
}

void access_check(struct config_report *r, struct config_limits *l)
{
	struct config_report sub, *own;
	char *label;

	own = enter(r, "access", &sub, &label);
	check_networks(own, &r->parse->config->limits.access.networks, &l->access.networks);
	check_tokens(own, r->parse->config, &l->access);
	check_users(own, r->parse->config, &l->access);
	client_names_check(own, l->access.client_certificates);
	jwt_check(own, &r->parse->config->limits.access.jwt, &l->access.jwt);
	check_possible(own, &l->access);
	limits_check_origins(r, own, l);
	free(label);
}

bool access_names_users(const struct config_access *a)
{
	return a->tokens != NULL || a->jwt.rules != NULL || a->users != NULL ||
	       (a->client_certificates != NULL && a->client_certificates[0] != NULL);
}
