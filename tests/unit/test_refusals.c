/** @file test_refusals.c  Study files and --set that are refused: the place and the words of every
 * complaint. */
#include "outcome.h"

static void expect_line(const outcome *o, int index, const char *place, const char *phrase)
{
    char start[160];

    snprintf(start, sizeof start, "ntklens: %s: ", place);
    if (index >= o->lines || strncmp(o->line[index], start, strlen(start)) != 0 ||
        strstr(o->line[index], phrase) == NULL) {
        fail_msg("line %d: '%s' where '%s' and '%s' were expected", index,
                 index < o->lines ? o->line[index] : "(nothing)", start, phrase);
    }
}

/* Exactly one complaint, at this place, with this phrase. */
static void expect_refusal(const char *text, const char *place, const char *phrase)
{
    outcome o = parse(text, 0, NULL);

    assert_int_equal(o.status, NL_ERR_STUDY);
    assert_null(o.study);
    expect_line(&o, 0, place, phrase);
    if (o.lines != 1) {
        fail_msg("one complaint was expected, the second is '%s'", o.line[1]);
    }
    forget(&o);
}

static void broken_files_are_refused_at_their_place(void **state)
{
    static const struct {
        const char *text, *place, *phrase;
    } cases[] = {
        /* structure */
        {"", "f:1:1", "empty"},
        {"- a\n- b\n", "f:1:1", "lines of 'key: value', this is a list"},
        {"hello\n", "f:1:1", "lines of 'key: value', this is \"hello\""},
        {DATA MODEL "training: 3\n", "f:3:11", "training: a section was expected"},
        {DATA MODEL "training: [momentum]\n", "f:3:11", "this is a list"},
        {DATA MODEL "measure: {at: [3]}\n", "f:3:15", "measure.at: a section was expected"},
        {DATA MODEL "provenance: 3\n", "f:3:13", "provenance: a section was expected"},
        {DATA MODEL "provenance: {a: [1]}\n", "f:3:17", "plain values were expected"},
        {DATA MODEL "seeds: [0\n", "f:3:8", "a list [ ... ] is not closed"},
        {DATA MODEL "training:\n\tmomentum: 0\n", "f:4:1", "a tab: YAML wants spaces"},
        {DATA MODEL "seeds: 0\nseeds: 1\n", "f:4:1", "seeds: given twice, first in line 3"},
        {DATA MODEL "seeds: *s\n", "f:3:8", "aliases (*s) are not supported"},
        {DATA MODEL "--- \nseeds: 0\n", "f:3:1", "a second document"},
        /* missing */
        {MODEL "data:\n  source: mnist\n", "f:2:1", "data.train_sizes: missing; "},
        {"data: {train_sizes: [2]}\n" MODEL, "f:1:1", "For example source: mnist"},
        {"\n\n" DATA, "f:1:1", "model.widths: missing; "},
        {DATA "model: {}\n", "f:2:1", "For example widths: [16, 32, 64]"},
        /* unknown */
        {DATA MODEL "trainig: {momentum: 0}\n", "f:3:1", "unknown key; did you mean training?"},
        {DATA MODEL "training: {learning_rat: 1}\n", "f:3:12",
         "training.learning_rat: unknown key; did you mean training.learning_rate?"},
        {DATA MODEL "training: {widths: [3]}\n", "f:3:12", "unknown key; widths belongs to model"},
        {DATA MODEL "training: {seeds: [3]}\n", "f:3:12", "seeds belongs to the top level"},
        {DATA MODEL "learning_rate: 3\n", "f:3:1", "learning_rate belongs to training"},
        {DATA MODEL "measure: {steps: [3]}\n", "f:3:11", "steps belongs to measure.at"},
        {DATA MODEL "measure: {kernel: [full]}\n", "f:3:11", "did you mean measure.kernels?"},
        {DATA MODEL "training: {kernels: [full]}\n", "f:3:12", "belongs to measure or output"},
        {DATA MODEL "checkpoint: {foo: 3}\n", "f:3:14", "unknown key; checkpoint has every"},
        {DATA MODEL "training.momentum: 0\n", "f:3:1", "dots are for --set"},
        {"data: {source: glyphs, train_size: [512]}\n" MODEL, "f:1:24",
         "did you mean data.train_sizes?"},
        {DATA "model: {Widths: [64]}\n", "f:2:9", "did you mean model.widths?"},
        /* type */
        {DATA "model: {widths: [64, \"32\"]}\n", "f:2:22",
         "a whole number from 1 to 1000000 was expected, this is a string in quotes"},
        {DATA "model: {widths: wide}\n", "f:2:17", "this is \"wide\"; not a number"},
        {DATA "model: {widths: [[1]]}\n", "f:2:18", "this is a list"},
        {DATA "model: {widths: }\n", "f:2:17", "model.widths: no value: a whole number"},
        {DATA "model: {widths: [64, ~]}\n", "f:2:22", "model.widths: no value"},
        {DATA MODEL "training:\n  momentum:\n", "f:4:12", "(without this line it is 0.9)"},
        {DATA MODEL "training: {max_steps: 2.5}\n", "f:3:23", "2.5; not a whole number"},
        {DATA MODEL "training: {max_steps: 010}\n", "f:3:23", "a leading zero means octal"},
        {DATA MODEL "training: {max_steps: 0x10}\n", "f:3:23", "\"0x10\"; write 16"},
        {DATA MODEL "training: {max_steps: 1_000}\n", "f:3:23", "\"1_000\"; write 1000"},
        {DATA MODEL "training: {learning_rate: .nan}\n", "f:3:27", "a finite number is needed"},
        {DATA MODEL "training: {learning_rate: -.inf}\n", "f:3:27", "a finite number is needed"},
        {DATA MODEL "training: {batch_size: ful}\n", "f:3:24", "did you mean full?"},
        {DATA MODEL "training: {loss: MSE}\n", "f:3:18", "did you mean mse?"},
        {DATA MODEL "training: {loss: mes}\n", "f:3:18", "did you mean mse?"},
        {DATA MODEL "training: {loss: hinge}\n", "f:3:18", "one of cross-entropy | mse was"},
        {DATA MODEL "output: {spectra: 1}\n", "f:3:19", "true or false was expected, this is 1"},
        {DATA MODEL "output: {spectra: \"yes\"}\n", "f:3:19", "a string in quotes"},
        {DATA MODEL "checkpoint: {every: [1, 2]}\n", "f:3:21", "this is a list"},
        {DATA MODEL "study: \"\"\n", "f:3:8", "a study has a name"},
        {DATA MODEL "measure: {memory_per_rank: 4Q}\n", "f:3:28", "units are K, M, G, T"},
        {DATA MODEL "measure: {memory_per_rank: 4}\n", "f:3:28", "write the unit"},
        {DATA MODEL "measure: {kernels: []}\n", "f:3:20", "an empty list"},
        /* range of values */
        {DATA "model: {widths: [0]}\n", "f:2:18", "from 1 to 1000000 was expected, this is 0"},
        {DATA MODEL "training: {momentum: 1}\n", "f:3:22", "a number from 0 to below 1 was"},
        {DATA MODEL "training: {learning_rate: 0}\n", "f:3:27", "a number above 0, at most"},
        {DATA MODEL "training: {learning_rate: 1e999}\n", "f:3:27", "out of range"},
        {DATA MODEL "seeds: -1\n", "f:3:8", "from 0 to 2147483647 was expected, this is -1"},
        {DATA MODEL "seeds: [0, 1, 0]\n", "f:3:15", "seeds: 0 is repeated"},
        {DATA MODEL "training: {batch_size: [full, 3, full]}\n", "f:3:34", "\"full\" is repeated"},
        /* ranges */
        {DATA "model: {widths: {from: 8, to: 64}}\n", "f:2:17", "factor or step is missing"},
        {DATA "model: {widths: {from: 8, factor: 2}}\n", "f:2:17", "to is missing"},
        {DATA "model: {widths: {from: 8, to: 9, by: 2, step: 1}}\n", "f:2:34", "by: unknown in a"},
        {DATA "model: {widths: {from: 8, to: 9, factor: 2, step: 1}}\n", "f:2:17", "exclude each"},
        {DATA "model: {widths: {from: 8, to: 64, factor: 1}}\n", "f:2:43", "above 1 was expected"},
        {DATA "model: {widths: {from: 8, to: 64, step: -1}}\n", "f:2:41", "above 0 was expected"},
        {DATA "model: {widths: {from: 64, to: 8, step: 1}}\n", "f:2:17", "ends below its start"},
        {DATA "model: {widths: {from: 0, to: 8, step: 1}}\n", "f:2:24", "this is 0"},
        {DATA "model: {widths: {from: 1, to: 1e6, step: 1}}\n", "f:2:17", "more than 10000 values"},
        {DATA MODEL "seeds: {from: 0, to: 8, factor: 2}\n", "f:3:8", "starts above 0"},
        {DATA MODEL "training: {batch_size: {from: full, to: 8, factor: 2}}\n", "f:3:31",
         "not a number"},
        {DATA MODEL "training: {loss: {from: 1, to: 8, factor: 2}}\n", "f:3:18",
         "this is a group of keys"},
        /* across keys */
        {"data: {source: glyphs, train_sizes: [512, 64], probe_size: 65, probe_from: "
         "train}\n" MODEL,
         "f:1:48", "data.probe_size: a probe of 65 images does not fit"},
        {"data: {source: glyphs, train_sizes: [512, 64], probe_from: train}\n" MODEL, "f:1:48",
         "data.probe_from: a probe of 150 images does not fit"},
        {DATA MODEL "measure: {at: {steps: [20001]}}\n", "f:3:16",
         "measure.at.steps: step 20001 is never reached: training.max_steps is 20000"},
        {DATA MODEL "seeds: {from: 0, to: 9000, step: 1}\nmodel: {depths: {from: 1, to: 12, step: "
                    "1}}\n",
         "f:4:1", "given twice"},
        {DATA "model: {widths: 1, depths: {from: 1, to: 12, step: 1}}\n"
              "seeds: {from: 0, to: 9000, step: 1}\n",
         "f:3:1", "seeds: the grid has 108012 cells"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        expect_refusal(cases[k].text, cases[k].place, cases[k].phrase);
    }
}

/* A value of a key, by --set, is refused with this advice. */
static void expect_advice(const char *key, const char *value, const char *advice)
{
    char set[160];
    char place[176];
    const char *const sets[] = {set};
    outcome o = {0};

    snprintf(set, sizeof set, "%s=%s", key, value);
    snprintf(place, sizeof place, "--set %s", set);
    o = parse(MINIMAL, 1, sets);
    assert_int_equal(o.status, NL_ERR_STUDY);
    expect_line(&o, 0, place, advice);
    assert_int_equal(o.lines, 1);
    forget(&o);
}

static void what_was_meant_by_a_number_is_proposed(void **state)
{
    static const struct {
        const char *key, *value, *advice;
    } cases[] = {
        {"training.max_steps", "20_000", "; write 20000"},
        {"training.max_steps", "1,000", "; write 1000"},
        {"training.max_steps", "100,200", "; write 100200, or [100, 200] for a list"},
        {"data.probe_size", "100,200", "; write 100200"},
        {"training.max_steps", "1 000", "; write 1000"},
        {"training.max_steps", "1'000", "; write 1000"},
        {"training.max_steps", "1.000.000", "; write 1000000"},
        {"training.max_steps", "20.000", "this is 20.000; write 20 or 20000"},
        {"training.max_steps", "0b101", "; write 5"},
        {"training.max_steps", "10^4", "; write 10000"},
        {"training.max_steps", "2**10", "; write 1024"},
        {"training.max_steps", "20k", "; write 20000"},
        {"training.max_steps", "1d3", "; write 1e3"},
        {"training.max_steps", "20 // all", "a comment starts with ' #'"},
        {"training.max_steps", "10#all", "a comment starts with ' #'"},
        {"training.max_steps", "none", "without this line it is 20000"},
        {"checkpoint.every", "60s", "; write the number alone: 60"},
        {"checkpoint.every", "[60, 90]", "this is a list; this key takes one value"},
        {"training.learning_rate", "0,1", "; write 0.1"},
        {"training.learning_rate", "0.1,", "; write the number alone: 0.1"},
        {"training.learning_rate", "1/10", "; write 0.1"},
        {"training.learning_rate", "1x10^-3", "; write 0.001"},
        {"training.learning_rate", "1 e-3", "; write 1e-3"},
        {"training.learning_rate", "0.1, 0.2", "; write [0.1, 0.2]"},
        {"training.learning_rate", "{0.1, 0.2}", "a list stands in brackets"},
        {"training.learning_rate",
         "\xc2\xa0"
         "0.1",
         "no-break space (U+00A0): type a plain space"},
        {"training.learning_rate",
         "1e\xe2\x88\x92"
         "3",
         "a minus sign (U+2212): type a plain -"},
        {"data.label_noise", "10%", "; write 0.1"},
        {"model.widths", "8, 16", "; write [8, 16]"},
        {"model.widths", "8 16", "; write [8, 16]"},
        {"model.widths", "[8 16]", "; write [8, 16]"},
        {"model.widths", "(8, 16)", "; write [8, 16]"},
        {"model.widths", "8-16", "; write [8, 16] for a list, or as a range {from: 8, to: 16"},
        {"model.widths", "8..16", "as a range {from: 8, to: 16, step: 1}"},
        {"model.widths", "-8 -16", "an item of a list is '- 8', with a space"},
        {"model.widths", "[8, ..., 64]", "write all values, or a range"},
        {"model.widths", "{from:8, to: 64, factor: 2}", "a space is missing behind the colon"},
        {"training.batch_size", "full, 32", "; write [full, 32]"},
        {"training.optimizer", "sgd, adam", "; write [sgd, adam]"},
        {"training.optimizer",
         "\xe2\x80\x9c"
         "sgd\xe2\x80\x9d",
         "a typographic quote (U+201C)"},
        {"output.spectra", "1", "this is 1; write true"},
        {"output.spectra", "n", "this is \"n\"; write false"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        expect_advice(cases[k].key, cases[k].value, cases[k].advice);
    }
}

static void only_what_the_key_takes_is_proposed(void **state)
{
    (void)state;
    expect_advice("training.max_steps", "0,1", "\"0,1\"; not a number");
    expect_advice("training.max_steps", "50%", "\"50%\"; not a number");
    expect_advice("training.max_steps", "0x7fffffff", "not a number");
    expect_advice("checkpoint.every", "8-16", "\"8-16\"; not a number");
}

static void numbers_that_training_would_lose_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *advice;
    } cases[] = {
        {"training.learning_rate", "1e-310", "too near 0 for training"},
        {"training.learning_rate", "1e-39", "too near 0 for training"},
        {"training.learning_rate", "[0.1, 1e-46]", "too near 0 for training"},
        {"training.learning_rate", "{from: 1e-40, to: 1, factor: 10}", "too near 0 for training"},
        {"training.weight_decay", "1e-40", "too near 0 for training"},
        {"training.weight_decay", "1e-400", "too near 0"},
        {"training.momentum", "1e-300", "too near 0 for training"},
        {"training.momentum", "0.99999999", "rounded out of the range"},
        {"model.weight_variance", "1e-44", "too near 0 for training"},
        {"model.bias_variance", "2e-320", "too near 0 for training"},
        {"measure.regression.ridge", "1e-310", "too near 0 for double precision"},
        {"measure.at.train_loss", "1e-310", "too near 0 for double precision"},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        expect_advice(cases[k].key, cases[k].value, cases[k].advice);
    }
}

