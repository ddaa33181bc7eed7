/** @file test_yaml.c  Diagnostics in order, YAML trees with marks, what strict YAML refuses. */
#include "ntklens/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    nl_diagnostics *diagnostics;
    nl_yaml *yaml;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);

    *state = f;
    return f == NULL || nl_diagnostics_create(&f->diagnostics) != NL_OK;
}

static int tear_down(void **state)
{
    fixture *f = *state;

    nl_yaml_destroy(&f->yaml);
    nl_diagnostics_destroy(&f->diagnostics);
    free(f);
    return 0;
}

static const nl_yaml_node *parse(fixture *f, const char *text)
{
    nl_yaml_destroy(&f->yaml);
    assert_int_equal(nl_yaml_parse("f", text, strlen(text), f->diagnostics, &f->yaml), NL_OK);
    return f->yaml != NULL ? nl_yaml_root(f->yaml) : NULL;
}

/* The one complaint about a text starts with its place and holds a phrase. */
static void expect_complaint(const char *text, size_t length, const char *place, const char *phrase)
{
    nl_diagnostics *diagnostics = NULL;
    nl_yaml *yaml = NULL;
    const char *said = NULL;

    assert_int_equal(nl_diagnostics_create(&diagnostics), NL_OK);
    assert_int_equal(nl_yaml_parse("f", text, length, diagnostics, &yaml), NL_OK);
    assert_int_equal(nl_diagnostics_count(diagnostics), 1);
    said = nl_diagnostics_text(diagnostics, 0);
    if (strncmp(said, place, strlen(place)) != 0 || strstr(said, phrase) == NULL) {
        fail_msg("'%s' where '%s' and '%s' were expected", said, place, phrase);
    }
    nl_yaml_destroy(&yaml);
    nl_diagnostics_destroy(&diagnostics);
}

static void complaints_are_told_in_the_order_of_lines(void **state)
{
    fixture *f = *state;
    nl_diagnostics *d = f->diagnostics;

    nl_diagnostics_add(d, (nl_mark){.source = "--set b=1"}, "last");
    nl_diagnostics_add(d, (nl_mark){"f", 7, 3}, "third");
    nl_diagnostics_add(d, (nl_mark){"f", 2, 9}, "second %d", 2);
    nl_diagnostics_add(d, (nl_mark){"f", 2, 1}, "first");
    nl_diagnostics_add(d, (nl_mark){"f", 7, 3}, "fourth");
    nl_diagnostics_add(d, (nl_mark){.source = "--set a=1"}, "very last");
    assert_int_equal(nl_diagnostics_count(d), 6);
    assert_string_equal(nl_diagnostics_text(d, 0), "f:2:1: first");
    assert_string_equal(nl_diagnostics_text(d, 1), "f:2:9: second 2");
    assert_string_equal(nl_diagnostics_text(d, 2), "f:7:3: third");
    assert_string_equal(nl_diagnostics_text(d, 3), "f:7:3: fourth");
    assert_string_equal(nl_diagnostics_text(d, 4), "--set b=1: last");
    assert_string_equal(nl_diagnostics_text(d, 5), "--set a=1: very last");
}

static void a_complaint_stays_one_line(void **state)
{
    fixture *f = *state;

    nl_diagnostics_add(f->diagnostics, (nl_mark){"f", 1, 1}, "a\nb\033[2Jc");
    assert_string_equal(nl_diagnostics_text(f->diagnostics, 0), "f:1:1: a?b?[2Jc");
}

