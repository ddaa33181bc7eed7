/** @file test_cells.c  The grid: order, names, hashes; log-spaced steps. */
#include "ntklens/study.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char minimal[] = "data: {source: glyphs, train_sizes: [512]}\n"
                              "model: {widths: [64]}\n";

typedef struct grid {
    nl_study *study;
    nl_cell *cells;
    int count;
} grid;

/* The minimal study with up to three changes. */
static grid open_grid(const char *first, const char *second, const char *third)
{
    const char *const sets[] = {first, second, third};
    int count = (first != NULL) + (second != NULL) + (third != NULL);
    grid g = {0};

    assert_int_equal(
        nl_study_parse(&(nl_study_source){"f", minimal, strlen(minimal), count, sets}, &g.study),
        NL_OK);
    assert_int_equal(nl_study_cells(g.study, &g.cells, &g.count), NL_OK);
    return g;
}

static void close_grid(grid *g)
{
    free(g->cells);
    nl_study_destroy(&g->study);
}

static uint64_t hash_with(const char *set, nl_affects affects)
{
    grid g = open_grid(set, NULL, NULL);
    uint64_t hash = nl_cell_hash(g.study, &g.cells[0], affects);

    close_grid(&g);
    return hash;
}

static void cells_stand_in_the_order_of_the_results_table(void **state)
{
    static const char axes[] =
        "data: {source: glyphs, train_sizes: [256, 64]}\n"
        "model: {widths: [32, 8], depths: [3, 1], activation: [tanh, relu]}\n"
        "training: {batch_size: [full, 100, 20]}\n"
        "seeds: [7, 0]\n";
    nl_study *study = NULL;
    nl_cell *cells = NULL;
    int count = 0;
    int at = 0;

    (void)state;
    assert_int_equal(nl_study_parse(&(nl_study_source){"f", axes, strlen(axes), 0, NULL}, &study),
                     NL_OK);
    assert_int_equal(nl_study_cells(study, &cells, &count), NL_OK);
    assert_int_equal(count, 2 * 2 * 2 * 2 * 3 * 2);
    for (int width = 8; width <= 32; width += 24) {
        for (int depth = 1; depth <= 3; depth += 2) {
            for (int n = 64; n <= 256; n += 192) {
                for (int rest = 0; rest < 12; rest++, at++) {
                    static const char *const batches[] = {"20", "100", "full"};
                    const nl_cell *cell = &cells[at];
                    const nl_scalar *batch = &cell->value[NL_KEY_BATCH_SIZE];

                    assert_int_equal(cell->width, width);
                    assert_int_equal(cell->depth, depth);
                    assert_int_equal(cell->n_train, n);
                    assert_int_equal(cell->seed, rest % 2 == 0 ? 0 : 7);
                    assert_string_equal(cell->value[NL_KEY_ACTIVATION].word,
                                        rest < 6 ? "relu" : "tanh");
                    if (rest / 2 % 3 == 2) {
                        assert_string_equal(batch->word, "full");
                    } else {
                        assert_true(batch->number == atof(batches[rest / 2 % 3]));
                    }
                    assert_true(cell->value[NL_KEY_WIDTHS].number == width);
                    assert_true(cell->value[NL_KEY_MAX_STEPS].number == 20000.0);
                }
            }
        }
    }
    free(cells);
    nl_study_destroy(&study);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(((const nl_cell *)a)->id, ((const nl_cell *)b)->id);
}

static void every_cell_has_a_name_of_its_own(void **state)
{
    grid g = open_grid("training.learning_rate=[0.1, 0.05]",
                       "model.widths={from: 1, to: 200, step: 1}", "seeds=[0, 1, 2, 3, 4]");

    (void)state;
    assert_int_equal(g.count, 2000);
    qsort(g.cells, (size_t)g.count, sizeof *g.cells, compare_ids);
    for (int k = 1; k < g.count; k++) {
        assert_string_not_equal(g.cells[k].id, g.cells[k - 1].id);
    }
    close_grid(&g);
}

/* Results folders of earlier versions are found again by these names: where this test fails, they
 * are trained anew.  The line format is in cells.c. */
static void names_and_hashes_are_stable(void **state)
{
    grid g = open_grid("training.batch_size=full", "training.learning_rate=0.05", "seeds=[3]");

    (void)state;
    assert_string_equal(g.cells[0].id, "w64-d2-n512-s3-d3a1b0c97ec4");
    assert_true(nl_cell_hash(g.study, &g.cells[0], NL_AFFECTS_TRAINING) == 0xd3a1b0c97ec408d2u);
    assert_true(nl_cell_hash(g.study, &g.cells[0], NL_AFFECTS_MEASUREMENT) == 0x5db3569a08f0e73u);
    close_grid(&g);
}

