/** @file test_jacobian.c  Products with the Jacobian, held to explicit ones. */
#include "ntklens/jacobian.h"

#include "../reference/mlp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { samples = 7, inputs = 6, outputs = 3 };

/** A network, its explicit Jacobian, and vectors. */
typedef struct subject {
    nl_net *net;
    float *theta;
    float x[samples * inputs];
    double *jacobian; /* [samples * outputs x size] */
    double v[samples * outputs];
} subject;

static void create_subject(subject *s, nl_activation activation, nl_parametrization form, int depth,
                           double bias_variance)
{
    const nl_net_spec spec = {.inputs = inputs,
                              .outputs = outputs,
                              .width = 9,
                              .depth = depth,
                              .activation = activation,
                              .parametrization = form,
                              .base_width = 4,
                              .weight_variance = 1.7,
                              .bias_variance = bias_variance};
    nl_rng rng =
        nl_rng_open(5, NL_PURPOSE_SELF_TEST, (uint32_t)activation, (uint32_t)form, (uint32_t)depth);
    double *theta = NULL;

    memset(s, 0, sizeof *s);
    assert_int_equal(nl_net_create(&spec, NL_SGD, &s->net), NL_OK);
    s->theta = nl_calloc(s->net->size, sizeof *s->theta);
    theta = nl_calloc(s->net->size, sizeof *theta);
    s->jacobian = nl_calloc((size_t)(samples * outputs) * s->net->size, sizeof *s->jacobian);
    assert_true(s->theta != NULL && theta != NULL && s->jacobian != NULL);
    nl_net_initialize(s->net, 7, s->theta);
    for (size_t k = 0; k < s->net->size; k++) {
        theta[k] = (double)s->theta[k];
    }
    for (int i = 0; i < samples; i++) {
        double x[inputs];

        for (int k = 0; k < inputs; k++) {
            s->x[i * inputs + k] = (float)nl_rng_normal(&rng);
            x[k] = (double)s->x[i * inputs + k];
        }
        reference_jacobian(s->net, theta, x, s->jacobian + (size_t)(i * outputs) * s->net->size);
    }
    for (int k = 0; k < samples * outputs; k++) {
        s->v[k] = nl_rng_normal(&rng);
    }
    free(theta);
}

static void destroy_subject(subject *s)
{
    nl_net_destroy(&s->net);
    free(s->theta);
    free(s->jacobian);
}

/* sum of v over rows of the explicit Jacobian */
static void explicit_product(const subject *s, const double *v, double *gradient)
{
    memset(gradient, 0, s->net->size * sizeof *gradient);
    for (int row = 0; row < samples * outputs; row++) {
        for (size_t k = 0; k < s->net->size; k++) {
            gradient[k] += v[row] * s->jacobian[(size_t)row * s->net->size + k];
        }
    }
}

static double squared(const subject *s, const double *gradient, bool weighted)
{
    double sum = 0.0;

    for (int l = 0; l < s->net->layers; l++) {
        const nl_layer *layer = &s->net->layer[l];
        const size_t weights = (size_t)layer->fan_in * (size_t)layer->fan_out;

        for (size_t k = 0; k < weights; k++) {
            sum += (weighted ? layer->weight_rate : 1.0) * pow(gradient[layer->weights + k], 2);
        }
        for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
            sum += (weighted ? layer->bias_rate : 1.0) * pow(gradient[layer->biases + k], 2);
        }
    }
    return sum;
}

typedef struct gradient_sink {
    const nl_net *net;
    double *gradient;
} gradient_sink;

static nl_status collect(int l, int first, int rows, double *weights, double *biases, void *context)
{
    const gradient_sink *sink = context;
    const nl_layer *layer = &sink->net->layer[l];

    memcpy(sink->gradient + layer->weights + (size_t)first * (size_t)layer->fan_in, weights,
           (size_t)rows * (size_t)layer->fan_in * sizeof *weights);
    memcpy(sink->gradient + layer->biases + first, biases, (size_t)rows * sizeof *biases);
    return NL_OK;
}

