/** @file test_keys.c  The key table, study files that are accepted, the resolved file, the folder
 * of the data. */
#include "ntklens/io.h"
#include "outcome.h"

#include <math.h>

static nl_study *expect_study(const char *text, const char *set)
{
    outcome o = parse(text, set != NULL, &set);
    nl_study *study = o.study;

    if (o.status != NL_OK) {
        fail_msg("'%s' with --set %s: %s", text, set != NULL ? set : "nothing", o.line[0]);
    }
    assert_int_equal(o.lines, 0);
    o.study = NULL;
    forget(&o);
    return study;
}

static void expect_numbers(const nl_study *study, nl_key key, int count, const double numbers[])
{
    assert_int_equal(study->value[key].count, count);
    for (int k = 0; k < count; k++) {
        double found = study->value[key].item[k].number;

        if (!(found == numbers[k])) {
            fail_msg("%s[%d] is %.17g, not %.17g", nl_key_describe(key)->path, k, found,
                     numbers[k]);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Accepted
 *-------------------------------------------------------------------------------------------*/

static void the_table_has_a_row_for_every_key(void **state)
{
    (void)state;
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_key_info *info = nl_key_describe((nl_key)key);

        assert_non_null(info->path);
        assert_non_null(info->help);
        assert_true((info->fallback == NULL) == (info->example != NULL));
        assert_true(info->type != NL_TYPE_CHOICE || info->choices != NULL);
        assert_true(info->affects != NL_AFFECTS_NOTHING || key == NL_KEY_STUDY);
        for (int other = 0; other < key; other++) {
            assert_string_not_equal(info->path, nl_key_describe((nl_key)other)->path);
        }
    }
    assert_string_equal(nl_key_describe(NL_KEY_TRAIN_SIZES)->column, "n_train");
    assert_string_equal(nl_key_describe(NL_KEY_LEARNING_RATE)->column, "learning_rate");
    assert_null(nl_key_describe(NL_KEY_PROBE_SIZE)->column);
}

static void what_is_not_written_has_its_default(void **state)
{
    nl_study *study = expect_study(MINIMAL, NULL);

    (void)state;
    assert_string_equal(nl_study_word(study, NL_KEY_STUDY), "study");
    assert_string_equal(nl_study_word(study, NL_KEY_PATH), "");
    assert_true(nl_study_number(study, NL_KEY_DEPTHS) == 2.0);
    assert_true(nl_study_number(study, NL_KEY_STANDARDIZE) == 1.0);
    assert_true(nl_study_number(study, NL_KEY_LEARNING_RATE) == 0.1);
    assert_true(nl_study_number(study, NL_KEY_CHECKPOINT_EVERY) == 60.0);
    assert_true(nl_study_number(study, NL_KEY_MAX_STEPS) == 20000.0);
    assert_null(nl_study_word(study, NL_KEY_BATCH_SIZE));
    assert_string_equal(nl_study_word(study, NL_KEY_TEAM_SIZE), "auto");
    assert_true(isnan(nl_study_number(study, NL_KEY_TEAM_SIZE)));
    assert_string_equal(nl_study_word(study, NL_KEY_LOSS), "cross-entropy");
    assert_int_equal(study->value[NL_KEY_KERNELS].count, 2);
    assert_int_equal(study->value[NL_KEY_AT_STEPS].count, 0);
    assert_true(nl_study_is(study, NL_KEY_KERNELS, "full"));
    assert_false(nl_study_is(study, NL_KEY_KERNELS, "class"));
    assert_false(nl_study_is(study, NL_KEY_BATCH_SIZE, "full"));
    nl_study_destroy(&study);
}

static void numbers_and_booleans_have_their_usual_spellings(void **state)
{
    static const struct {
        const char *set;
        nl_key key;
        double number;
    } cases[] = {
        {"training.max_steps=1e4", NL_KEY_MAX_STEPS, 10000.0},
        {"training.max_steps=+7", NL_KEY_MAX_STEPS, 7.0},
        {"training.learning_rate=.5", NL_KEY_LEARNING_RATE, 0.5},
        {"training.learning_rate=1.E-3", NL_KEY_LEARNING_RATE, 0.001},
        {"training.momentum=0.999", NL_KEY_MOMENTUM, 0.999},
        {"seeds=2147483647", NL_KEY_SEEDS, 2147483647.0},
        {"data.label_noise=1", NL_KEY_LABEL_NOISE, 1.0},
        {"data.standardize=off", NL_KEY_STANDARDIZE, 0.0},
        {"data.standardize=FALSE", NL_KEY_STANDARDIZE, 0.0},
        {"output.kernels=Yes", NL_KEY_OUTPUT_KERNELS, 1.0},
        {"measure.memory_per_rank=4G", NL_KEY_MEMORY_PER_RANK, 4294967296.0},
        {"measure.memory_per_rank=4GiB", NL_KEY_MEMORY_PER_RANK, 4294967296.0},
        {"measure.memory_per_rank=1.5 GB", NL_KEY_MEMORY_PER_RANK, 1.5e9},
        {"measure.memory_per_rank=500MB", NL_KEY_MEMORY_PER_RANK, 5e8},
        {"measure.memory_per_rank=2097152", NL_KEY_MEMORY_PER_RANK, 2097152.0},
        {"measure.team_size=3", NL_KEY_TEAM_SIZE, 3.0},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        nl_study *study = expect_study(MINIMAL, cases[k].set);

        expect_numbers(study, cases[k].key, 1, &cases[k].number);
        nl_study_destroy(&study);
    }
}

static void ranges_become_lists(void **state)
{
    static const struct {
        const char *set;
        nl_key key;
        int count;
        double numbers[8];
    } cases[] = {
        {"model.widths={from: 8, to: 1024, factor: 2}",
         NL_KEY_WIDTHS,
         8,
         {8, 16, 32, 64, 128, 256, 512, 1024}},
        {"model.widths={from: 10, to: 99, factor: 1.5}",
         NL_KEY_WIDTHS,
         6,
         {10, 15, 23, 34, 51, 76}},
        {"model.widths={from: 1, to: 4, factor: 1.2}", NL_KEY_WIDTHS, 4, {1, 2, 3, 4}},
        {"seeds={from: 0, to: 4, step: 1}", NL_KEY_SEEDS, 5, {0, 1, 2, 3, 4}},
        {"seeds={from: 3, to: 3, step: 1}", NL_KEY_SEEDS, 1, {3}},
        {"training.learning_rate={from: 0.1, to: 0.5, step: 0.1}",
         NL_KEY_LEARNING_RATE,
         5,
         {0.1, 0.2, 0.3, 0.4, 0.5}},
        {"training.learning_rate={from: 1e-3, to: 1, factor: 10}",
         NL_KEY_LEARNING_RATE,
         4,
         {0.001, 0.01, 0.1, 1.0}},
        {"training.learning_rate={from: 1, to: 2.7182818284590451, factor: 1.6487212707001282}",
         NL_KEY_LEARNING_RATE,
         3,
         {1, 1.64872127070013, 2.7182818284590451}},
        {"measure.at.steps={from: 10, to: 1000, factor: 10}", NL_KEY_AT_STEPS, 3, {10, 100, 1000}},
        {"measure.at.steps=5", NL_KEY_AT_STEPS, 1, {5}},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        nl_study *study = expect_study(MINIMAL, cases[k].set);

        expect_numbers(study, cases[k].key, cases[k].count, cases[k].numbers);
        nl_study_destroy(&study);
    }
}

static void a_set_wins_over_the_file_and_a_later_one_over_an_earlier(void **state)
{
    const char *const sets[] = {"training.learning_rate=0.3", "model.widths=[1, 2]",
                                "training.learning_rate=0.2", "measure.at={steps: [5]}"};
    outcome o = parse(MINIMAL, NL_COUNT(sets), sets);

    (void)state;
    assert_int_equal(o.status, NL_OK);
    expect_numbers(o.study, NL_KEY_LEARNING_RATE, 1, (const double[]){0.2});
    expect_numbers(o.study, NL_KEY_WIDTHS, 2, (const double[]){1.0, 2.0});
    expect_numbers(o.study, NL_KEY_AT_STEPS, 1, (const double[]){5.0});
    forget(&o);
}

static void a_probe_may_be_the_whole_of_the_smallest_training_set(void **state)
{
    nl_study *study = expect_study(DATA MODEL "measure: {at: {steps: [0, 20000]}}\n",
                                   "data={probe_from: train, probe_size: 512}");

    (void)state;
    expect_numbers(study, NL_KEY_PROBE_SIZE, 1, (const double[]){512.0});
    nl_study_destroy(&study);
}

static void a_set_may_give_what_the_file_leaves_out(void **state)
{
    nl_study *study = expect_study(DATA, "model.widths=16");

    (void)state;
    expect_numbers(study, NL_KEY_WIDTHS, 1, (const double[]){16.0});
    nl_study_destroy(&study);
}

static void an_empty_section_is_as_good_as_none(void **state)
{
    nl_study *study = expect_study(DATA "model:\ntraining:\nmeasure: {at: }\n", "model.widths=[8]");

    (void)state;
    expect_numbers(study, NL_KEY_WIDTHS, 1, (const double[]){8.0});
    expect_numbers(study, NL_KEY_LEARNING_RATE, 1, (const double[]){0.1});
    nl_study_destroy(&study);
}

static void a_text_from_the_command_line_is_kept_whole(void **state)
{
    static const struct {
        const char *set, *text;
    } cases[] = {
        {"study=a #b", "a #b"},      {"study=#b", "#b"},
        {"study=a: b", "a: b"},      {"study=[a] b", "[a] b"},
        {"study=%x", "%x"},          {"study=*x", "*x"},
        {"study=null", "null"},      {"study='a' or 'b'", "'a' or 'b'"},
        {"study='a #b'", "a #b"},    {"study='it''s'", "it's"},
        {"study=\"a\\tb\"", "a\tb"}, {"study=\"a\\\"b\"", "a\"b"},
        {"study=\"a", "\"a"},        {"study = a=b", " a=b"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        nl_study *study = expect_study(MINIMAL, cases[k].set);

        assert_string_equal(nl_study_word(study, NL_KEY_STUDY), cases[k].text);
        nl_study_destroy(&study);
    }
}

/*---------------------------------------------------------------------------------------------
 * Resolved file, folder of the data, key table
 *-------------------------------------------------------------------------------------------*/

static void expect_same(const nl_study *a, const nl_study *b)
{
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const nl_values *left = &a->value[key];
        const nl_values *right = &b->value[key];

        assert_int_equal(left->count, right->count);
        for (int k = 0; k < left->count; k++) {
            double x = left->item[k].number;
            double y = right->item[k].number;

            assert_true(x == y || (isnan(x) && isnan(y)));
            assert_int_equal(left->item[k].word == NULL, right->item[k].word == NULL);
            if (left->item[k].word != NULL) {
                assert_string_equal(left->item[k].word, right->item[k].word);
            }
        }
    }
}

static void a_resolved_study_reads_back_identical(void **state)
{
    static const char text[] =
        "study: \"odd: 'x' # \\\" \\\\ \\t\\n\\e \\u00e9 \\u0085 \\u2028 \\ufeff \\U0001F600 "
        "{a: b}\"\n"
        "data: {source: fashion-mnist, train_sizes: {from: 64, to: 1024, factor: 2}, path: ' no: "
        "'}\n"
        "model: {widths: {from: 8, to: 64, factor: 1.4}, weight_variance: [0.1, "
        "0.33333333333333331],"
        " activation: [relu, erf]}\n"
        "training: {learning_rate: {from: 0.1, to: 0.7, step: 0.15}, batch_size: [full, 100]}\n"
        "measure: {at: {train_loss: [1e-300, 0.05]}, memory_per_rank: 1.5GB, team_size: 3}\n"
        "output: {spectra: no}\n";
    const char *const names[] = {"version", "odd: name"};
    const char *const values[] = {"0.1.0", "a \"b\"\n- c"};
    nl_study *first = expect_study(text, NULL);
    nl_study *second = NULL;
    nl_text written = {0};

    (void)state;
    nl_study_write(first, NULL, 2, names, values, &written);
    assert_false(written.failed);
    second = expect_study(written.data, NULL);
    expect_same(first, second);
    assert_non_null(strstr(written.data, "  train_sizes: [64, 128, 256, 512, 1024]\n"));
    assert_non_null(strstr(written.data, "  learning_rate: [0.1, 0.25, 0.4, 0.55, 0.7]\n"));
    nl_text_free(&written);
    nl_study_destroy(&first);
    nl_study_destroy(&second);
}

static void any_folder_of_data_leaves_a_readable_file(void **state)
{
    nl_study *first = expect_study(MINIMAL, NULL);
    nl_study *second = NULL;
    nl_text written = {0};

    (void)state;
    nl_study_write(first, "/data/my \"sets\"/\xc3\xa9 \xff\xc3", 0, NULL, NULL, &written);
    second = expect_study(written.data, NULL);
    assert_string_equal(nl_study_word(second, NL_KEY_PATH),
                        "/data/my \"sets\"/\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd");
    nl_text_free(&written);
    nl_study_destroy(&first);
    nl_study_destroy(&second);
}

static void expect_folder(const char *file, const char *path, const char *expected)
{
    char text[256];
    nl_study *study = NULL;
    char *folder = NULL;

    snprintf(text, sizeof text, "data: {source: cifar10, train_sizes: 5, path: '%s'}\n" MODEL,
             path);
    assert_int_equal(nl_study_parse(&(nl_study_source){file, text, strlen(text), 0, NULL}, &study),
                     NL_OK);
    assert_int_equal(nl_study_data_folder(study, &folder), NL_OK);
    assert_string_equal(folder, expected);
    free(folder);
    nl_study_destroy(&study);
}

static void the_folder_of_the_data_is_found_from_the_study_file(void **state)
{
    char *here = getcwd(NULL, 0);
    char *beside = nl_path_join(here, "studies/../images");
    char *plain = nl_path_join(here, "images");

    (void)state;
    expect_folder("/etc/studies/a.yaml", "images", "/etc/studies/images");
    expect_folder("/a.yaml", "images", "/images");
    expect_folder("studies/a.yaml", "../images", beside);
    expect_folder("a.yaml", "images", plain);
    expect_folder("studies/a.yaml", "/images", "/images");
    assert_int_equal(setenv("NTKLENS_DATA", "/share/data", 1), 0);
    expect_folder("studies/a.yaml", "", "/share/data/cifar10");
    expect_folder("/x/a.yaml", "images", "/x/images");
    assert_int_equal(unsetenv("NTKLENS_DATA"), 0);
    free(here);
    free(beside);
    free(plain);
}

static void data_without_a_folder_is_a_data_error_that_says_what_to_do(void **state)
{
    nl_study *study = expect_study(MINIMAL, "data.source=mnist");
    nl_study *glyphs = expect_study(MINIMAL, NULL);
    char *folder = NULL;
    int kept = dup(STDERR_FILENO);
    FILE *said = tmpfile();
    char line[512] = "";
    nl_status status = NL_OK;

    (void)state;
    assert_int_equal(unsetenv("NTKLENS_DATA"), 0);
    dup2(fileno(said), STDERR_FILENO);
    status = nl_study_data_folder(study, &folder);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(said);
    assert_non_null(fgets(line, sizeof line, said));
    fclose(said);
    assert_int_equal(status, NL_ERR_DATA);
    assert_null(folder);
    assert_non_null(strstr(line, "tools/fetch-data mnist"));
    assert_non_null(strstr(line, "data.path"));
    assert_non_null(strstr(line, "NTKLENS_DATA"));
    assert_int_equal(nl_study_data_folder(glyphs, &folder), NL_OK);
    assert_null(folder);
    nl_study_destroy(&study);
    nl_study_destroy(&glyphs);
}

static void the_printed_table_names_every_key_in_narrow_lines(void **state)
{
    FILE *table = tmpfile();
    nl_text all = {0};
    char line[512];

    (void)state;
    nl_keys_print(table);
    rewind(table);
    while (fgets(line, sizeof line, table) != NULL) {
        assert_true(strlen(line) <= 101);
        nl_text_append(&all, "%s", line);
    }
    fclose(table);
    for (int key = 0; key < NL_KEY_COUNT; key++) {
        const char *path = nl_key_describe((nl_key)key)->path;
        const char *dot = strchr(path, '.');
        char row[64];

        snprintf(row, sizeof row, "\n%s%s ", dot != NULL ? "  " : "", dot != NULL ? dot + 1 : path);
        if (strstr(all.data, row) == NULL) {
            fail_msg("%s is not in the table", path);
        }
    }
    nl_text_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_a_row_for_every_key),
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(numbers_and_booleans_have_their_usual_spellings),
        cmocka_unit_test(ranges_become_lists),
        cmocka_unit_test(a_set_wins_over_the_file_and_a_later_one_over_an_earlier),
        cmocka_unit_test(a_probe_may_be_the_whole_of_the_smallest_training_set),
        cmocka_unit_test(a_set_may_give_what_the_file_leaves_out),
        cmocka_unit_test(an_empty_section_is_as_good_as_none),
        cmocka_unit_test(a_text_from_the_command_line_is_kept_whole),
        cmocka_unit_test(a_resolved_study_reads_back_identical),
        cmocka_unit_test(any_folder_of_data_leaves_a_readable_file),
        cmocka_unit_test(the_folder_of_the_data_is_found_from_the_study_file),
        cmocka_unit_test(data_without_a_folder_is_a_data_error_that_says_what_to_do),
        cmocka_unit_test(the_printed_table_names_every_key_in_narrow_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
