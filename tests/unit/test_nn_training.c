/** @file test_nn_training.c  Float32 training against the slow float64 network (checked in
 *  test_reference.c), and properties of training. */
#include "ntklens/nn.h"

#include "mlp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { inputs = 5, outputs = 3, width = 6, rows = 21 };

/* A network, its parameters and a batch, the same numbers in float and double. */
typedef struct fixture {
    nl_net *net;
    nl_model *model;
    double *theta; /* [net->size] */
    float x[rows * inputs];
    double x_double[rows * inputs];
    int labels[rows];
} fixture;

static nl_net_spec network(int activation, int parametrization, int depth)
{
    return (nl_net_spec){.inputs = inputs,
                         .outputs = outputs,
                         .width = width,
                         .depth = depth,
                         .activation = (nl_activation)activation,
                         .parametrization = (nl_parametrization)parametrization,
                         .base_width = 4,
                         .weight_variance = 1.5,
                         .bias_variance = 0.2};
}

static fixture open_fixture(nl_net_spec spec, nl_train_spec training, int batch)
{
    fixture f = {0};
    nl_rng rng = nl_rng_open(9, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    assert_int_equal(nl_net_create(&spec, training.optimizer, &f.net), NL_OK);
    assert_int_equal(nl_model_create(f.net, &training, batch, &f.model), NL_OK);
    f.theta = nl_calloc(f.net->size, sizeof *f.theta);
    assert_non_null(f.theta);
    nl_net_initialize(f.net, 4, nl_model_parameters(f.model));
    for (size_t k = 0; k < f.net->size; k++) {
        f.theta[k] = nl_model_parameters(f.model)[k];
    }
    for (int k = 0; k < rows * inputs; k++) {
        f.x[k] = (float)nl_rng_normal(&rng);
        f.x_double[k] = f.x[k];
    }
    for (int i = 0; i < rows; i++) {
        f.labels[i] = (int)nl_rng_below(&rng, outputs);
    }
    return f;
}

static void close_fixture(fixture *f)
{
    free(f->theta);
    nl_model_destroy(&f->model);
    nl_net_destroy(&f->net);
}

static double *zeros(size_t count)
{
    double *block = nl_calloc(count, sizeof *block);

    assert_non_null(block);
    return block;
}

/* Largest |a - b| over the largest |b|. */
static double distance(size_t n, const float *a, const double *b)
{
    double error = 0.0;
    double scale = 0.0;

    for (size_t k = 0; k < n; k++) {
        if (!(fabs(a[k] - b[k]) <= error)) { /* so that a NaN is kept */
            error = fabs(a[k] - b[k]);
        }
        scale = fmax(scale, fabs(b[k]));
    }
    return error / scale;
}

/*---------------------------------------------------------------------------------------------
 * Training against the reference
 *-------------------------------------------------------------------------------------------*/

static void forward_equals_the_reference(void **state)
{
    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            fixture f = open_fixture(network(a, p, 3), (nl_train_spec){0}, rows + 3);
            double expected[rows * outputs];

            for (size_t i = 0; i < rows; i++) {
                reference_forward(f.net, f.theta, f.x_double + i * inputs, expected + i * outputs);
            }
            for (int n = 1; n <= rows; n++) {
                assert_true(distance((size_t)n * outputs, nl_model_forward(f.model, n, f.x),
                                     expected) < 3e-6);
            }
            close_fixture(&f);
        }
    }
}

/* After one step from rest, momentum's state is the gradient. */
static void expect_gradient_of_reference(nl_net_spec spec, nl_loss loss, int n)
{
    const nl_train_spec training = {
        .loss = loss, .optimizer = NL_MOMENTUM, .learning_rate = 0.1, .momentum = 0.9};
    fixture f = open_fixture(spec, training, rows);
    double *gradient = zeros(f.net->size);
    size_t size = 0;
    double expected = reference_gradient(f.net, loss, n, f.theta, f.x_double, f.labels, gradient);
    double returned = nl_model_step(f.model, 0, n, f.x, f.labels);
    const float *v = nl_model_optimizer_state(f.model, &size);

    assert_int_equal(size, f.net->size);
    assert_true(fabs(returned - expected) < 1e-6 * expected);
    for (int l = 0; l < f.net->layers; l++) {
        const nl_layer *layer = &f.net->layer[l];

        assert_true(distance(layer->biases - layer->weights, v + layer->weights,
                             gradient + layer->weights) < 1e-5);
        assert_true(distance((size_t)layer->fan_out, v + layer->biases, gradient + layer->biases) <
                    1e-5);
    }
    free(gradient);
    close_fixture(&f);
}

