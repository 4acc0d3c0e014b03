// links: base proto config
/*
 * test_config_groups.c - lists of groups, by tables that are made here.
 *
 * A forest has trees, a tree has branches (its list is in a group of its own), and each
 * has something that only its check makes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "config/alloc.h"
#include "config/files.h"
#include "config/parse.h"
#include "config/source.h"
#include "config/syntax.h"

struct branch {
	int64_t length, leaves;
	char *made;
	const char *file;
	int line;
	unsigned element;
};

struct crown {
	bool green;
	struct branch *branches;
	size_t branch_count;
};

struct tree {
	char *name;
	int64_t length;
	struct crown crown;
	char *made;
	size_t before; /* how many trees its check saw ahead of it */
	const char *file;
	int line;
	unsigned element;
};

struct forest {
	int64_t length; /* what a tree does not say */
	bool checked;
	struct tree *trees;
	struct branch *twigs; /* may be missing, may be empty */
	size_t tree_count, twig_count;
};

/* What was made by checks, less what was ended: nothing, when a forest is gone. */
static int made;

static char *make(void)
{
	made++;
	return strdup("made");
}

static void unmake(char *p)
{
	made -= p != NULL;
	free(p);
}

static void branch_check(struct config_report *r, void *holder, void *branch)
{
	const struct crown *c = holder;
	struct branch *b = branch;

	b->made = make();
	if (b->length == 13)
		config_report_error(r, "length", "brings bad luck");
	assert_true(b == &c->branches[c->branch_count - 1]);
}

static void branch_end(void *branch)
{
	unmake(((struct branch *)branch)->made);
}

static void crown_check(struct config_report *r, void *holder, void *crown)
{
	struct tree *t = holder;
	struct crown *c = crown;

	assert_true(c == &t->crown);
	assert_int_equal(c->branch_count, 0); /* its lists come after it */
	if (!c->green)
		config_report_error(r, "green", "must be true in summer");
}

static void tree_check(struct config_report *r, void *holder, void *tree)
{
	const struct forest *f = holder;
	struct tree *t = tree;

	(void)r;
	assert_true(f->checked);
	t->made = make();
	t->before = (size_t)(t - f->trees);
	assert_int_equal(t->before + 1, f->tree_count);
}

static void tree_end(void *tree)
{
	unmake(((struct tree *)tree)->made);
}

static void forest_check(struct config_report *r, void *holder, void *forest)
{
	struct forest *f = forest;

	(void)r;
	assert_null(holder);
	assert_int_equal(f->tree_count, 0);
	f->checked = true;
}

/* versions of clang-format differ about braces alone in a macro */
// clang-format off
#define ROW(of, field, ...) { .name = #field, .offset = offsetof(struct of, field), __VA_ARGS__ }
#define LIST(holder, counter, of) \
	.size = sizeof(struct of), .count = offsetof(struct holder, counter), \
	.file = offsetof(struct of, file), .line = offsetof(struct of, line), \
	.element = offsetof(struct of, element)
// clang-format on

static const struct config_key branch_keys[] = {
	ROW(branch, length, .type = CONFIG_INT, .preset = "1", .max = 100),
	ROW(branch, leaves, .type = CONFIG_INT, .required = true),
	{ 0 },
};
static const struct config_group branch_group = {
	.keys = branch_keys, .whose = "a branch", .check = branch_check, .end = branch_end
};
static const struct config_list branch_list = { LIST(crown, branch_count, branch), .noun = "branch",
						.plural = "branches",
						.example = "{ leaves = 3; }" };

static const struct config_key crown_keys[] = {
	ROW(crown, green, .type = CONFIG_BOOL, .preset = "true"),
	ROW(crown, branches, .type = CONFIG_GROUPS, .required = true, .min = 1, .max = 3,
	    .group = &branch_group, .list = &branch_list),
	{ 0 },
};
static const struct config_group crown_group = { .keys = crown_keys, .check = crown_check };

static const struct config_key tree_keys[] = {
	ROW(tree, name, .type = CONFIG_STRING, .required = true, .min = 1),
	ROW(tree, length, .type = CONFIG_INT, .preset = "5", .max = 100),
	ROW(tree, crown, .type = CONFIG_GROUP, .group = &crown_group),
	{ 0 },
};
static const struct config_group tree_group = {
	.keys = tree_keys, .whose = "a tree", .check = tree_check, .end = tree_end
};
static const struct config_list tree_list = { LIST(forest, tree_count, tree),
					      .noun = "tree",
					      .named_by = "name",
					      .plural = "trees",
					      .unique = "name",
					      .empty = "this is a meadow",
					      .example = "{ name = \"oak\"; }",
					      .inherits = true };

