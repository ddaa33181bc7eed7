/** @file test_infinite.c  Kernels of infinite width against published closed forms, quadrature and
 * each other; kernel regression against its normal equations. */
#include "ntklens/ntk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { inputs = 7, samples = 9, most = 140 };

static const double pi = 3.14159265358979323846;

static void expect_near(double value, double expected, double tolerance)
{
    if (!(fabs(value - expected) <= tolerance * fabs(expected))) {
        fail_msg("%.17g, expected %.17g", value, expected);
    }
}

static void draw_inputs(int count, uint32_t which, float *x)
{
    nl_rng rng = nl_rng_open(11, NL_PURPOSE_SELF_TEST, which, 0, 0);

    for (int k = 0; k < count; k++) {
        x[k] = (float)nl_rng_normal(&rng);
    }
}

/** A kernel on all samples, as a full matrix. */
static void kernel_of(const nl_net_spec *spec, nl_infinite_scale scale, bool weighted,
                      nl_infinite_kind kind, int count, const float *x, double *out)
{
    nl_net *net = NULL;
    nl_infinite *k = NULL;
    int list[most];

    assert_true(count <= most);
    for (int i = 0; i < count; i++) {
        list[i] = i;
    }
    assert_int_equal(nl_net_create(spec, NL_SGD, &net), NL_OK);
    assert_int_equal(nl_infinite_create(net, scale, weighted, count, x, &k), NL_OK);
    nl_infinite_block(k, kind, &(nl_sample_pairs){count, count, list, list}, out, count);
    nl_infinite_destroy(&k);
    nl_net_destroy(&net);
}

static nl_net_spec spec_of(nl_activation activation, nl_parametrization parametrization, int depth)
{
    return (nl_net_spec){.inputs = inputs,
                         .outputs = 3,
                         .width = 50,
                         .depth = depth,
                         .activation = activation,
                         .parametrization = parametrization,
                         .base_width = 50,
                         .weight_variance = 1.7,
                         .bias_variance = 0.3};
}

static double dot(const float *x, const float *y)
{
    double sum = 0.0;

    for (int c = 0; c < inputs; c++) {
        sum += (double)x[c] * (double)y[c];
    }
    return sum;
}

/* One hidden layer, relu, sw2 = 2, no bias, written with the angle as in Arora et al. 2019 (2/d for
 * their unit vectors): K = |x||y|/d (sin a + (pi - a) cos a)/pi 2, Theta = K + 2<x,y>/d (pi -
 * a)/pi. */
static void one_relu_layer_is_as_published(void **state)
{
    nl_net_spec spec = spec_of(NL_RELU, NL_NTK, 1);
    float x[samples * inputs];
    double nngp[samples * samples];
    double ntk[samples * samples];

    (void)state;
    spec.weight_variance = 2.0;
    spec.bias_variance = 0.0;
    draw_inputs(samples * inputs, 1, x);
    kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NNGP, samples, x, nngp);
    kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, samples, x, ntk);
    for (int i = 0; i < samples; i++) {
        for (int j = 0; j < samples; j++) {
            const double xy = dot(x + i * inputs, x + j * inputs);
            const double norms = sqrt(dot(x + i * inputs, x + i * inputs)) *
                                 sqrt(dot(x + j * inputs, x + j * inputs));
            const double angle = i == j ? 0.0 : acos(xy / norms);
            const double k = 2.0 * norms / inputs * (sin(angle) + (pi - angle) * cos(angle)) / pi;

            expect_near(nngp[i * samples + j], k, 1e-13);
            expect_near(ntk[i * samples + j], k + 2.0 * xy / inputs * (pi - angle) / pi, 1e-12);
        }
    }
}

/* On the diagonal, relu with sw2 = 2: K stays |x|^2 2/d and every layer adds as much, exactly. */
static void relu_diagonal_grows_by_layers(void **state)
{
    float x[inputs];
    double theta = 0.0;

    (void)state;
    draw_inputs(inputs, 2, x);
    for (int depth = 1; depth <= 4; depth++) {
        nl_net_spec spec = spec_of(NL_RELU, NL_NTK, depth);

        spec.weight_variance = 2.0;
        spec.bias_variance = 0.0;
        kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, 1, x, &theta);
        expect_near(theta, 2.0 * (depth + 1) * dot(x, x) / inputs, 1e-15 * (depth + 1));
    }
}

/* relu's kinks are rays: in polar coordinates, where the radius integrates to 2 and 1. */
static void relu_quadrature(double a, double b, double c, double *value, double *slope)
{
    enum { angles = 200000 };

    for (int k = 0; k < angles; k++) {
        const double t = 2.0 * pi * (k + 0.5) / angles;
        const double u = a * cos(t);
        const double v = b * cos(t) + c * sin(t);

        if (u > 0.0 && v > 0.0) {
            *value += 2.0 * u * v / angles;
            *slope += 1.0 / angles;
        }
    }
}