static void a_hash_follows_the_keys_of_its_kind_only(void **state)
{
    static const char *const training[] = {
        "data.source=mnist",       "data.train_sizes=511",     "data.seed=1",
        "data.label_noise=0.1",    "model.depths=3",           "model.bias_variance=0.1",
        "training.optimizer=adam", "training.max_steps=19999", "seeds=1",
        "data.validation_size=10"};
    static const char *const measurement[] = {
        "data.probe_size=151",          "data.probe_from=train",
        "measure.kernels=[traced]",     "measure.at.steps=[10]",
        "measure.at.train_loss=1",      "measure.steps_per_decade=0",
        "measure.precision=single",     "output.snapshots=none",
        "output.spectra=false",         "measure.regression.train_images=9",
        "measure.regression.ridge=0.1", "measure.regression.train_images=all",
        "measure.method=dual",          "measure.exact_operations=1e13",
        "measure.relative_error=0.02",  "measure.probe_prefixes=[20, 50]"};
    static const char *const neither[] = {"study=x",
                                          "data.path=/x",
                                          "measure.solver=lapack",
                                          "measure.team_size=3",
                                          "measure.infinite=true",
                                          "measure.memory_per_rank=1G",
                                          "measure.method=auto",
                                          "measure.relative_error=1e-2",
                                          "measure.probe_prefixes=[]",
                                          "measure.exact_operations=1.0e14",
                                          "checkpoint.every=1"};
    uint64_t trains = hash_with(NULL, NL_AFFECTS_TRAINING);
    uint64_t measures = hash_with(NULL, NL_AFFECTS_MEASUREMENT);

    (void)state;
    for (size_t k = 0; k < NL_COUNT(training); k++) {
        assert_true(hash_with(training[k], NL_AFFECTS_TRAINING) != trains);
        assert_true(hash_with(training[k], NL_AFFECTS_MEASUREMENT) == measures);
    }
    for (size_t k = 0; k < NL_COUNT(measurement); k++) {
        assert_true(hash_with(measurement[k], NL_AFFECTS_TRAINING) == trains);
        assert_true(hash_with(measurement[k], NL_AFFECTS_MEASUREMENT) != measures);
    }
    for (size_t k = 0; k < NL_COUNT(neither); k++) {
        assert_true(hash_with(neither[k], NL_AFFECTS_TRAINING) == trains);
        assert_true(hash_with(neither[k], NL_AFFECTS_MEASUREMENT) == measures);
    }
}

/* Keys of convolutional networks, none at its default. */
static const char *const convolutional[] = {
    "model.stages=[2, 1]",         "model.channel_growth=3",         "model.kernel_size=5",
    "model.downsampling=max-pool", "model.pool_last=true",           "model.head=flatten",
    "model.dense_multiple=8",      "model.normalization=layer-norm", "model.branch_scale=depth",
    "model.biases=false"};

static void keys_of_other_kinds_enter_no_hash(void **state)
{
    const uint64_t plain = hash_with(NULL, NL_AFFECTS_TRAINING);

    (void)state;
    for (size_t k = 0; k < NL_COUNT(convolutional); k++) {
        const bool of_resnet = strstr(convolutional[k], "branch") != NULL;
        const char *const kinds[] = {"model.kind=cnn", "model.kind=resnet"};
        const char *const pools = "model.downsampling=average-pool";

        assert_true(hash_with(convolutional[k], NL_AFFECTS_TRAINING) == plain);
        for (int kind = 0; kind < 2; kind++) {
            grid a = open_grid(kinds[kind], pools, NULL);
            grid b = open_grid(kinds[kind], pools, convolutional[k]);
            const bool applies = kind == 1 || !of_resnet;

            assert_true((strcmp(a.cells[0].id, b.cells[0].id) != 0) == applies);
            close_grid(&a);
            close_grid(&b);
        }
    }
}

static void names_of_other_kinds_begin_with_them(void **state)
{
    grid g = open_grid("model.kind=cnn", "training.batch_size=full", NULL);
    grid r = open_grid("model.kind=resnet", "model.stages=[2, 1, 1]", NULL);

    (void)state;
    assert_memory_equal(g.cells[0].id, "cnn-w64-d2-n512-s0-", 19);
    assert_memory_equal(r.cells[0].id, "resnet-w64-d2-n512-s0-", 22);
    assert_string_equal(r.cells[0].value[NL_KEY_STAGES].word, "2-1-1");
    assert_true(r.cells[0].value[NL_KEY_CHANNEL_GROWTH].number == 2.0);
    assert_string_equal(r.cells[0].value[NL_KEY_DOWNSAMPLING].word, "stride");
    assert_string_equal(g.cells[0].value[NL_KEY_BRANCH_SCALE].word, "");
    assert_true(g.cells[0].value[NL_KEY_CHANNEL_GROWTH].number == 1.0);
    assert_string_equal(g.cells[0].value[NL_KEY_DOWNSAMPLING].word, "average-pool");
    close_grid(&g);
    close_grid(&r);
}

