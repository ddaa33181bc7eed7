/** @file test_passes.c  Passes of convolutional and residual networks against their definition. */
#include "../reference/network.h"

#include "ntklens/passes.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { rows = 3, outputs = 3 };

/** A network, its parameters, samples, and the Jacobian that it ought to have. */
typedef struct subject {
    nl_net *net;
    float *theta, *x;
    double *exact, *f, *jacobian; /* theta; [rows x outputs]; [rows * outputs x size] */
} subject;

static nl_net_spec spec_of(nl_net_kind kind, int height, int width, int channels)
{
    return (nl_net_spec){
        .kind = kind,
        .inputs = height * width * channels,
        .outputs = outputs,
        .width = 3,
        .depth = 1,
        .activation = NL_TANH, /* no kinks: central differences are good */
        .base_width = 2,
        .weight_variance = 1.5,
        .bias_variance = 0.3,
        .convolutional = {.image = {height, width, channels},
                          .stages = 2,
                          .blocks = {1, 1},
                          .channel_growth = kind == NL_RESNET ? 2 : 1,
                          .kernel_size = 3,
                          .downsampling = kind == NL_RESNET ? NL_STRIDE : NL_AVERAGE_POOLING,
                          .branch_scale = 0.7,
                          .biases = true},
    };
}

static subject subject_of(const nl_net_spec *spec)
{
    nl_rng rng = nl_rng_open(3, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    subject s = {0};

    assert_int_equal(nl_net_create(spec, NL_SGD, &s.net), NL_OK);
    s.theta = nl_calloc(s.net->size, sizeof *s.theta);
    s.exact = nl_calloc(s.net->size, sizeof *s.exact);
    s.x = nl_calloc((size_t)(rows * spec->inputs), sizeof *s.x);
    s.f = nl_calloc((size_t)(rows * outputs), sizeof *s.f);
    s.jacobian = nl_calloc((size_t)(rows * outputs) * s.net->size, sizeof *s.jacobian);
    assert_true(s.theta != NULL && s.exact != NULL && s.x != NULL && s.f != NULL &&
                s.jacobian != NULL);
    nl_net_initialize(s.net, 5, s.theta);
    for (size_t k = 0; k < s.net->size; k++) {
        s.theta[k] += (float)(0.1 * nl_rng_normal(&rng)); /* gains, shifts and biases, too */
        s.exact[k] = (double)s.theta[k];
    }
    for (int k = 0; k < rows * spec->inputs; k++) {
        s.x[k] = (float)nl_rng_normal(&rng);
    }
    for (int i = 0; i < rows; i++) {
        const float *x = s.x + (size_t)(i * spec->inputs);

        reference_outputs(s.net, s.exact, x, s.f + (size_t)(i * outputs));
        reference_network_jacobian(s.net, s.exact, x,
                                   s.jacobian + (size_t)(i * outputs) * s.net->size);
    }
    return s;
}

static void forget(subject *s)
{
    nl_net_destroy(&s->net);
    free(s->theta);
    free(s->exact);
    free(s->x);
    free(s->f);
    free(s->jacobian);
}

/** J of the passes in the making. */
typedef struct collected {
    nl_passes *passes;
    const nl_net *net;
    double *jacobian, *piece;
} collected;

/* Each row's own gradient. */
static void collect(int l, const void *delta, void *context)
{
    const collected *c = context;
    const nl_layer *layer = &c->net->layer[l];
    const size_t size = (size_t)nl_shape_size(layer->out);

    for (int row = 0; layer->fan_out > 0 && row < rows * outputs; row++) {
        double *to = c->jacobian + (size_t)row * c->net->size;

        nl_passes_gradient(c->passes, l, row / outputs, 1,
                           (const double *)delta + (size_t)row * size, to + layer->weights,
                           to + layer->biases);
        if (!layer->trains_bias) {
            memset(to + layer->biases, 0, (size_t)layer->fan_out * sizeof *to);
        }
    }
}

static void expect_close(size_t n, const double *got, const double *wanted, double tolerance)
{
    double largest = 0.0;

    for (size_t k = 0; k < n; k++) {
        largest = fmax(largest, fabs(wanted[k]));
    }
    assert_true(largest > 0.0);
    for (size_t k = 0; k < n; k++) {
        assert_true(fabs(got[k] - wanted[k]) <= tolerance * largest);
    }
}

/* Biases that are not trained have no place in J. */
static void clear_untrained(const subject *s)
{
    for (int l = 0; l < s->net->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];

        for (int row = 0; !layer->trains_bias && row < rows * outputs; row++) {
            memset(s->jacobian + (size_t)row * s->net->size + layer->biases, 0,
                   (size_t)layer->fan_out * sizeof *s->jacobian);
        }
    }
}