/* E over (u, v), normal with covariance [[uu, uv], [uv, vv]]; by the trapezoidal rule. */
static void quadrature(nl_activation activation, double uu, double uv, double vv, double *value,
                       double *slope)
{
    const double a = sqrt(uu);
    const double b = uv / a;
    const double c = sqrt(vv - b * b);
    const double step = 0.05;

    *value = *slope = 0.0;
    if (activation == NL_RELU) {
        relu_quadrature(a, b, c, value, slope);
        return;
    }
    for (int i = -180; i <= 180; i++) {
        for (int j = -180; j <= 180; j++) {
            const double p = step * i;
            const double q = step * j;
            const double weight = step * step / (2.0 * pi) * exp(-0.5 * (p * p + q * q));
            const double u = a * p;
            const double v = b * p + c * q;

            *value +=
                weight * nl_activation_value(activation, u) * nl_activation_value(activation, v);
            *slope +=
                weight * nl_activation_slope(activation, u) * nl_activation_slope(activation, v);
        }
    }
}

/* Recursion written out for two samples: what the room's own loops must give. */
static double by_quadrature(const nl_net_spec *spec, const float *x, const float *y,
                            nl_infinite_kind kind)
{
    const bool standard = spec->parametrization == NL_STANDARD;
    const double sw2 = spec->weight_variance;
    const double sb2 = spec->bias_variance;
    double xx = sw2 * dot(x, x) / inputs + sb2;
    double xy = sw2 * dot(x, y) / inputs + sb2;
    double yy = sw2 * dot(y, y) / inputs + sb2;
    double theta = standard ? dot(x, y) + 1.0 : xy;

    for (int l = 0; l < spec->depth; l++) {
        double value = 0.0;
        double slope = 0.0;
        double unused = 0.0;
        double value_x = 0.0;
        double value_y = 0.0;

        quadrature(spec->activation, xx, xy, yy, &value, &slope);
        quadrature(spec->activation, xx, xx * (1.0 - 1e-15), xx, &value_x, &unused);
        quadrature(spec->activation, yy, yy * (1.0 - 1e-15), yy, &value_y, &unused);
        xx = sw2 * value_x + sb2;
        yy = sw2 * value_y + sb2;
        xy = sw2 * value + sb2;
        theta = (standard ? spec->width * value + 1.0 : xy) + sw2 * slope * theta;
    }
    return kind == NL_INFINITE_NTK ? theta : xy;
}

static void recursions_equal_quadrature(void **state)
{
    float x[2 * inputs];
    double out[4];

    (void)state;
    draw_inputs(2 * inputs, 3, x);
    for (int c = 0; c < 12; c++) {
        static const nl_activation activations[] = {NL_RELU, NL_ERF, NL_GELU};
        const nl_activation activation = activations[c % 3];
        const nl_net_spec spec =
            spec_of(activation, c / 3 % 2 == 0 ? NL_NTK : NL_STANDARD, 1 + c / 6 * 2);
        const double tolerance = activation == NL_RELU ? 1e-4 : 1e-9;

        for (int kind = 0; kind < 2; kind++) {
            kernel_of(&spec, NL_INFINITE_AT_WIDTH, false, (nl_infinite_kind)kind, 2, x, out);
            expect_near(out[1], by_quadrature(&spec, x, x + inputs, (nl_infinite_kind)kind),
                        tolerance);
            assert_true(out[1] == out[2]);
        }
    }
}

/* The diagonal of many layers keeps its digits, also of large and of tiny inputs. */
static void the_diagonal_is_exact(void **state)
{
    static const double scales[] = {1e-3, 1.0, 1e3};

    (void)state;
    for (size_t s = 0; s < NL_COUNT(scales); s++) {
        nl_net_spec spec = spec_of(NL_ERF, NL_NTK, 5);
        float x[inputs];
        double k = 0.0;
        double theta = 0.0;
        double out = 0.0;

        draw_inputs(inputs, 4, x);
        for (int c = 0; c < inputs; c++) {
            x[c] *= (float)scales[s];
        }
        k = spec.weight_variance * dot(x, x) / inputs + spec.bias_variance;
        theta = k;
        for (int l = 0; l < 5; l++) {
            const double slope = 4.0 / pi / sqrt(1.0 + 4.0 * k);

            k = spec.weight_variance * 2.0 / pi * asin(2.0 * k / (1.0 + 2.0 * k)) +
                spec.bias_variance;
            theta = k + spec.weight_variance * slope * theta;
        }
        kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, 1, x, &out);
        expect_near(out, theta, 1e-10); /* asin near 1 is what loses them */
    }
}