static const struct config_group twig_group = { .keys = branch_keys, .whose = "a twig" };
static const struct config_list twig_list = { LIST(forest, twig_count, branch), .noun = "twig",
					      .unnumbered = true, .plural = "of them" };

static const struct config_key forest_keys[] = {
	ROW(forest, length, .type = CONFIG_INT, .preset = "7"),
	ROW(forest, twigs, .type = CONFIG_GROUPS, .group = &twig_group, .list = &twig_list),
	ROW(forest, trees, .type = CONFIG_GROUPS, .required = true, .max = 4, .group = &tree_group,
	    .list = &tree_list),
	{ 0 },
};
static const struct config_group forest_group = { .keys = forest_keys,
						  .whose = "the forest",
						  .check = forest_check };

/* --- a forest out of a text --- */

struct grown {
	struct forest forest;
	struct snapshot snapshot;
	char *files[2];
	struct lines lines; /* what was reported, the name of the file left out */
};

static void grow_tree(struct grown *g, struct config_source *s, struct config_errors *e)
{
	static const struct behaviour *const none[] = { NULL };
	struct parse p = { .source = s,
			   .behaviours = none,
			   .errors = e,
			   .snapshot = &g->snapshot,
			   .config = &g->snapshot.config,
			   .tables = &forest_group,
			   .top = { .errors = e, .source = s, .parse = &p } };
	config_t lib;

	assert_true(syntax_parse(s, &lib, e));
	p.top.group = config_root_setting(&lib);
	fill_group(&p.top, &forest_group, NULL, NULL, &g->forest, NULL);
	config_destroy(&lib);
}

/* Without the name of the file, which is another one each time. */
static void add_line(bool warning, const char *line, void *arg)
{
	const char *colon = strchr(line, ':');

	lines_add(warning, colon + 1, arg);
}

static struct grown grow(const char *text)
{
	struct config_errors *e = config_errors_new();
	struct grown g = { .lines = { strdup(""), 0 } };
	char path[64];
	int fd = text_file(text, strlen(text), path);
	struct config_source *s = config_load(path, e);

	assert_non_null(s);
	close(fd);
	g.files[0] = strdup(s->files[0]);
	g.snapshot.files = g.files;
	grow_tree(&g, s, e);
	config_errors_each(e, add_line, &g.lines);
	config_source_free(s);
	config_errors_free(e);
	return g;
}

static void clear(struct grown *g)
{
	fill_end(&forest_group, &g->forest);
	places_free(&g->snapshot.places);
	free(g->files[0]);
	free(g->lines.text);
}

/* The last one. */
static void fell(struct grown *g)
{
	clear(g);
	assert_int_equal(made, 0);
}

static void check_lines(const char *text, const char *expected)
{
	struct grown g = grow(text);

	assert_string_equal(g.lines.text, expected);
	fell(&g);
}

/* --- what is good --- */

static const char two_trees[] = "trees = (\n"
				"  { name = \"oak\"; length = 9; crown = {\n"
				"      branches = ( { leaves = 3; },\n"
				"                   { leaves = 4; length = 2; } ); }; },\n"
				"  { name = \"fir\"; }\n"
				");\n";

static void test_filled(void **state)
{
	struct grown g = grow(two_trees);
	const struct tree *t = g.forest.trees;

	(void)state;
	assert_string_equal(g.lines.text, "");
	assert_int_equal(g.forest.tree_count, 2);
	assert_string_equal(t[0].name, "oak");
	assert_int_equal(t[0].line, 2);
	assert_ptr_equal(t[0].file, g.files[0]);
	assert_int_equal(t[0].before, 0);
	assert_string_equal(t[1].name, "fir");
	assert_int_equal(t[1].line, 5);
	assert_int_equal(t[1].before, 1);
	assert_int_equal(t[1].crown.branch_count, 0);
	assert_null(t[1].crown.branches);
	assert_true(t[1].crown.green);
	assert_null(g.forest.twigs);
	fell(&g);
}

