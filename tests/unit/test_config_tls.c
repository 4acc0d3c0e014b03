// links: base proto config
/*
 * test_config_tls.c - certificates, keys and authorities that a configuration names.
 *
 * They are made here, for each test in a folder of its own; what a person gets to read
 * is compared word by word.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <sys/stat.h>
#include <time.h>

#include "config/alloc.h"
#include "config/files.h"
#include "config/plan.h"
#include "person.h"

/* --- a directory of its own for each test --- */

static int setup(void **state)
{
	static char dir[] = "/tmp/test_config_XXXXXX";

	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	*state = mkdtemp(dir);
	umask(022);
	return *state != NULL ? chdir(dir) : -1;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	return chdir("/") < 0 ? -1 : system(command);
}

/* --- certificates --- */

/* Appends to a file. */
static void put(const char *name, const char *text)
{
	FILE *f = fopen(name, "a");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void put_certificate(const char *name, const struct person *p)
{
	FILE *f = fopen(name, "a");

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, p->x), 1);
	assert_int_equal(fclose(f), 0);
}

static void put_key(const char *name, const struct person *p, const char *passphrase)
{
	FILE *f = fopen(name, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, p->key,
					      passphrase != NULL ? EVP_aes_128_cbc() : NULL, NULL,
					      0, NULL, (void *)passphrase),
			 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(name, 0600), 0);
}

/* A list without entries. */
static void put_list(const char *name, const struct person *p, int next)
{
	FILE *f = fopen(name, "a");
	X509_CRL *c = person_list(p, NULL, next);

	assert_non_null(f);
	assert_int_equal(PEM_write_X509_CRL(f, c), 1);
	assert_int_equal(fclose(f), 0);
	X509_CRL_free(c);
}

/* One that signs itself, in NAME.pem and NAME.key. */
static void put_person(const char *name, struct wish w)
{
	struct person p = person_make(w);
	char file[64];

	snprintf(file, sizeof(file), "%s.pem", name);
	remove(file);
	put_certificate(file, &p);
	snprintf(file, sizeof(file), "%s.key", name);
	put_key(file, &p, NULL);
	person_end(&p);
}

/* --- configurations --- */

#define PAIR(name) "{ certificate = \"" name ".pem\"; key = \"" name ".key\"; }"
#define CERTIFICATES(list) "certificates = ( " list " ); "

/* A listener with that in its group `tls`, all in line 1 of "t.conf". */
static struct config *parse_tls(const char *tls, char **lines)
{
	char *text = alloc_format("listen = ( { address = \"127.0.0.1\"; port = 1; tls = { %s }; } "
				  ");\n" NO_ENDPOINTS,
				  tls);
	struct config *c;

	remove("t.conf");
	put("t.conf", text);
	free(text);
	c = parse_file("t.conf", lines);
	return c;
}

/* The lines are those, each behind where it is. */
static struct config *parse_with(const char *tls, const char *const *expected)
{
	char *lines, *all = strdup("");
	struct config *c = parse_tls(tls, &lines);

	for (; *expected != NULL; expected++) {
		bool warning = strncmp(*expected, "warning: ", 9) == 0;
		char *more =
			alloc_format("%s%st.conf:1: listen 1: tls: %s\n", all,
				     warning ? "warning: " : "", *expected + (warning ? 9 : 0));

		free(all);
		all = more;
	}
	assert_string_equal(lines, all);
	free(lines);
	free(all);
	return c;
}

static void check(const char *tls, const char *line)
{
	config_unref(parse_with(tls, (const char *const[]){ line, NULL }));
}

static struct config *parse_well(const char *tls)
{
	return parse_with(tls, (const char *const[]){ NULL });
}

/* --- what is good --- */

static void test_names(void **state)
{
	const struct config_certificate *all;
	struct config *c;

	(void)state;
	put_person("hosts", (struct wish){ .name = "ignored",
					   .hosts = "DNS:A.example,DNS:*.B.example.,IP:1.2.3.4" });
	put_person("common", (struct wish){ .name = "Common.Example" });
	put_person("edwards", (struct wish){ .name = "Common.Example", .kind = "ED25519" });
	c = parse_well(CERTIFICATES(PAIR("hosts") ", " PAIR("common") ", " PAIR("edwards")));
	all = c->listeners[0].tls.certificates;
	assert_true(c->listeners[0].tls.on);
	assert_int_equal(c->listeners[0].tls.certificate_count, 3);
	assert_string_equal(all[0].names[0], "a.example");
	assert_string_equal(all[0].names[1], "*.b.example");
	assert_null(all[0].names[2]);
	assert_string_equal(all[1].names[0], "common.example");
	/* another kind of key may serve the same name */
	assert_string_equal(all[2].names[0], "common.example");
	assert_int_equal(all[2].line, 1);
	config_unref(c);
}