static void a_tree_keeps_kinds_texts_and_marks(void **state)
{
    fixture *f = *state;
    const nl_yaml_node *root = parse(f, "# note\n"
                                        "a: 1\n"
                                        "b:\n"
                                        "  c: [x, \"2\", 'z']\n"
                                        "  d: {}\n"
                                        "e:\n");
    const nl_yaml_node *list = NULL;

    assert_int_equal(nl_diagnostics_count(f->diagnostics), 0);
    assert_int_equal(root->kind, NL_YAML_MAP);
    assert_int_equal(root->count, 3);
    assert_string_equal(root->keys[1]->text, "b");
    assert_int_equal(root->keys[1]->mark.line, 3);
    assert_int_equal(root->values[0]->mark.line, 2);
    assert_int_equal(root->values[0]->mark.column, 4);
    assert_string_equal(root->values[0]->mark.source, "f");
    assert_int_equal(root->values[1]->values[1]->kind, NL_YAML_MAP);
    assert_int_equal(root->values[1]->values[1]->count, 0);
    assert_string_equal(root->values[2]->text, "");
    list = root->values[1]->values[0];
    assert_int_equal(list->kind, NL_YAML_LIST);
    assert_int_equal(list->count, 3);
    assert_false(list->values[0]->quoted);
    assert_true(list->values[1]->quoted);
    assert_true(list->values[2]->quoted);
    assert_string_equal(list->values[1]->text, "2");
    assert_int_equal(list->values[1]->mark.column, 10);
}

static void long_lists_and_maps_are_whole(void **state)
{
    fixture *f = *state;
    nl_text text = {0};
    const nl_yaml_node *root = NULL;

    for (int k = 0; k < 300; k++) {
        nl_text_append(&text, "k%d: [%d, %d]\n", k, k, k + 1);
    }
    root = parse(f, text.data);
    nl_text_free(&text);
    assert_int_equal(root->count, 300);
    for (int k = 0; k < 300; k++) {
        assert_int_equal(atoi(root->values[k]->values[1]->text), k + 1);
    }
}

