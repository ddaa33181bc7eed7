/** @file test_fit.c  Power laws: planted slopes and exponents lie in their intervals as often as
 * these say; degenerate tables get words, not numbers. */
#include "ntklens/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { tables = 200, most_samples = 128 };

static const nl_offset_range floor_range = {.least = 0.0, .most = INFINITY, .floor = true};

/** A synthetic table: y = (offset + amplitude x^-exponent) e^(noise g). */
typedef struct recipe {
    int points, seeds;
    double exponent, offset; /* offset: share of y at the first point */
    double noise;            /* relative, of each sample */
} recipe;

static double planted(const recipe *r, int point)
{
    return r->offset + (1.0 - r->offset) * pow(2.0, -r->exponent * point);
}

static int make_table(const recipe *r, uint32_t number, nl_sample *samples)
{
    nl_rng rng = nl_rng_open(number, NL_PURPOSE_SELF_TEST, (uint32_t)r->points, (uint32_t)r->seeds,
                             (uint32_t)(1e3 * (r->offset + 1.0) + 1e5 * (r->exponent + 2.0)));
    int count = 0;

    for (int j = 0; j < r->points; j++) {
        for (int s = 0; s < r->seeds; s++) {
            samples[count++] = (nl_sample){.x = ldexp(8.0, j),
                                           .y = planted(r, j) * exp(r->noise * nl_rng_normal(&rng)),
                                           .seed = s};
        }
    }
    return count;
}

static bool holds(nl_interval interval, double value)
{
    return interval.low <= value && value <= interval.high;
}

/* Of 95 % intervals. */
static void expect_share(const char *what, int hits, int of)
{
    print_message("%s: %.2f %% of %d\n", what, 100.0 * hits / of, of);
    if (!(hits >= 0.93 * of && hits <= 0.97 * of)) {
        fail_msg("%s: %d of %d intervals hold what was planted, expected 93 to 97 %%", what, hits,
                 of);
    }
}

/* Half of the points are estimates, whose errors the seeds of a point share, as those of the same
 * random vectors do: scatter over seeds does not show them. */
static void known_errors_are_in_the_intervals(void **state)
{
    const recipe r = {.points = 6, .seeds = 4, .exponent = -0.3, .noise = 0.01};
    nl_sample samples[most_samples];
    int held[2] = {0}; /* with the errors told, and without */

    (void)state;
    for (int number = 0; number < tables; number++) {
        const int count = make_table(&r, (uint32_t)number, samples);
        nl_rng rng = nl_rng_open((uint32_t)number, NL_PURPOSE_SELF_TEST, 77, 0, 0);
        nl_fit fit;

        for (int j = r.points / 2; j < r.points; j++) {
            const double error = 0.05 * nl_rng_normal(&rng);

            for (int s = 0; s < r.seeds; s++) {
                samples[j * r.seeds + s].y *= exp(error);
                samples[j * r.seeds + s].error = 0.05;
            }
        }
        assert_int_equal(nl_fit_power_law(count, samples, floor_range, &fit), NL_OK);
        held[0] += holds(fit.slope, 0.3);
        for (int k = 0; k < count; k++) {
            samples[k].error = 0.0;
        }
        assert_int_equal(nl_fit_power_law(count, samples, floor_range, &fit), NL_OK);
        held[1] += holds(fit.slope, 0.3);
    }
    print_message("%d of %d with errors told, %d without\n", held[0], tables, held[1]);
    assert_true(held[0] >= 0.93 * tables);
    assert_true(held[1] < 0.8 * tables);
}

/* An estimate that may be off by 30 % and is does not bend a line of exact ones, whether several
 * seeds tell how networks differ or one does not. */