/* A name is relative to the folder of the file that has it, wherever the daemon was started. */
static void test_names_of_files_are_relative(void **state)
{
	struct config *c;
	char *lines, *path = alloc_format("%s/t.conf", (const char *)*state);

	put_person("there", (struct wish){ .name = "there" });
	config_unref(parse_well(CERTIFICATES(PAIR("there"))));
	assert_int_equal(chdir("/"), 0);
	c = parse_file(path, &lines);
	assert_int_equal(chdir(*state), 0);
	assert_string_equal(lines, "");
	assert_string_equal(c->listeners[0].tls.certificates[0].names[0], "there");
	config_unref(c);
	free(lines);
	free(path);
}

static void test_one_name_twice(void **state)
{
	(void)state;
	put_person("a", (struct wish){ .name = "a", .hosts = "DNS:x.example,DNS:a.example" });
	put_person("b", (struct wish){ .name = "b", .hosts = "DNS:b.example,DNS:a.example" });
	check(CERTIFICATES(PAIR("a") ", " PAIR("b")),
	      "certificate: \"certificate\" is for \"a.example\", for which there is one with a "
	      "key "
	      "of the same kind at t.conf:1");
}

/* --- files that are not what they should be --- */

static void test_wrong_files(void **state)
{
	struct person p = person_make((struct wish){ .name = "p" });

	(void)state;
	put_person("a", (struct wish){ .name = "a" });
	put_person("b", (struct wish){ .name = "b" });
	put_key("locked.key", &p, "a passphrase");
	put("text", "this is no PEM\n");
	person_end(&p);

	check(CERTIFICATES("{ certificate = \"none.pem\"; key = \"a.key\"; }"),
	      "certificate: \"certificate\" \"none.pem\" cannot be read: No such file or "
	      "directory");
	check(CERTIFICATES("{ certificate = \"a.pem\"; key = \".\"; }"),
	      "certificate: \"key\" \".\" cannot be read: it is a directory");
	check(CERTIFICATES("{ certificate = \"text\"; key = \"a.key\"; }"),
	      "certificate: \"certificate\" \"text\" has no certificate in PEM format");
	check(CERTIFICATES("{ certificate = \"a.pem\"; key = \"b.key\"; }"),
	      "certificate: \"key\" \"b.key\" is not the key of \"a.pem\"");
	check(CERTIFICATES("{ certificate = \"a.pem\"; key = \"locked.key\"; }"),
	      "certificate: \"key\" \"locked.key\" is encrypted; a daemon cannot ask for a "
	      "passphrase: store the key without one and guard it by the file's mode");
	check(CERTIFICATES(PAIR("a")) "client_ca = \"text\"; verify = \"optional\";",
	      "\"client_ca\" \"text\" has no certificate in PEM format");
	config_unref(parse_with(
		CERTIFICATES(
			PAIR("a")) "client_ca = \"b.pem\"; verify = \"required\"; crl = \"text\";",
		(const char *const[]){
			"\"crl\" \"text\" has no revocation list in PEM format",
			"warning: \"text\" has no revocation list of \"CN=b\": clients whose "
			"certificates lead to that one are refused",
			NULL }));
}

/* What OpenSSL says stands behind it, and differs from one version to the next. */
static void check_begins(const char *tls, const char *begin)
{
	char *lines;

	config_unref(parse_tls(tls, &lines));
	if (strncmp(lines, begin, strlen(begin)) != 0)
		fail_msg("%s, not %s", lines, begin);
	assert_ptr_equal(strchr(lines, '\n'), lines + strlen(lines) - 1);
	free(lines);
}