static void syntax_errors_are_told_in_words_with_their_place(void **state)
{
    static const struct {
        const char *text, *place, *phrase;
    } cases[] = {
        {"a: 1\n b: 2\n", "f:2:3: ", "a second ':' in one line"},
        {"a:\n  b: 1\n c: 2\n", "f:3:2: ", "indentation does not fit"},
        {"a:\n\tb: 1\n", "f:2:1: ", "indented with a tab"},
        {"a:\n  b: 1\n\tc: 2\n", "f:3:1: ", "indented with a tab"},
        {"a: [1, 2\nb: 3\n", "f:1:4: ", "a list [ ... ] is not closed"},
        {"a: {b: 1\n", "f:1:4: ", "a group { ... } is not closed"},
        {"a: \"x\n", "f:1:4: ", "a quote or bracket is not closed"},
        {"a: @x\n", "f:1:4: ", "stands in quotes"},
        {"a: 1\nb\nc: 2\n", "f:2:1: ", "each line is 'key: value'"},
        {"a: - 1\n", "f:1:4: ", "a line of its own"},
        {"a: \"\\q\"\n", "f:1:5: ", "unknown escape"},
        {"a: %x\n", "f:1:4: ", "stands in quotes"},
        {"a: {b:[1]}\n", "f:1:6: ", "a colon is followed by a space"},
        {"a: [1],\nb: 2\n", "f:1:7: ", "nothing more belongs in this line"},
        {"a: {b: 1 c: 2}\n", "f:1:11: ", "a comma is missing"},
        /* where libyaml stumbles a line later, or more */
        {"a: 1\nb:2\nc: 3\n", "f:2:3: ", "a space is missing behind the colon: write 'b: ...'"},
        {"b:2\n\n# none\nc: 3\n", "f:1:3: ", "a space is missing behind the colon"},
        {"a:\n  b=2\n  c: 3\n", "f:2:4: ", "'=' does not set a key in YAML: write 'b: ...'"},
        {"a = 1\nb: 3\n", "f:1:3: ", "'=' does not set a key"},
        {"a\n  b: 1\nc: 2\n", "f:1:2: ", "a colon is missing: write 'a:'"},
        {"a:\xc2\xa0"
         "1\nb: 3\n",
         "f:1:3: ", "a no-break space (U+00A0): type a plain space"},
        {"a\xef\xbc\x9a 1\nb: 3\n", "f:1:2: ", "a full-width colon (U+FF1A)"},
        {"\xef\xbb\xbf"
         "a:1\nb: 3\n",
         "f:1:3: ", "a space is missing behind the colon"},
        {"a: 1\r\nb:2\r\nc: 3\r\n", "f:2:3: ", "a space is missing behind the colon"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        expect_complaint(cases[k].text, strlen(cases[k].text), cases[k].place, cases[k].phrase);
    }
}

static void what_strict_yaml_leaves_out_is_refused(void **state)
{
    static const struct {
        const char *text, *place, *phrase;
    } cases[] = {
        {"", "f:1:1: ", "empty"},
        {"# only a comment\n", "f:1:1: ", "empty"},
        {"---\n", "f:1:1: ", "empty"},
        {"a: 1\n---\nb: 2\n", "f:2:1: ", "a second document"},
        {"a: &x 1\n", "f:1:4: ", "anchors (&x)"},
        {"a: !!int 5\n", "f:1:4: ", "tags ("},
        {"a: 1\nb: 2\na: 3\n", "f:3:1: ", "a: given twice, first in line 1"},
        {"<<: {a: 1}\n", "f:1:1: ", "merge keys"},
        {"[a]: 1\n", "f:1:1: ", "this is a list"},
        {"{a: 1}: 1\n", "f:1:1: ", "this is a group of keys"},
        {"\"\": 1\n", "f:1:1: ", "a value without a key"},
        {"a: \"x\\0y\"\n", "f:1:4: ", "a NUL character"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        expect_complaint(cases[k].text, strlen(cases[k].text), cases[k].place, cases[k].phrase);
    }
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    (void)state;
    expect_complaint("a: 1\nb: \0x\n", 11, "f:2:4: ", "not a text file");
    expect_complaint("a: 1\nb: \xff\n", 10, "f:2:4: ", "not a text file");
    expect_complaint("\xed\xa0\x80: 1\n", 7, "f:1:1: ", "not a text file");
}

static void aliases_are_refused_and_the_rest_is_still_read(void **state)
{
    fixture *f = *state;
    const nl_yaml_node *root = parse(f, "a: &x 1\nb: *x\nc: [2, *x]\n");

    assert_int_equal(nl_diagnostics_count(f->diagnostics), 3);
    assert_int_equal(root->count, 3);
    assert_int_equal(root->values[0]->kind, NL_YAML_SCALAR);
    assert_int_equal(root->values[1]->kind, NL_YAML_BROKEN);
    assert_int_equal(root->values[2]->values[1]->kind, NL_YAML_BROKEN);
    assert_string_equal(root->values[2]->values[0]->text, "2");
}

static void deep_nesting_is_refused(void **state)
{
    char text[20000];

    (void)state;
    memset(text, '[', sizeof text);
    expect_complaint(text, sizeof text, "f:1:33: ", "nested more than 32 levels");
}

static void a_value_from_the_command_line_has_no_line(void **state)
{
    fixture *f = *state;

    assert_int_equal(nl_yaml_parse_value("--set a=[1", "[1", f->diagnostics, &f->yaml), NL_OK);
    assert_null(f->yaml);
    assert_int_equal(strncmp(nl_diagnostics_text(f->diagnostics, 0), "--set a=[1: not valid", 21),
                     0);
    assert_int_equal(nl_yaml_parse_value("--set a=", "", f->diagnostics, &f->yaml), NL_OK);
    assert_int_equal(nl_diagnostics_count(f->diagnostics), 1);
    assert_string_equal(nl_yaml_root(f->yaml)->text, "");
    assert_int_equal(nl_yaml_root(f->yaml)->mark.line, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(complaints_are_told_in_the_order_of_lines, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_complaint_stays_one_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_tree_keeps_kinds_texts_and_marks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lists_and_maps_are_whole, set_up, tear_down),
        cmocka_unit_test(syntax_errors_are_told_in_words_with_their_place),
        cmocka_unit_test(what_strict_yaml_leaves_out_is_refused),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test_setup_teardown(aliases_are_refused_and_the_rest_is_still_read, set_up,
                                        tear_down),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test_setup_teardown(a_value_from_the_command_line_has_no_line, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