static void points_weigh_by_known_errors(void **state)
{
    nl_sample samples[most_samples];
    nl_fit fit;

    (void)state;
    for (int seeds = 1; seeds <= 3; seeds += 2) {
        const recipe r = {.points = 6, .seeds = seeds, .exponent = -0.5, .noise = 0.002};
        const int count = make_table(&r, 1, samples);

        for (int s = 0; s < seeds; s++) {
            samples[count - 1 - s].y *= 1.3;
        }
        assert_int_equal(nl_fit_power_law(count, samples, floor_range, &fit), NL_OK);
        assert_true(fabs(fit.slope.value - 0.5) > 0.04);
        for (int s = 0; s < seeds; s++) {
            samples[count - 1 - s].error = 0.3;
        }
        assert_int_equal(nl_fit_power_law(count, samples, floor_range, &fit), NL_OK);
        assert_true(fabs(fit.slope.value - 0.5) < 0.01);
    }
}

static void a_clear_offset_is_found(void **state)
{
    const recipe r = {.points = 9, .seeds = 5, .exponent = 0.7, .offset = 0.3, .noise = 0.01};
    nl_sample samples[most_samples];
    nl_fit fit;

    (void)state;
    assert_int_equal(nl_fit_power_law(make_table(&r, 0, samples), samples, floor_range, &fit),
                     NL_OK);
    assert_int_equal(fit.law, NL_LAW_OFFSET);
    assert_true(fabs(fit.offset.value - 0.3) < 0.02);
    assert_true(fabs(fit.amplitude / (0.7 * pow(8.0, 0.7)) - 1.0) < 0.1);
    assert_int_equal(fit.points, 9);
    assert_int_equal(fit.seeds, 5);
    assert_true(fit.offset.low < 0.3 && fit.offset.high > 0.3 && fit.offset.low > 0.25);
    assert_true(fit.offset_p > 0.05 && fit.power_p < 1e-6);
    assert_true(fit.identified && isnan(fit.turn));
}

/* The same law, but for the sign of its offset, which no loss can have. */
static void what_runs_away_has_no_exponent(void **state)
{
    nl_sample samples[24];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 24; k++) {
        const double x = ldexp(8.0, k / 4);

        samples[k] = (nl_sample){
            x, (1.0 - 0.14 * log(x)) * (1.0 + 0.01 * (k % 4)) * (1.0 + 0.002 * (k * k % 5 - 2)),
            k % 4, 0.0};
    }
    assert_int_equal(nl_fit_power_law(24, samples, floor_range, &fit), NL_OK);
    assert_true(fit.ran_away && !fit.identified);
    assert_int_equal(fit.law, NL_LAW_POWER);
    assert_true(isnan(fit.exponent.low) && !isnan(fit.slope.low));
    assert_non_null(strstr(fit.note, "exponent and floor are not identified"));
}

/* A rank cannot end above the order of its kernel. */
static void an_offset_stays_within_its_range(void **state)
{
    const nl_offset_range range = {.least = 0.0, .most = 100.0};
    nl_sample samples[24];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 24; k++) {
        const double x = ldexp(8.0, k / 4);

        samples[k] = (nl_sample){x, (100.0 - 120.0 * pow(x, -0.4)) * (1.0 + 0.01 * (k * k % 5 - 2)),
                                 k % 4, 0.0};
    }
    assert_int_equal(nl_fit_power_law(24, samples, range, &fit), NL_OK);
    assert_int_equal(fit.law, NL_LAW_OFFSET);
    assert_true(fit.offset.low > 0.0 && fit.offset.high <= 100.0);
    assert_true(fit.offset.value > 80.0 && fit.offset.value <= 100.0);
    assert_int_equal(fit.offset.value >= 100.0, strstr(fit.note, "most that is possible") != NULL);
}

static void other_seeds_at_each_point_are_pooled(void **state)
{
    nl_sample samples[15];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 15; k++) {
        samples[k] = (nl_sample){ldexp(1.0, k / 3), ldexp(1.0 + 0.02 * (k % 3), -(k / 3)), k, 0.0};
    }
    assert_int_equal(nl_fit_power_law(15, samples, floor_range, &fit), NL_OK);
    assert_int_equal(fit.law, NL_LAW_POWER);
    assert_true(fit.slope.low < -1.0 && fit.slope.high > -1.0 && fit.slope.high < -0.95);
    assert_non_null(strstr(fit.note, "not paired"));
}