static void all_errors_are_told_at_once_sorted_by_line(void **state)
{
    static const char text[] = "seeds: [x]\n"
                               "modle:\n"
                               "  width: 3\n"
                               "  depths: [0, 1]\n"
                               "data:\n"
                               "  probe_size: many\n"
                               "  source: minst\n";
    const char *const sets[] = {"trainig.learning_rate=0.1",
                                "training.momentum=2",
                                "nonsense",
                                "training.loss=[mse",
                                "=3",
                                "output.spectra="};
    outcome o = parse(text, NL_COUNT(sets), sets);

    (void)state;
    assert_int_equal(o.status, NL_ERR_STUDY);
    expect_line(&o, 0, "f:1:9", "seeds: ");
    expect_line(&o, 1, "f:2:1", "did you mean model?");
    expect_line(&o, 2, "f:3:3", "model.width: unknown key; did you mean model.widths?");
    expect_line(&o, 3, "f:4:12", "model.depths: ");
    expect_line(&o, 4, "f:5:1", "data.train_sizes: missing");
    expect_line(&o, 5, "f:6:15", "data.probe_size: ");
    expect_line(&o, 6, "f:7:11", "did you mean mnist?");
    expect_line(&o, 7, "--set trainig.learning_rate=0.1",
                "unknown key; did you mean training.learning_rate?");
    expect_line(&o, 8, "--set training.momentum=2", "a number from 0 to below 1 was expected");
    expect_line(&o, 9, "--set nonsense", "key=value was expected");
    expect_line(&o, 10, "--set training.loss=[mse", "not valid YAML");
    expect_line(&o, 11, "--set =3", "key=value was expected");
    expect_line(&o, 12, "--set output.spectra=", "no value: true or false was expected");
    assert_int_equal(o.lines, 13);
    forget(&o);
}

