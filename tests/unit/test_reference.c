/** @file test_reference.c  The slow float64 network against central differences: every activation
 *  and parametrisation, biases on. */
#include "ntklens/nn.h"

#include "mlp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { inputs = 5, outputs = 3, width = 6, rows = 7 };

typedef struct fixture {
    nl_net *net;
    double *theta; /* [net->size] */
    double x[rows * inputs];
    int labels[rows];
} fixture;

static double *zeros(size_t count)
{
    double *block = nl_calloc(count, sizeof *block);

    assert_non_null(block);
    return block;
}

static fixture open_fixture(int activation, int parametrization, int depth, double bias_variance)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = width,
                              .depth = depth,
                              .activation = (nl_activation)activation,
                              .parametrization = (nl_parametrization)parametrization,
                              .base_width = 4,
                              .weight_variance = 1.5,
                              .bias_variance = bias_variance};
    fixture f = {0};
    nl_rng rng = nl_rng_open(1, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    assert_int_equal(nl_net_create(&spec, NL_SGD, &f.net), NL_OK);
    f.theta = zeros(f.net->size);
    for (size_t k = 0; k < f.net->size; k++) {
        f.theta[k] = 0.7 * nl_rng_normal(&rng);
    }
    for (int k = 0; k < rows * inputs; k++) {
        f.x[k] = nl_rng_normal(&rng);
    }
    for (int i = 0; i < rows; i++) {
        f.labels[i] = i % outputs;
    }
    return f;
}

static void close_fixture(fixture *f)
{
    free(f->theta);
    nl_net_destroy(&f->net);
}

static void expect_jacobian_of_differences(fixture *f, const double *x)
{
    const double h = 1e-5;
    const size_t size = f->net->size;
    double *jacobian = zeros(outputs * size);
    double above[outputs];
    double below[outputs];

    assert_true(reference_margin(f->net, f->theta, x) > 1e-3); /* no kink of relu in reach */
    reference_jacobian(f->net, f->theta, x, jacobian);
    for (size_t k = 0; k < size; k++) {
        const double kept = f->theta[k];

        f->theta[k] = kept + h;
        reference_forward(f->net, f->theta, x, above);
        f->theta[k] = kept - h;
        reference_forward(f->net, f->theta, x, below);
        f->theta[k] = kept;
        for (size_t a = 0; a < outputs; a++) {
            double difference = (above[a] - below[a]) / (2.0 * h);

            assert_true(fabs(jacobian[a * size + k] - difference) < 1e-8);
        }
    }
    free(jacobian);
}

static void the_jacobian_equals_central_differences(void **state)
{
    (void)state;
    for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
        for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
            for (int depth = 1; depth <= 3; depth++) {
                fixture f = open_fixture(a, p, depth, 0.2);

                expect_jacobian_of_differences(&f, f.x);
                expect_jacobian_of_differences(&f, f.x + inputs);
                close_fixture(&f);
            }
        }
    }
}

static double mean_loss(const fixture *f, nl_loss loss)
{
    double logits[outputs];
    double mean = 0.0;

    for (int i = 0; i < rows; i++) {
        reference_forward(f->net, f->theta, f->x + (size_t)i * inputs, logits);
        mean += reference_loss(loss, outputs, logits, f->labels[i]) / rows;
    }
    return mean;
}

static void expect_gradient_of_differences(fixture *f, nl_loss loss)
{
    const double h = 1e-5;
    double *gradient = zeros(f->net->size);
    double returned = reference_gradient(f->net, loss, rows, f->theta, f->x, f->labels, gradient);

    assert_true(fabs(returned - mean_loss(f, loss)) < 1e-14);
    for (size_t k = 0; k < f->net->size; k++) {
        const double kept = f->theta[k];
        double above = 0.0;
        double below = 0.0;

        f->theta[k] = kept + h;
        above = mean_loss(f, loss);
        f->theta[k] = kept - h;
        below = mean_loss(f, loss);
        f->theta[k] = kept;
        assert_true(fabs(gradient[k] - (above - below) / (2.0 * h)) < 1e-8);
    }
    free(gradient);
}

static void the_loss_gradient_equals_central_differences(void **state)
{
    (void)state;
    for (int loss = 0; loss < NL_LOSS_COUNT; loss++) {
        for (int a = 0; a < NL_ACTIVATION_COUNT; a++) {
            for (int p = 0; p < NL_PARAMETRIZATION_COUNT; p++) {
                fixture f = open_fixture(a, p, 2, 0.2);

                expect_gradient_of_differences(&f, (nl_loss)loss);
                close_fixture(&f);
            }
        }
    }
}

static void parameters_that_are_not_trained_have_no_gradient(void **state)
{
    fixture f = open_fixture(NL_TANH, NL_NTK, 2, 0.0);
    double *jacobian = zeros(outputs * f.net->size);
    size_t slopes = 0;

    (void)state;
    reference_jacobian(f.net, f.theta, f.x, jacobian);
    for (int l = 0; l < f.net->layers; l++) {
        const nl_layer *layer = &f.net->layer[l];

        for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
            assert_true(jacobian[layer->biases + k] == 0.0);
        }
    }
    for (size_t k = 0; k < f.net->size; k++) {
        slopes += jacobian[k] != 0.0 ? 1 : 0;
    }
    assert_int_equal(slopes, f.net->trained - (outputs - 1) * width); /* f_0 skips W_L's others */
    free(jacobian);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_jacobian_equals_central_differences),
        cmocka_unit_test(the_loss_gradient_equals_central_differences),
        cmocka_unit_test(parameters_that_are_not_trained_have_no_gradient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
