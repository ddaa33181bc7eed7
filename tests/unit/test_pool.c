/** @file test_pool.c  Pools against their definition, in each format. */
#include "../../src/nn/pool.h"
#include "../reference/pool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { samples = 3, most = 2048 };

static double x[most], delta[most], out[most], below[most];
static double expected_out[most], expected_below[most];
static float x_single[most], delta_single[most], out_single[most], below_single[most];
static uint8_t winner[most];

/* Whole numbers from -3 to 3, so that there are equal ones. */
static void draw(void)
{
    nl_rng rng = nl_rng_open(5, NL_PURPOSE_SELF_TEST, 0, 0, 0);

    for (int k = 0; k < most; k++) {
        x[k] = (double)nl_rng_below(&rng, 7) - 3.0;
        delta[k] = nl_rng_normal(&rng);
        x_single[k] = (float)x[k];
        delta_single[k] = (float)delta[k];
        out[k] = below[k] = NAN; /* what was there before must not matter */
        out_single[k] = below_single[k] = NAN;
    }
}

static void expect_pool(bool maximum, nl_shape in, int side)
{
    const size_t size = (size_t)nl_shape_size(in) * samples;
    const size_t pooled = (size_t)nl_shape_size(nl_pool_shape(in, side)) * samples;

    assert_true(size <= most);
    draw();
    reference_pool(maximum, in, side, samples, x, expected_out, delta, expected_below);
    if (maximum) {
        nl_max_pool_double(in, side, samples, x, out, winner);
        nl_max_pool_back_double(in, side, samples, winner, delta, below);
        nl_max_pool_single(in, side, samples, x_single, out_single, winner);
        nl_max_pool_back_single(in, side, samples, winner, delta_single, below_single);
    } else {
        nl_average_pool_double(in, side, samples, x, out);
        nl_average_pool_back_double(in, side, samples, delta, below);
        nl_average_pool_single(in, side, samples, x_single, out_single);
        nl_average_pool_back_single(in, side, samples, delta_single, below_single);
    }
    for (size_t k = 0; k < pooled; k++) {
        assert_true(fabs(out[k] - expected_out[k]) <= 1e-15 * 3.0);
        assert_true(fabs((double)out_single[k] - expected_out[k]) <= 1e-6 * 3.0);
    }
    for (size_t k = 0; k < size; k++) {
        assert_true(fabs(below[k] - expected_below[k]) <= 1e-15 * 5.0);
        assert_true(fabs((double)below_single[k] - expected_below[k]) <= 1e-6 * 5.0);
    }
}

static void pools_equal_their_definition_also_of_odd_sides(void **state)
{
    const nl_shape images[] = {{7, 5, 3}, {8, 8, 1}, {2, 2, 33}, {3, 9, 16}};

    (void)state;
    for (size_t i = 0; i < NL_COUNT(images); i++) {
        expect_pool(false, images[i], 2);
        expect_pool(true, images[i], 2);
    }
    expect_pool(false, (nl_shape){3, 3, 16}, 3); /* global average */
    expect_pool(true, (nl_shape){7, 7, 4}, 3);
}

static void a_nan_goes_through_a_maximum(void **state)
{
    const nl_shape in = {2, 2, 1};

    (void)state;
    for (int at = 0; at < 4; at++) {
        draw();
        x[at] = NAN;
        nl_max_pool_double(in, 2, 1, x, out, winner);
        assert_true(isnan(out[0]));
        assert_int_equal(winner[0], at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools_equal_their_definition_also_of_odd_sides),
        cmocka_unit_test(a_nan_goes_through_a_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