static void test_wrong_pem(void **state)
{
	(void)state;
	put_person("a", (struct wish){ .name = "a" });
	put("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	check_begins(CERTIFICATES("{ certificate = \"broken\"; key = \"a.key\"; }"),
		     "t.conf:1: listen 1: tls: certificate: \"certificate\" \"broken\" has a "
		     "certificate that cannot be read: ");
	assert_int_equal(chmod("a.pem", 0600), 0);
	check_begins(CERTIFICATES("{ certificate = \"a.pem\"; key = \"a.pem\"; }"),
		     "t.conf:1: listen 1: tls: certificate: \"key\" \"a.pem\" has no private key "
		     "in PEM format: ");
}

static void test_mode_of_a_key(void **state)
{
	(void)state;
	put_person("a", (struct wish){ .name = "a" });
	assert_int_equal(chmod("a.key", 0644), 0);
	check(CERTIFICATES(PAIR("a")),
	      "warning: certificate: \"a.key\" has mode 0644, by which every user of this machine "
	      "may read the private key: take that from others (chmod o= a.key)");
	assert_int_equal(chmod("a.key", 0602), 0);
	check(CERTIFICATES(PAIR("a")),
	      "warning: certificate: \"a.key\" has mode 0602, by which every user of this machine "
	      "may replace the private key: take that from others (chmod o= a.key)");
}

/* --- what is well formed and will not be believed --- */

static void test_dates(void **state)
{
	(void)state;
	put_person("old", (struct wish){ .name = "old", .begins = -9, .days = -3 });
	put_person("young", (struct wish){ .name = "young", .begins = 2 });
	put_person("soon", (struct wish){ .name = "soon", .days = 20 });
	put_person("later", (struct wish){ .name = "later", .days = 22 });
	check(CERTIFICATES(PAIR("old")), "warning: certificate: \"old.pem\" has expired");
	check(CERTIFICATES(PAIR("soon")), "warning: certificate: \"soon.pem\" expires in 20 days");
	check_begins(CERTIFICATES(PAIR("young")),
		     "warning: t.conf:1: listen 1: tls: certificate: \"young.pem\" is not valid "
		     "before ");
	config_unref(parse_well(CERTIFICATES(PAIR("later"))));
}

/* A root, who signs one between, who signs the server. */
struct chain {
	struct person root, between, server;
};

static struct chain make_chain(void)
{
	struct chain c;

	c.root = person_make((struct wish){ .name = "root" });
	c.between = person_make((struct wish){ .name = "between", .issuer = &c.root });
	c.server = person_make((struct wish){ .name = "server", .issuer = &c.between });
	put_key("s.key", &c.server, NULL);
	return c;
}

static void end_chain(struct chain *c)
{
	person_end(&c->root);
	person_end(&c->between);
	person_end(&c->server);
}

static void test_chain(void **state)
{
	struct chain c = make_chain();
	static const char pair[] = CERTIFICATES("{ certificate = \"s.pem\"; key = \"s.key\"; }");

	(void)state;
	put_certificate("s.pem", &c.server);
	check(pair, "warning: certificate: \"s.pem\" lacks the certificate of its issuer "
		    "\"CN=between\", which this system does not trust by itself: append it, or "
		    "clients that do not have it will refuse to connect");
	put_certificate("s.pem", &c.between);
	config_unref(parse_well(pair));
	put_certificate("s.pem", &c.root);
	config_unref(parse_well(pair));
	remove("s.pem");
	put_certificate("s.pem", &c.server);
	put_certificate("s.pem", &c.root);
	put_certificate("s.pem", &c.between);
	check(pair, "warning: certificate: \"s.pem\" has a certificate of \"CN=root\" that has "
		    "signed none of those before it: the server's own has to come first, then "
		    "that of its issuer, and so on");
	end_chain(&c);
}

/* Who signs the clients may have signed the server: then nothing is missing. */
static void test_clients_authority_is_a_root(void **state)
{
	struct person root = person_make((struct wish){ .name = "root" });
	struct person server = person_make((struct wish){ .name = "server", .issuer = &root });

	(void)state;
	put_certificate("s.pem", &server);
	put_key("s.key", &server, NULL);
	put_certificate("root.pem", &root);
	config_unref(parse_well(
		CERTIFICATES(PAIR("s")) "client_ca = \"root.pem\"; verify = \"required\";"));
	person_end(&root);
	person_end(&server);
}