static void test_nested(void **state)
{
	struct grown g = grow(two_trees);
	const struct crown *c = &g.forest.trees[0].crown;

	(void)state;
	assert_int_equal(c->branch_count, 2);
	assert_int_equal(c->branches[0].leaves, 3);
	assert_int_equal(c->branches[0].line, 3);
	assert_int_equal(c->branches[1].leaves, 4);
	assert_int_equal(c->branches[1].length, 2);
	assert_int_equal(c->branches[1].line, 4);
	assert_string_equal(c->branches[1].made, "made");
	fell(&g);
}

/* A tree takes from the forest, a twig does not: its list does not say so. */
static void test_inherited(void **state)
{
	char *text = alloc_format("%s twigs = ( { leaves = 1; } );", two_trees);
	struct grown g = grow(text);
	const struct tree *t = g.forest.trees;

	(void)state;
	assert_int_equal(t[0].length, 9);
	assert_int_equal(t[1].length, 7);
	assert_int_equal(t[0].crown.branches[0].length, 1);
	assert_int_equal(g.forest.twigs[0].length, 1);
	fell(&g);
	free(text);
}

static void test_empty(void **state)
{
	struct grown g = grow("trees = ( ); twigs = ( );");

	(void)state;
	assert_string_equal(g.lines.text, "warning: 1: \"trees\" is empty: this is a meadow\n");
	assert_int_equal(g.forest.tree_count, 0);
	assert_int_equal(g.forest.twig_count, 0);
	fell(&g);
}

/* --- what is wrong with a list --- */

static void test_missing(void **state)
{
	(void)state;
	check_lines("length = 1;\n", "1: missing setting \"trees\", for example: trees = ( { name "
				     "= \"oak\"; } );\n");
	check_lines("trees = ( { name = \"oak\"; crown = { }; } );\n",
		    "1: tree \"oak\": crown: needs a branch: branches = ( { leaves = 3; } );\n");
	check_lines("trees = (\n{ name = \"oak\"; crown =\n{ branches = ( ); }; } );\n",
		    "2: tree \"oak\": crown: needs a branch: branches = ( { leaves = 3; } );\n");
}

static void test_no_list(void **state)
{
	(void)state;
	check_lines("trees = 3;\ntwigs = [ 1 ];\n",
		    "1: \"trees\" must be a list of groups: ( { ... }, { ... } ), not the number "
		    "3\n"
		    "2: \"twigs\" must be a list of groups: ( { ... }, { ... } ), not an array\n");
	check_lines("trees = ( { name = \"a\"; crown = 1; } );\n",
		    "1: tree \"a\": \"crown\" must be a group: { ... }, not the number 1\n");
}

/* None of those is read: errors of theirs are not told, and nothing is made. */
static void test_too_many(void **state)
{
	struct grown g = grow("trees = ( { }, { }, { }, { }, { } );\n");

	(void)state;
	assert_string_equal(g.lines.text, "1: \"trees\" has 5 trees; at most 4 are possible\n");
	assert_int_equal(g.forest.tree_count, 0);
	fell(&g);
	g = grow("trees = ( { name = \"a\"; }, { name = \"b\"; }, { name = \"c\"; }, { name = "
		 "\"d\"; } );\n");
	assert_string_equal(g.lines.text, "");
	assert_int_equal(g.forest.tree_count, 4);
	fell(&g);
}

/* --- what is wrong with an element --- */

/* The array has those that are groups; in errors they have their number in the list. */
static void test_no_group(void **state)
{
	struct grown g = grow("trees = ( 5,\n{ name = \"\"; },\n\"x\",\n{ length = 2; } );\n"
			      "twigs = ( true );\n");

	(void)state;
	assert_string_equal(g.lines.text,
			    "1: tree 1: must be a group: { ... }, not the number 5\n"
			    "2: tree \"\": \"name\" must not be empty\n"
			    "3: tree 3: must be a group: { ... }, not the string \"x\"\n"
			    "4: tree 4: missing setting \"name\"\n"
			    "5: twig 1: must be a group: { ... }, not true\n");
	assert_int_equal(g.forest.tree_count, 2);
	assert_int_equal(g.forest.trees[1].length, 2);
	assert_int_equal(g.forest.trees[1].line, 4);
	fell(&g);
}

static void test_wrong_value(void **state)
{
	(void)state;
	check_lines("twigs = ( { leaves = 1; }, { length = 101; } );\n"
		    "trees = ( { name = 3; length = \"x\"; } );\n",
		    "1: twig: \"length\" must be from 0 to 100, not 101\n"
		    "1: twig: missing setting \"leaves\"\n"
		    "2: tree 1: \"name\" must be a string, not the number 3\n"
		    "2: tree 1: \"length\" must be a whole number, not the string \"x\"\n");
}