static void gradients_equal_the_reference(void **state)
{
    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            for (int loss = 0; loss < NL_LOSS_COUNT; loss++) {
                for (int depth = 1; depth <= 3; depth++) {
                    expect_gradient_of_reference(network(a, p, depth), (nl_loss)loss, rows);
                    expect_gradient_of_reference(network(a, p, depth), (nl_loss)loss, 3);
                    expect_gradient_of_reference(network(a, p, depth), (nl_loss)loss, 1);
                }
            }
        }
    }
}

/* Two layers of more than one panel of weight gradients (see update_weights), an uneven last one.
 */
static void gradients_of_wide_layers_equal_the_reference(void **state)
{
    nl_net_spec spec = network(NL_ERF, NL_STANDARD, 2);

    (void)state;
    spec.width = 333;
    expect_gradient_of_reference(spec, NL_CROSS_ENTROPY, rows);
}

/* One plain step of the optimizer in double; m and v start at zero. */
static void reference_update(const nl_train_spec *spec, long step, double rate, double g, double *m,
                             double *v, double *w)
{
    const double pi = acos(-1.0);
    double lr = spec->learning_rate * rate;

    if (spec->schedule == NL_COSINE) {
        lr *= (1.0 + cos(pi * (double)step / (double)spec->max_steps)) / 2.0;
    }
    g += spec->weight_decay * *w;
    if (spec->optimizer == NL_SGD) {
        *w -= lr * g;
    } else if (spec->optimizer == NL_MOMENTUM) {
        *m = spec->momentum * *m + g;
        *w -= lr * *m;
    } else {
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        *w -= lr * (*m / (1.0 - pow(0.9, (double)step + 1.0))) /
              (sqrt(*v / (1.0 - pow(0.999, (double)step + 1.0))) + 1e-8);
    }
}

static void reference_step(fixture *f, const nl_train_spec *spec, long step, double *m, double *v)
{
    double *gradient = zeros(f->net->size);

    reference_gradient(f->net, spec->loss, rows, f->theta, f->x_double, f->labels, gradient);
    for (int l = 0; l < f->net->layers; l++) {
        const nl_layer *layer = &f->net->layer[l];

        for (size_t k = layer->weights; k < layer->biases; k++) {
            reference_update(spec, step, layer->weight_rate, gradient[k], &m[k], &v[k],
                             &f->theta[k]);
        }
        for (size_t k = layer->biases; k < layer->biases + (size_t)layer->fan_out; k++) {
            reference_update(spec, step, layer->bias_rate, gradient[k], &m[k], &v[k], &f->theta[k]);
        }
    }
    free(gradient);
}

/* slack: by how much more than float's rounding it may be off */
static void expect_steps_of_reference(nl_net_spec network_spec, nl_train_spec training, int steps,
                                      double slack)
{
    fixture f = open_fixture(network_spec, training, rows);
    double *m = zeros(f.net->size);
    double *v = zeros(f.net->size);
    double *start = zeros(f.net->size);
    float *moved = nl_calloc(f.net->size, sizeof *moved);

    assert_non_null(moved);
    memcpy(start, f.theta, f.net->size * sizeof *start);
    for (long step = 0; step < steps; step++) {
        reference_step(&f, &training, step, m, v);
        nl_model_step(f.model, step, rows, f.x, f.labels);
        assert_true(distance(f.net->size, nl_model_parameters(f.model), f.theta) < 2e-6 * slack);
    }
    /* The way gone, not only where it ends: a wrong rate must not hide behind large weights. */
    for (size_t k = 0; k < f.net->size; k++) {
        moved[k] = (float)(nl_model_parameters(f.model)[k] - start[k]);
        f.theta[k] -= start[k];
    }
    assert_true(distance(f.net->size, moved, f.theta) < 3e-5 * slack);
    free(moved);
    free(start);
    free(v);
    free(m);
    close_fixture(&f);
}