static void local_exponents_are_those_between_neighbours(void **state)
{
    nl_sample samples[9];
    nl_local local[9];
    int found = 0;

    (void)state;
    for (int k = 0; k < 9; k++) { /* 4, 2, 1.9 at 1, 2, 4, times 1, 1.1, 1.2 by seed */
        const double y[] = {4.0, 2.0, 1.9};

        samples[k] = (nl_sample){ldexp(1.0, k / 3), y[k / 3] * (1.0 + 0.1 * (k % 3)), k % 3, 0.0};
    }
    assert_int_equal(nl_fit_local(9, samples, local, &found), NL_OK);
    assert_int_equal(found, 2);
    assert_true(fabs(local[0].exponent.value - 1.0) < 1e-12 && local[0].seeds == 3);
    assert_true(fabs(local[0].exponent.high - 1.0) < 1e-12); /* seeds are paired */
    assert_true(fabs(local[1].exponent.value - log(2.0 / 1.9) / log(2.0)) < 1e-12);
    assert_true(local[1].from == 2.0 && local[1].to == 4.0);
}

static void a_peak_is_told(void **state)
{
    static const double y[] = {1.0, 1.4, 1.5, 1.1, 0.9};
    nl_sample samples[15];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 15; k++) {
        samples[k] = (nl_sample){ldexp(1.0, k / 3), y[k / 3] * (1.0 + 0.01 * (k % 3)), k % 3, 0.0};
    }
    assert_int_equal(nl_fit_power_law(15, samples, floor_range, &fit), NL_OK);
    assert_true(fit.turn == 4.0 && fit.turn_is_peak);
}

/* Words, and no number of what they are about. */
static void expect_words(int count, const nl_sample *samples, nl_law law, const char *words)
{
    nl_fit fit;

    assert_int_equal(nl_fit_power_law(count, samples, floor_range, &fit), NL_OK);
    assert_int_equal(fit.law, law);
    assert_non_null(strstr(fit.note, words));
    assert_true(isnan(fit.exponent.low) && isnan(fit.exponent.high));
    assert_true(isnan(fit.slope.low) && isnan(fit.slope.high));
    assert_true((law == NL_LAW_NONE) == isnan(fit.exponent.value));
    assert_true((law == NL_LAW_NONE) == isnan(fit.amplitude));
}

static void degenerate_tables_get_words(void **state)
{
    const nl_sample point[] = {{8, 1.0, 0, 0.0}, {8, 1.1, 1, 0.0}};
    const nl_sample seed[] = {{8, 1.0, 3, 0.0},
                              {16, 0.8, 3, 0.0},
                              {32, 0.7, 3, 0.0},
                              {64, 0.5, 3, 0.0},
                              {128, 0.4, 3, 0.0}};
    const nl_sample bad[] = {
        {8, NAN, 0, 0.0}, {16, -1.0, 0, 0.0}, {32, INFINITY, 1, 0.0}, {64, 0.0, 1, 0.0}};
    const nl_sample same[] = {
        {8, 3.0, 0, 0.0}, {16, 3.0, 0, 0.0}, {8, 3.5, 1, 0.0}, {16, 3.5, 1, 0.0}};
    const nl_sample lone[] = {{8, 3.0, 0, 0.0}, {16, 3.1, 1, 0.0}};

    (void)state;
    expect_words(0, point, NL_LAW_NONE, "no usable values");
    expect_words(2, point, NL_LAW_NONE, "one point");
    expect_words(4, bad, NL_LAW_NONE, "no usable values");
    expect_words(4, same, NL_LAW_NONE, "constant");
    expect_words(2, lone, NL_LAW_NONE, "no seed");
    expect_words(5, seed, NL_LAW_POWER, "one seed: no interval");
}

