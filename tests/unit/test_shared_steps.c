/** @file test_shared_steps.c  Training steps that several threads share: the same bits as of one,
 * with scratch for as many as there may be. */
#include "ntklens/linalg.h"
#include "ntklens/nn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { outputs = 10, steps = 4, most_threads = 3 };

/** A network, and the samples of each step. */
typedef struct subject {
    nl_net_spec spec;
    int rows;
} subject;

static subject wide_mlp(void)
{
    return (subject){.spec = {.kind = NL_MLP,
                              .inputs = 300,
                              .outputs = outputs,
                              .width = 768,
                              .depth = 2,
                              .activation = NL_RELU,
                              .weight_variance = 2.0},
                     .rows = 100};
}

/* So many samples that the gradients of not all of their parts are there at once. */
static subject small_cnn(void)
{
    return (subject){.spec = {.kind = NL_CNN,
                              .inputs = 8 * 8,
                              .outputs = outputs,
                              .width = 3,
                              .depth = 1,
                              .activation = NL_RELU,
                              .weight_variance = 2.0,
                              .bias_variance = 0.1,
                              .convolutional = {.image = {8, 8, 1},
                                                .stages = 2,
                                                .blocks = {1, 1},
                                                .channel_growth = 2,
                                                .kernel_size = 3,
                                                .downsampling = NL_AVERAGE_POOLING,
                                                .biases = true}},
                     .rows = 1100};
}

static void draw_samples(const subject *s, float *x, int *labels)
{
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    for (int k = 0; k < s->rows * s->spec.inputs; k++) {
        x[k] = (float)nl_rng_normal(&rng);
    }
    for (int i = 0; i < s->rows; i++) {
        labels[i] = (int)nl_rng_below(&rng, outputs);
    }
}

/* Parameters and losses after some steps by so many threads, of `most`. */
static void train(const subject *s, const nl_net *net, const nl_train_spec *training, int threads,
                  float *theta, double *losses)
{
    float *x = nl_calloc((size_t)s->rows * (size_t)s->spec.inputs, sizeof *x);
    int *labels = nl_calloc((size_t)s->rows, sizeof *labels);
    nl_model *model = NULL;
    nl_crew *crew = NULL;

    assert_non_null(x);
    assert_non_null(labels);
    draw_samples(s, x, labels);
    assert_int_equal(nl_model_create(net, training, s->rows, &model), NL_OK);
    assert_int_equal(nl_crew_create(0.0, NULL, NULL, &crew), NL_OK);
    nl_crew_limit(crew, threads);
    assert_int_equal(nl_model_set_crew(model, threads > 1 ? crew : NULL), NL_OK);
    nl_net_initialize(net, 5, nl_model_parameters(model));
    for (int k = 0; k < steps; k++) {
        losses[k] = nl_model_step(model, k, s->rows, x, labels);
        for (int worker = nl_crew_size(crew); worker < threads && k == 0; worker++) {
            assert_int_equal(nl_crew_hire(crew, NULL), worker); /* the first step is one thread's */
        }
        assert_int_equal(nl_crew_hire(crew, NULL), -1);
    }
    memcpy(theta, nl_model_parameters(model), net->size * sizeof *theta);
    nl_model_destroy(&model);
    nl_crew_destroy(&crew);
    free(labels);
    free(x);
}

static void expect_same_bits(const subject *s)
{
    for (int optimizer = NL_SGD; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        const nl_train_spec training = {.optimizer = (nl_optimizer)optimizer,
                                        .loss = NL_CROSS_ENTROPY,
                                        .learning_rate = 1e-3,
                                        .momentum = 0.9,
                                        .weight_decay = 1e-4,
                                        .max_steps = steps};
        double losses[most_threads + 1][steps];
        float *theta[most_threads + 1] = {NULL};
        nl_net *net = NULL;

        assert_int_equal(nl_net_create(&s->spec, training.optimizer, &net), NL_OK);
        for (int threads = 1; threads <= most_threads; threads++) {
            theta[threads] = nl_calloc(net->size, sizeof *theta[threads]);
            assert_non_null(theta[threads]);
            train(s, net, &training, threads, theta[threads], losses[threads]);
            assert_memory_equal(theta[threads], theta[1], net->size * sizeof *theta[threads]);
            assert_memory_equal(losses[threads], losses[1], sizeof losses[1]);
        }
        for (int threads = 1; threads <= most_threads; threads++) {
            free(theta[threads]);
        }
        nl_net_destroy(&net);
    }
}

static void layers_are_shared_by_units_and_inputs(void **state)
{
    const subject s = wide_mlp();

    (void)state;
    expect_same_bits(&s);
}

static void samples_are_shared_part_by_part(void **state)
{
    const subject s = small_cnn();

    (void)state;
    expect_same_bits(&s);
}

static nl_net *make_net(const subject *s, nl_optimizer optimizer)
{
    nl_net *net = NULL;

    assert_int_equal(nl_net_create(&s->spec, optimizer, &net), NL_OK);
    return net;
}

static void scratch_grows_with_cores(void **state)
{
    const subject mlp = wide_mlp();
    const subject cnn = small_cnn();
    nl_net *adam = make_net(&mlp, NL_ADAM);
    nl_net *sgd = make_net(&mlp, NL_SGD);
    nl_net *parts = make_net(&cnn, NL_SGD);
    const double one = nl_model_shared_floats(adam, 32, 2);
    const double size = (double)parts->size;

    (void)state;
    assert_true(nl_model_shared_floats(adam, 32, 1) == 0.0);
    assert_true(one > 768.0 * 32.0);
    assert_true(nl_model_shared_floats(adam, 32, 5) == 4.0 * one);
    assert_true(nl_model_shared_floats(sgd, 32, 5) == 0.0); /* goes straight into W */
    assert_true(nl_model_shared_floats(parts, 1100, 1) == 0.0);
    assert_true(nl_model_shared_floats(parts, 1100, 2) > 8.0 * size);
    /* However many samples: some gradients at once. */
    assert_true(nl_model_shared_floats(parts, 110000, 2) == nl_model_shared_floats(parts, 1100, 2));
    nl_net_destroy(&parts);
    nl_net_destroy(&sgd);
    nl_net_destroy(&adam);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_are_shared_by_units_and_inputs),
        cmocka_unit_test(samples_are_shared_part_by_part),
        cmocka_unit_test(scratch_grows_with_cores),
    };

    nl_blas_set_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