static void test_lists(void **state)
{
	static const char tls[] = CERTIFICATES(PAIR("s")) "client_ca = \"ca.pem\"; verify = "
							  "\"required\"; crl = \"ca.crl\";";
	struct person one = person_make((struct wish){ .name = "one" }),
		      two = person_make((struct wish){ .name = "two" });

	(void)state;
	put_person("s", (struct wish){ .name = "s" });
	put_certificate("ca.pem", &one);
	put_list("ca.crl", &one, 3);
	config_unref(parse_well(tls));
	put_list("ca.crl", &two, 0);
	put_certificate("ca.pem", &two);
	config_unref(parse_well(tls));
	remove("ca.crl");
	put_list("ca.crl", &one, -2);
	config_unref(parse_with(
		tls, (const char *const[]){
			     "warning: \"ca.crl\" (that of \"CN=one\") has expired",
			     "warning: \"ca.crl\" has no revocation list of \"CN=two\": clients "
			     "whose certificates lead to that one are refused",
			     NULL }));
	person_end(&one);
	person_end(&two);
}

/* --- as time goes by --- */

static void count_line(const char *line, void *arg)
{
	struct lines *l = arg;

	lines_add(false, line, l);
}

static void check_due(const struct config *c, int since, int now, const char *expected)
{
	struct lines l = { strdup(""), 0 };
	int64_t today = (int64_t)time(NULL);

	config_each_invalid(c, today + (int64_t)since * DAY, today + (int64_t)now * DAY, count_line,
			    &l);
	assert_string_equal(l.text, expected);
	free(l.text);
}

/* A line each day from three weeks ahead on; none twice a day. */
static void test_days_that_pass(void **state)
{
	struct config *c;
	int64_t first;

	(void)state;
	put_person("a", (struct wish){ .name = "a", .days = 30 });
	put_person("b", (struct wish){ .name = "b", .days = 300 });
	c = parse_well(CERTIFICATES(PAIR("b") ", " PAIR("a")));
	first = config_first_expiry(c) - (int64_t)time(NULL);
	assert_in_range(first, 30 * DAY + 3500, 30 * DAY + 3600);
	check_due(c, 0, 1, "");
	check_due(c, 8, 9, "");
	check_due(c, 9, 10, "t.conf:1: certificate \"a.pem\" expires in 20 days\n");
	check_due(c, 10, 10, "");
	check_due(c, 28, 31, "t.conf:1: certificate \"a.pem\" has expired\n");
	check_due(c, 31, 32, "t.conf:1: certificate \"a.pem\" has expired\n");
	config_unref(c);
}

static void test_nothing_expires(void **state)
{
	struct config *c;

	(void)state;
	remove("t.conf");
	put("t.conf", LISTEN NO_ENDPOINTS);
	c = parse_file("t.conf", NULL);
	assert_int_equal(config_first_expiry(c), 0);
	check_due(c, 0, 1000, "");
	config_unref(c);
}

/* --- comparing --- */

/* Takes both over. */
static void check_changed(struct config *old, struct config *new, unsigned changed,
			  unsigned certificates)
{
	struct plan *p = plan_new(old, old, new);

	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_CHANGED), changed);
	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_ADDED), 0);
	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_REMOVED), 0);
	assert_int_equal(plan_count(p, PLAN_CERTIFICATE, PLAN_ADDED), certificates);
	assert_int_equal(plan_count(p, PLAN_CERTIFICATE, PLAN_REMOVED), certificates);
	/* the same names of files */
	for (size_t i = 0; i < p->count; i++)
		if (p->items[i].what == PLAN_LISTENER)
			assert_true(p->items[i].files && p->items[i].count == 0);
	plan_free(p);
	config_unref(old);
	config_unref(new);
}

static void test_changed_contents(void **state)
{
	static const char tls[] = CERTIFICATES(PAIR("a"));
	struct config *c;

	(void)state;
	put_person("a", (struct wish){ .name = "a" });
	check_changed(parse_well(tls), parse_well(tls), 0, 0);
	c = parse_well(tls);
	put_person("a", (struct wish){ .name = "a" });
	check_changed(c, parse_well(tls), 1, 1);
}