static void bad_values_are_left_out_and_counted(void **state)
{
    const recipe r = {.points = 6, .seeds = 4, .exponent = 0.5, .noise = 0.02};
    nl_sample samples[most_samples];
    const int count = make_table(&r, 1, samples);
    nl_fit clean;
    nl_fit fit;

    (void)state;
    assert_int_equal(nl_fit_power_law(count, samples, floor_range, &clean), NL_OK);
    samples[count] = (nl_sample){16.0, NAN, 9, 0.0};
    samples[count + 1] = (nl_sample){-16.0, 1.0, 9, 0.0};
    assert_int_equal(nl_fit_power_law(count + 2, samples, floor_range, &fit), NL_OK);
    assert_int_equal(fit.unused, 2);
    assert_int_equal(fit.seeds, 4);
    assert_true(fit.exponent.value == clean.exponent.value &&
                fit.exponent.low == clean.exponent.low);
}

/* A step at one end: exponents of any size fit it. */
static void what_is_not_identified_is_said(void **state)
{
    nl_sample samples[15];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 15; k++) {
        samples[k] = (nl_sample){ldexp(1.0, k / 3), (k < 3 ? 2.0 : 1.0) * (1.0 + 0.02 * (k % 3)),
                                 k % 3, 0.0};
    }
    assert_int_equal(nl_fit_power_law(15, samples, floor_range, &fit), NL_OK);
    assert_int_equal(fit.law, NL_LAW_POWER);
    assert_true(isinf(fit.exponent.high));
    assert_non_null(strstr(fit.note, "its exponent is not identified"));
}

/* A logarithm has no floor: one of any size fits it. */
static void a_logarithm_has_no_offset(void **state)
{
    static const double mean[] = {1.0, 9.0, 17.0, 25.0};
    const nl_offset_range any = {.least = 0.0, .most = INFINITY};
    nl_sample samples[12];
    nl_fit fit;

    (void)state;
    for (int k = 0; k < 12; k++) {
        samples[k] = (nl_sample){ldexp(4.0, k / 3), mean[k / 3] * (1.0 + 0.02 * (k % 3)), k % 3, 0};
    }
    assert_int_equal(nl_fit_power_law(12, samples, any, &fit), NL_OK);
    assert_int_equal(fit.law, NL_LAW_POWER);
    assert_true(isfinite(fit.exponent.value) && isfinite(fit.offset.value));
    assert_non_null(strstr(fit.note, "as a logarithm: its exponent is not identified"));
}

static void differences_are_covered(void **state)
{
    const recipe a = {.points = 6, .seeds = 4, .exponent = 0.5, .noise = 0.05};
    const recipe b = {.points = 8, .seeds = 6, .exponent = 0.3, .noise = 0.05};
    nl_sample samples[most_samples];
    int hits = 0;

    (void)state;
    for (uint32_t number = 0; number < 400; number++) {
        nl_fit fit[2];

        assert_int_equal(
            nl_fit_power_law(make_table(&a, number, samples), samples, floor_range, &fit[0]),
            NL_OK);
        assert_int_equal(
            nl_fit_power_law(make_table(&b, number, samples), samples, floor_range, &fit[1]),
            NL_OK);
        hits += holds(nl_interval_difference(fit[0].slope, fit[1].slope), -0.2) ? 1 : 0;
    }
    print_message("differences: %d of 400\n", hits);
    assert_true(hits >= 372); /* MOVER errs to the safe side where one is much wider */
}

enum { side = 5, joint_seeds = 4, joint_samples = side * side * joint_seeds };

