/** @file test_observables.c  Observables of spectra known in closed form. */
#include "ntklens/ntk.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_close(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-12 * fabs(expected))) {
        fail_msg("%.17g, expected %.17g", value, expected);
    }
}

static void equal_eigenvalues_have_full_rank(void **state)
{
    double lambda[50];
    nl_observables o;

    (void)state;
    for (int k = 0; k < 50; k++) {
        lambda[k] = 3.0;
    }
    o = nl_observe(50, lambda, DBL_EPSILON);
    expect_close(o.trace, 3.0);
    expect_close(o.entropy, log(50.0));
    expect_close(o.effective_rank, 50.0);
    expect_close(o.participation_ratio, 50.0);
    assert_false(o.negative);
}

/* p = 2^-1, ..., 2^-19, 2^-19: S = ln 2 (sum k 2^-k + 19 2^-19) */
static void a_geometric_spectrum_has_its_entropy(void **state)
{
    double lambda[20];
    double bits = 19.0 * ldexp(1.0, -19);

    (void)state;
    for (int k = 0; k < 20; k++) {
        lambda[k] = ldexp(1.0, -(k < 19 ? k + 1 : 19));
        bits += k < 19 ? (k + 1) * ldexp(1.0, -(k + 1)) : 0.0;
    }
    expect_close(nl_observe(20, lambda, DBL_EPSILON).entropy, bits * log(2.0));
}

static void small_negatives_count_as_zero_and_large_ones_are_flagged(void **state)
{
    const double rounding[3] = {1.0, 1.0, -DBL_EPSILON};
    const double wrong[3] = {1.0, 1.0, -1e-6};
    nl_observables o = nl_observe(3, rounding, DBL_EPSILON);

    (void)state;
    assert_false(o.negative);
    expect_close(o.effective_rank, 2.0);
    expect_close(o.lambda_min, -DBL_EPSILON);
    o = nl_observe(3, wrong, DBL_EPSILON);
    assert_true(o.negative);
    expect_close(o.effective_rank, 2.0);
}

static void what_cannot_be_said_is_nan(void **state)
{
    const double zeros[2] = {0.0, 0.0};
    const double nans[2] = {NAN, NAN};

    (void)state;
    assert_true(nl_observe(2, zeros, DBL_EPSILON).trace == 0.0);
    assert_true(isnan(nl_observe(2, zeros, DBL_EPSILON).effective_rank));
    assert_true(isnan(nl_observe(2, nans, DBL_EPSILON).trace));
    assert_true(isnan(nl_observe(2, nans, DBL_EPSILON).effective_rank));
    assert_false(nl_observe(2, nans, DBL_EPSILON).negative);
}

/* lambda_i = i^-1.7: an exponent of 0.7 over the documented range, all shares as sums. */
static void a_power_law_has_its_exponent_and_shares(void **state)
{
    enum { n = 400 };
    double lambda[n];
    double sum = 0.0;
    double first = 0.0;
    nl_observables o = nl_observables_unknown();

    (void)state;
    for (int k = n - 1; k >= 0; k--) {
        lambda[k] = pow(k + 1.0, -1.7);
        sum += lambda[k];
        first += k < 10 ? lambda[k] : 0.0;
    }
    o.kernel_change = 3.0; /* of the matrix: the spectrum does not touch it */
    nl_observe_spectrum(n, lambda, 10, DBL_EPSILON, &o);
    expect_close(o.spectral_exponent, 0.7);
    expect_close(o.spectral_exponent_from, 8.0);
    expect_close(o.spectral_exponent_to, 100.0);
    expect_close(o.trace_ratio, first / sum);
    expect_close(o.trace_ratio_1, 1.0 / sum);
    expect_close(o.stable_rank, sum);
    expect_close(o.lambda_max_over_n, 1.0 / n);
    expect_close(o.entropy_density, o.entropy / log(400.0));
    expect_close(o.numerical_rank, 400.0);
    expect_close(o.condition_number, pow(400.0, 1.7));
    assert_true(o.kernel_change == 3.0 && isnan(o.label_alignment));
}

/* What lies in the rounding of the largest eigenvalue is neither fitted nor a rank. */
static void rounding_is_no_part_of_a_spectrum(void **state)
{
    double lambda[40];
    nl_observables o = nl_observables_unknown();

    (void)state;
    for (int k = 0; k < 40; k++) {
        lambda[k] = k < 8 ? 1.0 / (k + 1.0) : 1e-17;
    }
    nl_observe_spectrum(40, lambda, 1, DBL_EPSILON, &o);
    expect_close(o.spectral_exponent_to, 8.0);
    assert_true(fabs(o.spectral_exponent) < 1e-12);
    expect_close(o.numerical_rank, 8.0);
    expect_close(o.condition_number, 8.0);
    lambda[5] = lambda[6] = lambda[7] = 1e-17; /* four points are too few */
    nl_observe_spectrum(40, lambda, 1, DBL_EPSILON, &o);
    assert_true(isnan(o.spectral_exponent) && isnan(o.spectral_exponent_to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_eigenvalues_have_full_rank),
        cmocka_unit_test(a_geometric_spectrum_has_its_entropy),
        cmocka_unit_test(small_negatives_count_as_zero_and_large_ones_are_flagged),
        cmocka_unit_test(what_cannot_be_said_is_nan),
        cmocka_unit_test(a_power_law_has_its_exponent_and_shares),
        cmocka_unit_test(rounding_is_no_part_of_a_spectrum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
