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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_eigenvalues_have_full_rank),
        cmocka_unit_test(a_geometric_spectrum_has_its_entropy),
        cmocka_unit_test(small_negatives_count_as_zero_and_large_ones_are_flagged),
        cmocka_unit_test(what_cannot_be_said_is_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