static void steps_equal_the_reference(void **state)
{
    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            for (int decay = 0; decay <= 1; decay++) {
                nl_train_spec training = {.loss = NL_CROSS_ENTROPY,
                                          .optimizer = (nl_optimizer)optimizer,
                                          .learning_rate = optimizer == NL_ADAM ? 0.01 : 0.1,
                                          .momentum = 0.8,
                                          .weight_decay = 0.05 * decay,
                                          .schedule = NL_COSINE,
                                          .max_steps = 30};

                expect_steps_of_reference(network(NL_TANH, p, 2), training, 1, 1.0);
                expect_steps_of_reference(network(NL_TANH, p, 2), training, 20, 1.0);
                training.schedule = NL_CONSTANT;
                expect_steps_of_reference(network(NL_RELU, p, 3), training, 20, 1.0);
            }
        }
    }
}

/* Blocks of units and inputs, uneven last ones among them (nl_dense_by_blocks()). */
static void steps_of_layers_beyond_a_cache_equal_the_reference(void **state)
{
    nl_net_spec spec = network(NL_ERF, NL_STANDARD, 2);

    (void)state;
    spec.width = 781;
    expect_gradient_of_reference(spec, NL_CROSS_ENTROPY, rows);
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        const nl_train_spec training = {.loss = NL_CROSS_ENTROPY,
                                        .optimizer = (nl_optimizer)optimizer,
                                        .learning_rate = optimizer == NL_ADAM ? 0.001 : 0.1,
                                        .momentum = 0.8,
                                        .weight_decay = 0.05};

        /* adam divides by gradients, among half a million of which some are all rounding */
        expect_steps_of_reference(spec, training, 3, optimizer == NL_ADAM ? 1000.0 : 1.0);
    }
}

static void the_cosine_ends_at_zero(void **state)
{
    const nl_train_spec training = {
        .optimizer = NL_SGD, .learning_rate = 0.5, .schedule = NL_COSINE, .max_steps = 8};
    fixture f = open_fixture(network(NL_RELU, NL_STANDARD, 1), training, rows);
    float before = nl_model_parameters(f.model)[3];

    (void)state;
    nl_model_step(f.model, 8, rows, f.x, f.labels);
    assert_true(nl_model_parameters(f.model)[3] == before);
    nl_model_step(f.model, 7, rows, f.x, f.labels);
    assert_true(nl_model_parameters(f.model)[3] != before);
    close_fixture(&f);
}

/*---------------------------------------------------------------------------------------------
 * Properties
 *-------------------------------------------------------------------------------------------*/

static nl_train_spec training_with(int optimizer)
{
    return (nl_train_spec){.loss = NL_CROSS_ENTROPY,
                           .optimizer = (nl_optimizer)optimizer,
                           .learning_rate = optimizer == NL_ADAM ? 0.01 : 0.1,
                           .momentum = 0.9,
                           .weight_decay = 0.01};
}

static void expect_same_parameters(const fixture *a, const fixture *b)
{
    assert_memory_equal(nl_model_parameters(a->model), nl_model_parameters(b->model),
                        a->net->size * sizeof(float));
}

static void mup_at_its_base_width_is_standard_bit_for_bit(void **state)
{
    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        nl_net_spec spec = network(NL_GELU, NL_MUP, 3);
        fixture standard =
            open_fixture(network(NL_GELU, NL_STANDARD, 3), training_with(optimizer), rows);
        fixture mup;

        spec.base_width = width;
        mup = open_fixture(spec, training_with(optimizer), rows);
        expect_same_parameters(&standard, &mup);
        for (long step = 0; step < 25; step++) {
            assert_true(nl_model_step(standard.model, step, rows, standard.x, standard.labels) ==
                        nl_model_step(mup.model, step, rows, mup.x, mup.labels));
        }
        expect_same_parameters(&standard, &mup);
        close_fixture(&mup);
        close_fixture(&standard);
    }
}