static void axes_of_other_kinds_make_no_cells(void **state)
{
    static const char axes[] =
        "data: {source: glyphs, train_sizes: [512]}\n"
        "model: {kind: [mlp, cnn, resnet], widths: [8, 16], head: [global-average, flatten],\n"
        "        channel_growth: [auto, 1, 2], branch_scale: [0.5, 1, depth],\n"
        "        downsampling: [auto, average-pool, max-pool]}\n"
        "seeds: [0, 1]\n";
    int of[NL_NET_KIND_COUNT] = {0};
    grid g = {0};

    (void)state;
    assert_int_equal(nl_study_parse(&(nl_study_source){"f", axes, strlen(axes), 0, NULL}, &g.study),
                     NL_OK);
    assert_int_equal(nl_study_cells(g.study, &g.cells, &g.count), NL_OK);
    for (int k = 0; k < g.count; k++) {
        of[(int)g.cells[k].value[NL_KEY_KIND].number]++;
    }
    assert_int_equal(of[NL_MLP], 2 * 2);
    assert_int_equal(of[NL_CNN], 2 * 2 * 2 * 2 * 2);        /* heads, growths, pools */
    assert_int_equal(of[NL_RESNET], 2 * 2 * 2 * 2 * 3 * 3); /* stride of auto is one more */
    assert_int_equal(g.count, of[NL_MLP] + of[NL_CNN] + of[NL_RESNET]);
    qsort(g.cells, (size_t)g.count, sizeof *g.cells, compare_ids);
    for (int k = 1; k < g.count; k++) {
        assert_string_not_equal(g.cells[k].id, g.cells[k - 1].id);
    }
    close_grid(&g);
}

static void a_convolutional_cell_says_its_network(void **state)
{
    const nl_dataset_info cifar = {
        .height = 32, .width = 31, .channels = 3, .inputs = 2976, .classes = 10};
    grid g = open_grid("model.kind=resnet", "model.stages=[2, 1]", "model.branch_scale=depth");
    const nl_net_spec spec = nl_cell_net_spec(&g.cells[0], &cifar);

    (void)state;
    assert_int_equal(spec.kind, NL_RESNET);
    assert_int_equal(spec.inputs, 2976);
    assert_int_equal(spec.convolutional.image.height, 32);
    assert_int_equal(spec.convolutional.image.width, 31);
    assert_int_equal(spec.convolutional.image.channels, 3);
    assert_int_equal(spec.convolutional.stages, 2);
    assert_int_equal(spec.convolutional.blocks[0], 2);
    assert_int_equal(spec.convolutional.blocks[1], 1);
    assert_int_equal(spec.convolutional.channel_growth, 2);
    assert_int_equal(spec.convolutional.kernel_size, 3);
    assert_int_equal(spec.convolutional.downsampling, NL_STRIDE);
    assert_int_equal(spec.convolutional.head, NL_GLOBAL_AVERAGE_HEAD);
    assert_int_equal(spec.convolutional.normalization, NL_NO_NORMALIZATION);
    assert_true(spec.convolutional.branch_scale == 0.0);
    assert_true(spec.convolutional.biases);
    close_grid(&g);
}