static void expect_near(double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-12 * (1.0 + fabs(wanted)))) {
        print_error("%.17g, expected %.17g\n", got, wanted);
        fail();
    }
}

static void check_product(const subject *s, nl_jacobian *j)
{
    double *wanted = nl_calloc(2 * s->net->size, sizeof *wanted);
    gradient_sink sink = {.net = s->net, .gradient = wanted + s->net->size};

    explicit_product(s, s->v, wanted);
    assert_int_equal(nl_jacobian_transposed(j, s->v, collect, &sink), NL_OK);
    for (size_t k = 0; k < s->net->size; k++) {
        expect_near(sink.gradient[k], wanted[k]);
    }
    for (int weighted = 0; weighted < 2; weighted++) {
        double square = 0.0;

        assert_int_equal(nl_jacobian_square(j, s->v, weighted != 0, &square), NL_OK);
        expect_near(square, squared(s, wanted, weighted != 0));
    }
    free(wanted);
}

/* J w against rows of the explicit Jacobian; w is J^T v, so that all layers count. */
static void check_forward_product(const subject *s, nl_jacobian *j)
{
    double *w = nl_calloc(s->net->size, sizeof *w);
    double out[samples * outputs];

    explicit_product(s, s->v, w);
    nl_jacobian_product(j, w, out);
    for (int row = 0; row < samples * outputs; row++) {
        double wanted = 0.0;

        for (size_t k = 0; k < s->net->size; k++) {
            wanted += s->jacobian[(size_t)row * s->net->size + k] * w[k];
        }
        expect_near(out[row], wanted);
    }
    free(w);
}

/* Through factors in double, and without them. */
static void check_traced(const subject *s, nl_jacobian *j)
{
    const int list[samples] = {0, 1, 2, 3, 4, 5, 6};
    double *gradient = nl_calloc(s->net->size, sizeof *gradient);
    nl_factors *factors = NULL;

    assert_int_equal(nl_factors_create(s->net, NL_DOUBLE, samples, &factors), NL_OK);
    nl_factors_compute(factors, s->theta, s->x, samples, list);
    for (int way = 0; way < 4; way++) {
        const bool weighted = way % 2 == 1;
        double wanted = 0.0;
        double square = 0.0;
        double mismatch = NAN;

        for (int a = 0; a < outputs; a++) {
            double seeds[samples * outputs] = {0};

            for (int i = 0; i < samples; i++) {
                seeds[i * outputs + a] = s->v[i];
            }
            explicit_product(s, seeds, gradient);
            wanted += squared(s, gradient, weighted) / outputs;
        }
        assert_int_equal(nl_jacobian_traced_square(j, s->v, way < 2 ? factors : NULL, weighted,
                                                   &square, &mismatch),
                         NL_OK);
        expect_near(square, wanted);
        assert_true(mismatch <= 1e-13);
    }
    if (s->net->layers > 2) { /* a factor that is off is seen */
        double square = 0.0;
        double mismatch = 0.0;

        ((double *)factors->delta[0])[5] += 1e-6;
        assert_int_equal(nl_jacobian_traced_square(j, s->v, factors, false, &square, &mismatch),
                         NL_OK);
        assert_true(mismatch > 1e-9);
    }
    nl_factors_destroy(&factors);
    free(gradient);
}

static void products_are_those_of_explicit_jacobians(void **state)
{
    (void)state;
    for (int activation = 0; activation < NL_ACTIVATION_COUNT; activation++) {
        for (int form = 0; form < NL_PARAMETRIZATION_COUNT; form++) {
            for (int depth = 1; depth <= 4; depth++) {
                subject s;
                nl_jacobian *j = NULL;

                create_subject(&s, (nl_activation)activation, (nl_parametrization)form, depth,
                               depth % 2 == 0 ? 0.6 : 0.0);
                assert_int_equal(nl_jacobian_create(s.net, s.theta, s.x, samples, &j), NL_OK);
                check_product(&s, j);
                check_forward_product(&s, j);
                check_traced(&s, j);
                nl_jacobian_destroy(&j);
                destroy_subject(&s);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_explicit_jacobians),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