static void check_tangent(const subject *s, nl_passes *passes)
{
    nl_rng rng = nl_rng_open(4, NL_PURPOSE_SELF_TEST, 0, 0, 0);
    double *w = nl_calloc(s->net->size, sizeof *w);
    double got[rows * outputs];
    double wanted[rows * outputs] = {0};

    assert_non_null(w);
    for (size_t k = 0; k < s->net->size; k++) {
        w[k] = nl_rng_normal(&rng);
    }
    nl_passes_tangent(passes, w, got);
    for (int row = 0; row < rows * outputs; row++) {
        for (size_t k = 0; k < s->net->size; k++) {
            wanted[row] += s->jacobian[(size_t)row * s->net->size + k] * w[k];
        }
    }
    expect_close(rows * outputs, got, wanted, 1e-7);
    free(w);
}

static void check(const nl_net_spec *spec)
{
    const nl_passes_spec passes_spec = {
        .precision = NL_DOUBLE, .rows = rows, .seeds = outputs, .tangents = true};
    subject s = subject_of(spec);
    double seeds[rows * outputs * outputs] = {0};
    collected c = {.net = s.net};

    for (int row = 0; row < rows * outputs; row++) {
        seeds[row * outputs + row % outputs] = 1.0;
    }
    c.jacobian = nl_calloc((size_t)(rows * outputs) * s.net->size, sizeof *c.jacobian);
    assert_non_null(c.jacobian);
    assert_int_equal(nl_passes_create(s.net, &passes_spec, &c.passes), NL_OK);
    nl_passes_set_parameters(c.passes, s.theta);
    nl_passes_forward(c.passes, rows, s.x, NULL);
    expect_close(rows * outputs, nl_passes_outputs(c.passes), s.f, 1e-13);
    nl_passes_backward(c.passes, seeds, 0, collect, &c);
    clear_untrained(&s);
    if (spec->activation == NL_RELU) { /* central differences fail next to kinks */
        memcpy(s.jacobian, c.jacobian, (size_t)(rows * outputs) * s.net->size * sizeof *s.jacobian);
    }
    expect_close((size_t)(rows * outputs) * s.net->size, c.jacobian, s.jacobian, 1e-8);
    check_tangent(&s, c.passes);
    nl_passes_destroy(&c.passes);
    free(c.jacobian);
    forget(&s);
}

static void passes_are_those_of_the_definition(void **state)
{
    (void)state;
    for (int kind = NL_CNN; kind <= NL_RESNET; kind++) {
        for (int down = 0; down < NL_DOWNSAMPLING_COUNT; down++) {
            for (int head = 0; head < NL_HEAD_COUNT; head++) {
                for (int norm = 0; norm < NL_NORMALIZATION_COUNT; norm++) {
                    nl_net_spec spec = spec_of((nl_net_kind)kind, 4, 5, 2);

                    spec.convolutional.downsampling = (nl_downsampling)down;
                    spec.convolutional.head = (nl_head)head;
                    spec.convolutional.normalization = (nl_normalization)norm;
                    spec.convolutional.pool_last = head == 1 && down != NL_STRIDE && norm == 0;
                    spec.convolutional.dense_multiple = norm;
                    check(&spec);
                }
            }
        }
    }
}

static void passes_hold_for_all_parametrizations(void **state)
{
    (void)state;
    for (int kind = NL_CNN; kind <= NL_RESNET; kind++) {
        for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            for (int biases = 0; biases < 2; biases++) {
                nl_net_spec spec = spec_of((nl_net_kind)kind, 4, 4, 1);

                spec.parametrization = (nl_parametrization)p;
                spec.convolutional.biases = biases != 0;
                spec.convolutional.normalization = NL_LAYER_NORMALIZATION;
                spec.activation = biases != 0 ? NL_GELU : NL_ERF;
                check(&spec);
            }
        }
    }
}

/* What is taken by several layers adds up; relu has its kinks, the definition the same. */
static void outputs_are_those_of_the_definition_with_relu(void **state)
{
    (void)state;
    for (int kernel = 1; kernel <= 5; kernel += 2) {
        nl_net_spec spec = spec_of(NL_RESNET, 5, 7, 2);

        spec.activation = NL_RELU;
        spec.depth = 2;
        spec.convolutional.kernel_size = kernel;
        spec.convolutional.branch_scale = 0.0; /* 1 / sqrt(blocks) */
        check(&spec);
    }
}

/* A residual branch may die without the network: the first convolution, the last norm and the
 * output may not. */
static void ways_round_branches_are_known(void **state)
{
    const nl_net_spec spec = spec_of(NL_RESNET, 4, 4, 1);
    nl_net *net = NULL;

    (void)state;
    assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
    assert_true(nl_net_needs(net, 0));
    for (int l = 1; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        if (layer->kind == NL_CONVOLUTION) {
            assert_false(nl_net_needs(net, l));
        }
        if (layer->kind == NL_ADD || layer->kind == NL_GLOBAL_AVERAGE ||
            layer->role == NL_ROLE_OUTPUT) {
            assert_true(nl_net_needs(net, l));
        }
    }
    nl_net_destroy(&net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_are_those_of_the_definition),
        cmocka_unit_test(passes_hold_for_all_parametrizations),
        cmocka_unit_test(outputs_are_those_of_the_definition_with_relu),
        cmocka_unit_test(ways_round_branches_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