static nl_joint_fit joint_of(uint32_t number)
{
    nl_rng rng = nl_rng_open(number, NL_PURPOSE_SELF_TEST, 99, 0, 0);
    nl_grid_sample samples[joint_samples];
    nl_joint_fit fit;

    for (int k = 0; k < joint_samples; k++) {
        const double width = ldexp(8.0, k % side);
        const double data = 128.0 * pow(3.0, k / side % side);

        samples[k] = (nl_grid_sample){
            width, data, (0.1 + 3.0 / width + 8.0 / sqrt(data)) * exp(0.01 * nl_rng_normal(&rng)),
            k / (side * side), 0.0};
    }
    assert_int_equal(nl_fit_joint_law(joint_samples, samples, floor_range, &fit), NL_OK);
    return fit;
}

static void the_joint_law_is_covered(void **state)
{
    int hits = 0;

    (void)state;
    for (uint32_t number = 0; number < tables; number++) {
        const nl_joint_fit fit = joint_of(number);

        assert_int_equal(fit.law, NL_LAW_JOINT);
        assert_int_equal(fit.points, side * side);
        hits += (holds(fit.alpha, 1.0) ? 1 : 0) + (holds(fit.beta, 0.5) ? 1 : 0);
    }
    expect_share("joint exponents", hits, 2 * tables);
}

static void a_row_is_no_grid(void **state)
{
    const nl_grid_sample row[] = {{8, 64, 1, 0, 0.0}, {16, 64, 0.8, 0, 0.0}, {32, 64, NAN, 0, 0.0}};
    nl_joint_fit fit;

    (void)state;
    assert_int_equal(nl_fit_joint_law(3, row, floor_range, &fit), NL_OK);
    assert_int_equal(fit.law, NL_LAW_NONE);
    assert_true(isnan(fit.alpha.value));
    assert_int_equal(fit.unused, 1);
    assert_non_null(strstr(fit.note, "three widths"));
}

static void crossings_are_interpolated_never_extrapolated(void **state)
{
    nl_sample samples[8]; /* y = 1 / x at 1, 4, 16, 64 */
    nl_crossing at;

    (void)state;
    for (int k = 0; k < 8; k++) {
        const int point = k / 2;

        samples[k] = (nl_sample){ldexp(1.0, 2 * point), ldexp(1.0, -2 * point), k % 2, 0.0};
    }
    assert_int_equal(nl_fit_crossing(8, samples, 0.125, &at), NL_OK);
    assert_true(fabs(at.x.value - 8.0) < 1e-12);
    assert_int_equal(at.crossed, 2);
    assert_int_equal(nl_fit_crossing(8, samples, 1e-3, &at), NL_OK);
    assert_true(isnan(at.x.value) && at.above == 2);
    assert_non_null(strstr(at.note, "still"));
    assert_int_equal(nl_fit_crossing(8, samples, 2.0, &at), NL_OK);
    assert_true(isnan(at.x.value) && at.below == 2);
    samples[7].y = 0.5; /* one seed rises again: no number for all */
    assert_int_equal(nl_fit_crossing(8, samples, 0.125, &at), NL_OK);
    assert_true(isnan(at.x.value) && at.crossed == 1);
    assert_non_null(strstr(at.note, "1 of 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_errors_are_in_the_intervals),
        cmocka_unit_test(points_weigh_by_known_errors),
        cmocka_unit_test(a_clear_offset_is_found),
        cmocka_unit_test(what_runs_away_has_no_exponent),
        cmocka_unit_test(an_offset_stays_within_its_range),
        cmocka_unit_test(other_seeds_at_each_point_are_pooled),
        cmocka_unit_test(local_exponents_are_those_between_neighbours),
        cmocka_unit_test(a_peak_is_told),
        cmocka_unit_test(degenerate_tables_get_words),
        cmocka_unit_test(bad_values_are_left_out_and_counted),
        cmocka_unit_test(what_is_not_identified_is_said),
        cmocka_unit_test(a_logarithm_has_no_offset),
        cmocka_unit_test(differences_are_covered),
        cmocka_unit_test(the_joint_law_is_covered),
        cmocka_unit_test(a_row_is_no_grid),
        cmocka_unit_test(crossings_are_interpolated_never_extrapolated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