static void networks_fit_the_images_or_are_refused(void **state)
{
    static const struct {
        const char *set[3];
        int height, width;
        bool fits;
    } cases[] = {
        {{"model.kind=mlp", "model.stages=[1,1,1,1,1,1,1]", NULL}, 1, 1, true},
        {{"model.kind=cnn", NULL, NULL}, 1, 1, false},
        {{"model.kind=cnn", NULL, NULL}, 4, 5, true},
        {{"model.kind=cnn", NULL, NULL}, 3, 100, false},
        {{"model.kind=cnn", "model.downsampling=stride", NULL}, 3, 100, true},
        {{"model.kind=resnet", NULL, NULL}, 3, 3, true},
        {{"model.kind=cnn", "model.pool_last=true", NULL}, 7, 7, false},
        {{"model.kind=cnn", "model.pool_last=true", NULL}, 8, 8, true},
        {{"model.kind=cnn", "model.stages=[1,1,1,1,1,1]", NULL}, 28, 28, false},
        {{"model.kind=cnn", "model.channel_growth=16", "model.stages=[1,1,1,1,1,1]"},
         64,
         64,
         false},
        {{"model.kind=cnn", "model.dense_multiple=1000", "model.widths=2000"}, 64, 64, false},
        {{"model.kind=cnn", "model.head=flatten", "model.widths=900000"}, 640, 640, false},
        {{"model.kind=resnet", "model.depths=1000", "model.stages=[9,9]"}, 28, 28, false},
    };

    (void)state;
    for (size_t k = 0; k < NL_COUNT(cases); k++) {
        const nl_dataset_info info = {.height = cases[k].height,
                                      .width = cases[k].width,
                                      .channels = 1,
                                      .inputs = cases[k].height * cases[k].width,
                                      .classes = 10};
        grid g = open_grid(cases[k].set[0], cases[k].set[1], cases[k].set[2]);

        assert_int_equal(nl_study_check_networks(g.study, g.cells, g.count, &info),
                         cases[k].fits ? NL_OK : NL_ERR_STUDY);
        close_grid(&g);
    }
}

static void a_hash_does_not_follow_the_spelling_or_the_other_cells(void **state)
{
    uint64_t plain = hash_with(NULL, NL_AFFECTS_TRAINING);

    (void)state;
    assert_true(hash_with("training.learning_rate=1e-1", NL_AFFECTS_TRAINING) == plain);
    assert_true(hash_with("training.max_steps=2e4", NL_AFFECTS_TRAINING) == plain);
    assert_true(hash_with("training.weight_decay=-0.0", NL_AFFECTS_TRAINING) == plain);
    assert_true(hash_with("data.standardize=Yes", NL_AFFECTS_TRAINING) == plain);
    assert_true(hash_with("model.widths=[128, 64]", NL_AFFECTS_TRAINING) == plain);
    assert_true(hash_with("seeds=[0, 1]", NL_AFFECTS_TRAINING) == plain);
}

static void log_steps_are_rounded_and_unique(void **state)
{
    const long expected[] = {1, 2, 3, 6, 10, 18, 32, 56, 100, 178};
    long *steps = NULL;
    int count = 0;

    (void)state;
    assert_int_equal(nl_log_steps(4, 200, &steps, &count), NL_OK);
    assert_int_equal(count, NL_COUNT(expected));
    for (int k = 0; k < count; k++) {
        assert_int_equal(steps[k], expected[k]);
    }
    free(steps);
    assert_int_equal(nl_log_steps(1000, 1000, &steps, &count), NL_OK);
    assert_int_equal(steps[0], 1);
    assert_int_equal(steps[count - 1], 1000);
    for (int k = 1; k < count; k++) {
        assert_true(steps[k] > steps[k - 1]);
    }
    free(steps);
}

static void log_steps_know_their_edges(void **state)
{
    long *steps = NULL;
    int count = -1;

    (void)state;
    assert_int_equal(nl_log_steps(0, 1000, &steps, &count), NL_OK);
    assert_int_equal(count, 0);
    free(steps);
    assert_int_equal(nl_log_steps(4, 0, &steps, &count), NL_OK);
    assert_int_equal(count, 0);
    free(steps);
    assert_int_equal(nl_log_steps(20, 1, &steps, &count), NL_OK);
    assert_int_equal(count, 1);
    free(steps);
    assert_int_equal(nl_log_steps(1, 1000000000, &steps, &count), NL_OK);
    assert_int_equal(count, 10);
    assert_int_equal(steps[9], 1000000000);
    free(steps);
    assert_int_equal(nl_log_steps(-1, 10, &steps, &count), NL_ERR_ARG);
    assert_null(steps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_stand_in_the_order_of_the_results_table),
        cmocka_unit_test(every_cell_has_a_name_of_its_own),
        cmocka_unit_test(names_and_hashes_are_stable),
        cmocka_unit_test(a_hash_follows_the_keys_of_its_kind_only),
        cmocka_unit_test(keys_of_other_kinds_enter_no_hash),
        cmocka_unit_test(names_of_other_kinds_begin_with_them),
        cmocka_unit_test(axes_of_other_kinds_make_no_cells),
        cmocka_unit_test(a_convolutional_cell_says_its_network),
        cmocka_unit_test(networks_fit_the_images_or_are_refused),
        cmocka_unit_test(a_hash_does_not_follow_the_spelling_or_the_other_cells),
        cmocka_unit_test(log_steps_are_rounded_and_unique),
        cmocka_unit_test(log_steps_know_their_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