static void ntk_without_bias_variance_leaves_its_biases_alone(void **state)
{
    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        nl_net_spec spec = network(NL_RELU, NL_NTK, 2);
        fixture f;

        spec.bias_variance = 0.0;
        f = open_fixture(spec, training_with(optimizer), rows);
        nl_model_parameters(f.model)[f.net->layer[1].biases] = 0.5F; /* planted: no decay either */
        for (long step = 0; step < 5; step++) {
            nl_model_step(f.model, step, rows, f.x, f.labels);
        }
        for (int l = 0; l < f.net->layers; l++) {
            for (size_t k = 0; k < (size_t)f.net->layer[l].fan_out; k++) {
                assert_true(nl_model_parameters(f.model)[f.net->layer[l].biases + k] ==
                            (l == 1 && k == 0 ? 0.5F : 0.0F));
            }
        }
        close_fixture(&f);
    }
}

static void zero_biases_are_trained_in_standard(void **state)
{
    nl_net_spec spec = network(NL_TANH, NL_STANDARD, 2);
    fixture f;

    (void)state;
    spec.bias_variance = 0.0;
    f = open_fixture(spec, training_with(NL_SGD), rows);
    nl_model_step(f.model, 0, rows, f.x, f.labels);
    for (int l = 0; l < f.net->layers; l++) {
        assert_true(nl_model_parameters(f.model)[f.net->layer[l].biases] != 0.0F);
    }
    close_fixture(&f);
}

static void a_step_depends_on_its_own_rows_only(void **state)
{
    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        const nl_net_spec spec = network(NL_ERF, NL_STANDARD, 2);
        fixture small = open_fixture(spec, training_with(optimizer), 3);
        fixture large = open_fixture(spec, training_with(optimizer), rows);

        nl_model_forward(large.model, rows, large.x); /* leaves scratch behind */
        for (long step = 0; step < 5; step++) {
            nl_model_step(small.model, step, 3, small.x, small.labels);
            nl_model_step(large.model, step, 3, large.x, large.labels);
            nl_model_forward(large.model, rows, large.x);
        }
        expect_same_parameters(&small, &large);
        close_fixture(&large);
        close_fixture(&small);
    }
}

static void training_resumes_from_parameters_and_state(void **state)
{
    const size_t states[NL_OPTIMIZER_COUNT] = {0, 1, 2};

    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        const nl_net_spec spec = network(NL_RELU, NL_MUP, 2);
        fixture whole = open_fixture(spec, training_with(optimizer), rows);
        fixture resumed = open_fixture(spec, training_with(optimizer), rows);
        const float *from = NULL;
        float *to = NULL;
        size_t size = 0;

        for (long step = 0; step < 10; step++) {
            if (step == 5) {
                memcpy(nl_model_parameters(resumed.model), nl_model_parameters(whole.model),
                       whole.net->size * sizeof(float));
                from = nl_model_optimizer_state(whole.model, &size);
                to = nl_model_optimizer_state(resumed.model, &size);
                assert_int_equal(size, states[optimizer] * whole.net->size);
                memcpy(to, from, size * sizeof *to);
            }
            nl_model_step(whole.model, step, rows, whole.x, whole.labels);
            if (step >= 5) {
                nl_model_step(resumed.model, step, rows, resumed.x, resumed.labels);
            }
        }
        expect_same_parameters(&whole, &resumed);
        close_fixture(&resumed);
        close_fixture(&whole);
    }
}

static void training_fits_a_small_batch(void **state)
{
    (void)state;
    for (int optimizer = 0; optimizer < NL_OPTIMIZER_COUNT; optimizer++) {
        nl_train_spec training = training_with(optimizer);
        fixture f;
        double loss = 0.0;

        training.weight_decay = 0.0;
        f = open_fixture(network(NL_TANH, NL_STANDARD, 2), training, rows);
        for (long step = 0; step < 3000; step++) {
            loss = nl_model_step(f.model, step, 7, f.x, f.labels);
        }
        assert_true(loss < 0.05);
        close_fixture(&f);
    }
}