/* Equal samples in other places of a tile, and nearly equal ones: no NaN, no jump. */
static void near_duplicates_lie_near_the_diagonal(void **state)
{
    float x[3 * inputs];
    double out[9];

    (void)state;
    draw_inputs(inputs, 5, x);
    for (int c = 0; c < inputs; c++) {
        x[inputs + c] = x[c];
        x[2 * inputs + c] = x[c] * 1.0000005F;
    }
    for (int activation = 0; activation < NL_ACTIVATION_COUNT; activation++) {
        const nl_net_spec spec = spec_of((nl_activation)activation, NL_NTK, 3);

        if (!nl_infinite_is_known(&spec)) {
            continue;
        }

        kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, 3, x, out);
        expect_near(out[1], out[0], 1e-7);
        expect_near(out[2], out[0], 3e-6);
    }
}

static void zero_inputs_without_bias_have_no_kernel(void **state)
{
    nl_net_spec spec = spec_of(NL_RELU, NL_NTK, 2);
    float x[2 * inputs] = {0};
    double out[4];

    (void)state;
    x[0] = 1.0F;
    spec.bias_variance = 0.0;
    kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, 2, x, out);
    assert_true(out[0] > 0.0);
    assert_true(out[1] == 0.0 && out[2] == 0.0 && out[3] == 0.0);
}

/* More samples than a tile holds, rows and columns that are not the same list: the same entries. */
static void tiles_hold_what_single_entries_are(void **state)
{
    enum { many = 300 };
    const nl_net_spec spec = spec_of(NL_RELU, NL_STANDARD, 2);
    float *x = nl_calloc(many * inputs, sizeof *x);
    double *all = nl_calloc((size_t)many * many, sizeof *all);
    int list[many];
    nl_net *net = NULL;
    nl_infinite *k = NULL;
    double one = 0.0;

    (void)state;
    draw_inputs(many * inputs, 6, x);
    for (int i = 0; i < many; i++) {
        list[i] = many - 1 - i;
    }
    assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
    assert_int_equal(nl_infinite_create(net, NL_INFINITE_AT_WIDTH, false, many, x, &k), NL_OK);
    nl_infinite_block(k, NL_INFINITE_NTK, &(nl_sample_pairs){290, many, list + 10, list}, all,
                      many);
    for (int i = 0; i < 290; i += 7) {
        for (int j = 0; j < many; j += 11) {
            nl_infinite_block(k, NL_INFINITE_NTK, &(nl_sample_pairs){1, 1, &list[i + 10], &list[j]},
                              &one, 1);
            expect_near(all[j * many + i], one, 1e-13);
        }
    }
    nl_infinite_destroy(&k);
    nl_net_destroy(&net);
    free(x);
    free(all);
}

/* Theta/width of the standard parametrisation approaches its limit as 1/width. */
static void standard_over_width_approaches_its_limit(void **state)
{
    float x[2 * inputs];
    double wide[4];
    double limit[4];

    (void)state;
    draw_inputs(2 * inputs, 7, x);
    for (int depth = 1; depth <= 3; depth++) {
        nl_net_spec spec = spec_of(NL_ERF, NL_STANDARD, depth);

        kernel_of(&spec, NL_INFINITE_LIMIT, false, NL_INFINITE_NTK, 2, x, limit);
        spec.width = 100000000;
        kernel_of(&spec, NL_INFINITE_AT_WIDTH, false, NL_INFINITE_NTK, 2, x, wide);
        for (int e = 0; e < 4; e++) {
            expect_near(wide[e] / spec.width, limit[e], 1e-5);
        }
    }
}

/* mup at base_width is standard; away from it the rates put back what the multiplier takes. */
static void mup_at_base_width_is_standard(void **state)
{
    nl_net_spec spec = spec_of(NL_RELU, NL_MUP, 2);
    float x[2 * inputs];
    double mup[4];
    double standard[4];
    nl_net *net = NULL;
    nl_infinite *k = NULL;

    (void)state;
    draw_inputs(2 * inputs, 8, x);
    for (int weighted = 0; weighted < 2; weighted++) {
        spec.parametrization = NL_MUP;
        kernel_of(&spec, NL_INFINITE_AT_WIDTH, weighted > 0, NL_INFINITE_NTK, 2, x, mup);
        spec.parametrization = NL_STANDARD;
        kernel_of(&spec, NL_INFINITE_AT_WIDTH, false, NL_INFINITE_NTK, 2, x, standard);
        for (int e = 0; e < 4; e++) {
            assert_true(mup[e] == standard[e]);
        }
    }
    spec.parametrization = NL_MUP;
    assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
    assert_int_equal(nl_infinite_create(net, NL_INFINITE_LIMIT, false, 2, x, &k), NL_ERR_ARG);
    assert_null(k);
    nl_net_destroy(&net);
}