static void sets_are_checked_also_where_the_file_cannot_be_read(void **state)
{
    const char *const sets[] = {"training.momentum=2"};
    outcome o = parse("a: [\n", 1, sets);

    (void)state;
    assert_int_equal(o.status, NL_ERR_STUDY);
    expect_line(&o, 0, "f:2:1", "not valid YAML");
    expect_line(&o, 1, "--set training.momentum=2", "out of range");
    assert_int_equal(o.lines, 2);
    forget(&o);
}

static void a_set_that_breaks_a_check_across_keys_is_named(void **state)
{
    const char *const sets[] = {"training.max_steps=50", "measure.at.steps=[40, 60]"};
    outcome o = parse(MINIMAL, 2, sets);

    (void)state;
    assert_int_equal(o.status, NL_ERR_STUDY);
    expect_line(&o, 0, "--set measure.at.steps=[40, 60]", "step 60 is never reached");
    assert_int_equal(o.lines, 1);
    forget(&o);
}

static void quiet_ranks_say_nothing(void **state)
{
    int kept = dup(STDERR_FILENO);
    FILE *said = tmpfile();
    nl_study *study = NULL;
    nl_status status = NL_OK;

    (void)state;
    dup2(fileno(said), STDERR_FILENO);
    status = nl_study_parse_silently(&(nl_study_source){"f", "a: 1\n", 5, 0, NULL}, &study);
    dup2(kept, STDERR_FILENO);
    close(kept);
    fseek(said, 0, SEEK_END);
    assert_int_equal(ftell(said), 0);
    fclose(said);
    assert_int_equal(status, NL_ERR_STUDY);
    assert_null(study);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_files_are_refused_at_their_place),
        cmocka_unit_test(what_was_meant_by_a_number_is_proposed),
        cmocka_unit_test(only_what_the_key_takes_is_proposed),
        cmocka_unit_test(numbers_that_training_would_lose_are_refused),
        cmocka_unit_test(all_errors_are_told_at_once_sorted_by_line),
        cmocka_unit_test(sets_are_checked_also_where_the_file_cannot_be_read),
        cmocka_unit_test(a_set_that_breaks_a_check_across_keys_is_named),
        cmocka_unit_test(quiet_ranks_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