static void test_changed_chain(void **state)
{
	static const char tls[] = CERTIFICATES(PAIR("s"));
	struct chain c = make_chain();
	struct config *two, *three;

	(void)state;
	put_certificate("s.pem", &c.server);
	put_certificate("s.pem", &c.between);
	two = parse_well(tls);
	put_certificate("s.pem", &c.root);
	three = parse_well(tls);
	check_changed(config_ref(two), config_ref(three), 1, 0);
	check_changed(three, two, 1, 0);
	end_chain(&c);
}

static void test_changed_clients(void **state)
{
	static const char tls[] = CERTIFICATES(PAIR("s")) "client_ca = \"ca.pem\"; verify = "
							  "\"optional\"; crl = \"ca.crl\";";
	struct person one = person_make((struct wish){ .name = "one" });
	struct config *c;

	(void)state;
	put_person("s", (struct wish){ .name = "s" });
	put_certificate("ca.pem", &one);
	put_list("ca.crl", &one, 30);
	check_changed(parse_well(tls), parse_well(tls), 0, 0);
	c = parse_well(tls);
	remove("ca.crl");
	put_list("ca.crl", &one, 60);
	check_changed(c, parse_well(tls), 1, 0);
	c = parse_well(tls);
	put_list("ca.crl", &one, 60);
	check_changed(c, parse_well(tls), 1, 0);
	person_end(&one);
}

static struct config *with_listeners(const char *listeners)
{
	struct config *c;
	char *text = alloc_format("listen = ( %s );" NO_ENDPOINTS, listeners);

	remove("t.conf");
	put("t.conf", text);
	c = parse_file("t.conf", NULL);
	assert_non_null(c);
	free(text);
	return c;
}

static void test_listeners(void **state)
{
	struct config *a = with_listeners("{ address = \"::1\"; port = 1; },"
					  "{ address = \"::1\"; port = 2; },"
					  "{ unix = \"/x\"; }, { systemd = \"s\"; }");
	struct config *b = with_listeners("{ address = \"::1\"; port = 2; backlog = 5; },"
					  "{ unix = \"/y\"; }, { systemd = \"s\"; },"
					  "{ unix = \"/z\"; }");
	struct plan *p = plan_new(a, a, b);

	(void)state;
	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_ADDED), 2);
	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_CHANGED), 1);
	assert_int_equal(plan_count(p, PLAN_LISTENER, PLAN_REMOVED), 2);
	plan_free(p);
	config_unref(a);
	config_unref(b);
}

/* --- in a worker --- */

/* It gets the files with the text, reads no disk, and warns of nothing that the master has. */
static void test_handed_on(void **state)
{
	struct config_errors *e = config_errors_new();
	struct config_source *s, *copy;
	struct lines l = { strdup(""), 0 };
	struct config *c, *d;
	size_t len;
	void *bytes;

	(void)state;
	put_person("a", (struct wish){ .name = "a", .days = 5 });
	config_unref(parse_tls(CERTIFICATES(PAIR("a")), NULL));
	s = config_load("t.conf", e);
	c = config_parse(s, test_behaviours, 1, e);
	assert_non_null(c);
	bytes = config_source_pack(s, &len);
	copy = config_source_unpack(bytes, len);
	assert_int_equal(remove("a.pem") | remove("a.key"), 0);
	config_errors_free(e);

	e = config_errors_new();
	d = config_parse(copy, test_behaviours, 1, e);
	assert_non_null(d);
	config_errors_each(e, lines_add, &l);
	assert_string_equal(l.text, "");
	assert_int_equal(X509_cmp(c->listeners[0].tls.certificates[0].leaf,
				  d->listeners[0].tls.certificates[0].leaf),
			 0);
	check_changed(c, d, 0, 0);
	alloc_free_secret(bytes, len);
	free(l.text);
	config_source_free(s);
	config_source_free(copy);
	config_errors_free(e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_one_name_twice),
		TEST(test_names_of_files_are_relative),
		TEST(test_wrong_files),
		TEST(test_wrong_pem),
		TEST(test_mode_of_a_key),
		TEST(test_dates),
		TEST(test_chain),
		TEST(test_clients_authority_is_a_root),
		TEST(test_lists),
		TEST(test_days_that_pass),
		TEST(test_nothing_expires),
		TEST(test_changed_contents),
		TEST(test_changed_chain),
		TEST(test_changed_clients),
		TEST(test_listeners),
		TEST(test_handed_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