static void what_has_no_closed_form_is_refused(void **state)
{
    const nl_net_spec spec = spec_of(NL_TANH, NL_NTK, 1);
    float x[inputs] = {0};
    nl_net *net = NULL;
    nl_infinite *k = NULL;

    (void)state;
    assert_int_equal(nl_net_create(&spec, NL_SGD, &net), NL_OK);
    assert_int_equal(nl_infinite_create(net, NL_INFINITE_LIMIT, false, 1, x, &k), NL_ERR_ARG);
    assert_null(k);
    nl_net_destroy(&net);
}

/*---------------------------------------------------------------------------------------------
 * Kernel regression
 *-------------------------------------------------------------------------------------------*/

/* Two training samples, two classes: the inverse can be written down. */
static void two_samples_regress_as_by_hand(void **state)
{
    enum { ld = 5 };
    const double k[3] = {2.0, 0.5, 1.0}; /* K = [[2, .5], [.5, 1]], tr/n = 1.5 */
    const double cross[2][2] = {{1.0, 0.25}, {0.1, 0.8}};
    const int labels[4] = {0, 1, 0, 0};
    const double ridge = 0.2;
    const double a = k[0] + ridge * 1.5;
    const double d = k[2] + ridge * 1.5;
    const double det = a * d - k[1] * k[1];
    /* y = (1/2, -1/2) of class 0, its negative of class 1 */
    const double alpha[2] = {0.5 * (d + k[1]) / det, -0.5 * (a + k[1]) / det};
    double kernel[ld * 2] = {k[0], k[1], cross[0][0], cross[1][0], NAN,
                             NAN,  k[2], cross[0][1], cross[1][1], NAN};
    const nl_regression_task task = {
        .train = 2, .test = 2, .outputs = 2, .labels = labels, .ridge = ridge};
    double expected = 0.0;
    nl_regression r;

    (void)state;
    for (int i = 0; i < 2; i++) {
        const double f = cross[i][0] * alpha[0] + cross[i][1] * alpha[1] + 0.5;

        expected += (f - 1.0) * (f - 1.0) / 2.0; /* class 1 misses by as much */
    }
    assert_int_equal(nl_kernel_regression(&task, kernel, ld, &r), NL_OK);
    expect_near(r.test_loss, expected, 1e-14);
    assert_true(r.test_accuracy == 0.5);
    /* n |alpha|^2 / (C tr^2 A^-1), tr A^-1 = (a + d) / det */
    expect_near(r.kare,
                2.0 * 2.0 * (alpha[0] * alpha[0] + alpha[1] * alpha[1]) * det * det / 2.0 /
                    ((a + d) * (a + d)),
                1e-14);
}

static void a_singular_kernel_gives_nan(void **state)
{
    double kernel[6] = {1.0, 1.0, 1.0, NAN, 1.0, 1.0};
    const int labels[3] = {0, 1, 0};
    const nl_regression_task task = {.train = 2, .test = 1, .outputs = 2, .labels = labels};
    nl_regression r;

    (void)state;
    assert_int_equal(nl_kernel_regression(&task, kernel, 3, &r), NL_OK);
    assert_true(isnan(r.test_loss) && isnan(r.test_accuracy));
}

/* Column-major [4 x 2]: the last two rows are of test images, one of which has no kernel. */
static void an_image_without_a_prediction_is_no_hit(void **state)
{
    double kernel[8] = {1.0, 0.0, NAN, 1.0, NAN, 1.0, NAN, 0.0};
    const int labels[4] = {0, 1, 0, 0};
    const nl_regression_task task = {.train = 2, .test = 2, .outputs = 2, .labels = labels};
    nl_regression r;

    (void)state;
    assert_int_equal(nl_kernel_regression(&task, kernel, 4, &r), NL_OK);
    assert_true(isnan(r.test_loss) && r.test_accuracy == 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_relu_layer_is_as_published),
        cmocka_unit_test(relu_diagonal_grows_by_layers),
        cmocka_unit_test(recursions_equal_quadrature),
        cmocka_unit_test(the_diagonal_is_exact),
        cmocka_unit_test(near_duplicates_lie_near_the_diagonal),
        cmocka_unit_test(zero_inputs_without_bias_have_no_kernel),
        cmocka_unit_test(tiles_hold_what_single_entries_are),
        cmocka_unit_test(standard_over_width_approaches_its_limit),
        cmocka_unit_test(mup_at_base_width_is_standard),
        cmocka_unit_test(what_has_no_closed_form_is_refused),
        cmocka_unit_test(two_samples_regress_as_by_hand),
        cmocka_unit_test(a_singular_kernel_gives_nan),
        cmocka_unit_test(an_image_without_a_prediction_is_no_hit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