static void test_unknown(void **state)
{
	(void)state;
	check_lines("trees = ( { name = \"oak\"; lenght = 1;\n"
		    "crown = { branches = ( { leaves = 1; laeves = 2; name = 1; zzz = 1; } ); };\n"
		    "green = true; branches = ( ); } );\n"
		    "leaves = 4; twigs = ( { leaves = 1; grene = 1; } );\n",
		    "1: tree \"oak\": unknown setting \"lenght\" (did you mean \"length\"?)\n"
		    "2: tree \"oak\": crown: branch 1: unknown setting \"laeves\" (did you mean "
		    "\"leaves\"?)\n"
		    "2: tree \"oak\": crown: branch 1: \"name\" is a setting of a tree, not of a "
		    "branch\n"
		    "2: tree \"oak\": crown: branch 1: unknown setting \"zzz\"\n"
		    "3: tree \"oak\": \"green\" is a setting of crown, not of a tree\n"
		    "3: tree \"oak\": \"branches\" is a setting of crown, not of a tree\n"
		    "4: \"leaves\" is a setting of a twig and a branch, not of the forest\n"
		    "4: twig: unknown setting \"grene\"\n");
}

/* Two that are told of one in line 1; their line and name each. */
static void check_twice(const char *text, const char *one, const char *other)
{
	struct grown g = grow(text);
	char expected[512];

	snprintf(expected, sizeof(expected),
		 "%s: \"name\" is declared already at %s:1\n"
		 "%s: \"name\" is declared already at %s:1\n",
		 one, g.files[0], other, g.files[0]);
	assert_string_equal(g.lines.text, expected);
	fell(&g);
}

/* Each is told of the first, in the order of the file; who has no name is like nobody. */
static void test_twice(void **state)
{
	(void)state;
	check_twice("trees = ( { name = \"b\"; },\n{ name = \"a\"; },\n"
		    "{ name = \"b\"; },\n{ name = \"b\"; } );\n",
		    "3: tree \"b\"", "4: tree \"b\"");
	check_twice("trees = ( { name = \"b\"; }, { name = \"a\"; }, { name = \"b\"; }, { name = "
		    "\"a\"; } );",
		    "1: tree \"b\"", "1: tree \"a\"");
	check_lines("trees = ( { },\n{ } );\n", "1: tree 1: missing setting \"name\"\n"
						"2: tree 2: missing setting \"name\"\n");
}

/* What a check reports has its place and name; what it made is ended all the same. */
static void test_check_fails(void **state)
{
	(void)state;
	check_lines("trees = ( { name = \"oak\"; crown = { green = false;\n"
		    "branches = ( { leaves = 1; },\n{ leaves = 1; length = 13; } ); }; } );\n",
		    "1: tree \"oak\": crown: \"green\" must be true in summer\n"
		    "3: tree \"oak\": crown: branch 2: \"length\" brings bad luck\n");
}

/* --- comparing --- */

static void check_same(const char *a, const char *b, bool same)
{
	struct grown x = grow(a), y = grow(b);

	assert_true(fill_same(forest_keys, &x.forest, &y.forest) == same);
	assert_true(fill_same(forest_keys, &y.forest, &x.forest) == same);
	clear(&x);
	fell(&y);
}

static void test_same(void **state)
{
	(void)state;
	check_same(two_trees, two_trees, true);
	check_same("trees = ( );", "twigs = ( ); trees = ( );", true);
	check_same("trees = ( );", two_trees, false);
	check_same("trees = ( { name = \"a\"; } );", "trees = ( { name = \"b\"; } );", false);
	check_same("trees = ( { name = \"a\"; crown = { branches = ( { leaves = 1; } ); }; } );",
		   "trees = ( { name = \"a\"; crown = { branches = ( { leaves = 2; } ); }; } );",
		   false);
	/* where it stands is no part of it */
	check_same("trees = ( { name = \"a\"; } );", "\n\ntrees = ( { name = \"a\"; } );", true);
}

static int begin(void **state)
{
	(void)state;
	made = 0;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_filled),   TEST(test_nested),   TEST(test_inherited),
		TEST(test_empty),    TEST(test_missing),  TEST(test_no_list),
		TEST(test_too_many), TEST(test_no_group), TEST(test_wrong_value),
		TEST(test_unknown),  TEST(test_twice),    TEST(test_check_fails),
		TEST(test_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