static void divergence_shows_in_the_loss(void **state)
{
    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        nl_train_spec training = {.loss = NL_MSE, .optimizer = NL_SGD, .learning_rate = 1e6};
        fixture f = open_fixture(network(a, NL_STANDARD, 2), training, rows);
        double loss = 0.0;

        for (long step = 0; step < 200 && isfinite(loss); step++) {
            loss = nl_model_step(f.model, step, rows, f.x, f.labels);
        }
        assert_true(!isfinite(loss));
        close_fixture(&f);
    }
}

/* max(z, 0) in the other order of operands would make 0 of a NaN and a diverged network look sane.
 */
static void a_nan_in_a_hidden_layer_reaches_the_loss(void **state)
{
    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        fixture f = open_fixture(network(a, NL_STANDARD, 2), training_with(NL_SGD), rows);

        nl_model_parameters(f.model)[f.net->layer[0].weights] = NAN;
        assert_true(isnan(nl_model_step(f.model, 0, rows, f.x, f.labels)));
        close_fixture(&f);
    }
}

#ifdef __SSE2__
static void moments_of_dead_units_end_at_zero(void **state)
{
    const nl_train_spec training = {.optimizer = NL_ADAM, .learning_rate = 0.0};
    fixture f = open_fixture(network(NL_RELU, NL_STANDARD, 1), training, rows);
    size_t size = 0;
    float *m = nl_model_optimizer_state(f.model, &size);

    (void)state;
    nl_model_parameters(f.model)[f.net->layer[0].biases] = -1e6F; /* unit 0 is dead */
    m[0] = 1.0F;
    for (long step = 0; step < 1000; step++) { /* 0.9^830 is the smallest normal float */
        nl_model_step(f.model, step, rows, f.x, f.labels);
    }
    assert_true(m[0] == 0.0F);
    close_fixture(&f);
}
#endif

static void senseless_trainings_are_refused(void **state)
{
    nl_train_spec bad[4];
    const nl_net_spec spec = network(NL_RELU, NL_STANDARD, 1);
    nl_net *net = NULL;
    nl_model *model = NULL;

    (void)state;
    assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
    for (size_t k = 0; k < NL_COUNT(bad); k++) {
        bad[k] = training_with(NL_SGD);
    }
    bad[0].optimizer = NL_ADAM; /* not the network's */
    bad[1].learning_rate = NAN;
    bad[2].schedule = NL_COSINE; /* of no steps */
    bad[3].loss = NL_LOSS_COUNT;
    for (size_t k = 0; k < NL_COUNT(bad); k++) {
        assert_int_equal(nl_model_create(net, &bad[k], rows, &model), NL_ERR_ARG);
        assert_null(model);
    }
    bad[0] = training_with(NL_SGD);
    assert_int_equal(nl_model_create(net, &bad[0], 0, &model), NL_ERR_ARG);
    nl_model_destroy(&model);
    nl_net_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_equals_the_reference),
        cmocka_unit_test(gradients_equal_the_reference),
        cmocka_unit_test(gradients_of_wide_layers_equal_the_reference),
        cmocka_unit_test(steps_equal_the_reference),
        cmocka_unit_test(steps_of_layers_beyond_a_cache_equal_the_reference),
        cmocka_unit_test(the_cosine_ends_at_zero),
        cmocka_unit_test(mup_at_its_base_width_is_standard_bit_for_bit),
        cmocka_unit_test(ntk_without_bias_variance_leaves_its_biases_alone),
        cmocka_unit_test(zero_biases_are_trained_in_standard),
        cmocka_unit_test(a_step_depends_on_its_own_rows_only),
        cmocka_unit_test(training_resumes_from_parameters_and_state),
        cmocka_unit_test(training_fits_a_small_batch),
        cmocka_unit_test(divergence_shows_in_the_loss),
        cmocka_unit_test(a_nan_in_a_hidden_layer_reaches_the_loss),
#ifdef __SSE2__
        cmocka_unit_test(moments_of_dead_units_end_at_zero),
#endif
        cmocka_unit_test(senseless_trainings_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
