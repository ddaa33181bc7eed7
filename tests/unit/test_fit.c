/** @file test_fit.c  Scaling laws: planted slopes and exponents lie in their intervals as often as
 * the intervals say; degenerate tables get words. */
#include "ntklens/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { tables = 200, most_points = 256 };

/** A synthetic table: y = (offset + amplitude x^-exponent) e^(noise g), one g a scale and seed. */
typedef struct recipe {
    int scales, seeds;
    double first, factor;
    double exponent, amplitude, offset, noise;
} recipe;

static int make_table(const recipe *r, uint32_t number, nl_point *points)
{
    nl_rng rng = nl_rng_open(number, NL_PURPOSE_SELF_TEST, (uint32_t)r->scales, (uint32_t)r->seeds,
                             (uint32_t)(1e3 * r->exponent + 1e5));
    int count = 0;

    for (int k = 0; k < r->scales; k++) {
        const double x = r->first * pow(r->factor, k);
        const double y = r->offset + r->amplitude * pow(x, -r->exponent);

        for (int s = 0; s < r->seeds; s++) {
            points[count++] = (nl_point){
                .x = x, .y = y * exp(r->noise * nl_rng_normal(&rng)), .seed = (uint32_t)s};
        }
    }
    return count;
}

static bool holds(nl_interval interval, double value)
{
    return interval.low <= value && value <= interval.high;
}

/* Tables out of 200 whose interval holds what was planted. */
static int covered(const recipe *r, bool law)
{
    nl_point points[most_points];
    int hits = 0;

    for (uint32_t number = 0; number < tables; number++) {
        const int count = make_table(r, number, points);

        if (law) {
            hits += holds(nl_law_fit(count, points).interval, r->exponent);
        } else {
            hits += holds(nl_slope_fit(count, points).interval, -r->exponent);
        }
    }
    printf("%d scales, %d seeds, exponent %.2f, offset %.2f, noise %.2f: %s in %d of %d\n",
           r->scales, r->seeds, r->exponent, r->offset, r->noise, law ? "law" : "slope", hits,
           tables);
    return hits;
}

/* 93 to 97 %: of 95 % intervals over a thousand tables, with room for chance. */
static void check_share(const char *what, int hits, int of)
{
    printf("%s: %.1f %%\n", what, 100.0 * hits / of);
    assert_true(100 * hits >= 93 * of && 100 * hits <= 97 * of);
}

static const recipe powers[] = {
    {.scales = 6,
     .seeds = 3,
     .first = 8,
     .factor = 2,
     .exponent = 0.5,
     .amplitude = 2,
     .noise = 0.05},
    {.scales = 6,
     .seeds = 5,
     .first = 8,
     .factor = 2,
     .exponent = 0.5,
     .amplitude = 2,
     .noise = 0.05},
    {.scales = 6,
     .seeds = 8,
     .first = 8,
     .factor = 2,
     .exponent = 0.5,
     .amplitude = 2,
     .noise = 0.05},
    {.scales = 9,
     .seeds = 4,
     .first = 64,
     .factor = 2,
     .exponent = -0.3,
     .amplitude = 9,
     .noise = 0.1},
    {.scales = 4,
     .seeds = 3,
     .first = 16,
     .factor = 4,
     .exponent = 0.1,
     .amplitude = 1,
     .noise = 0.02},
};

static const recipe offsets[] = {
    {.scales = 9,
     .seeds = 3,
     .first = 64,
     .factor = 2,
     .exponent = 0.7,
     .amplitude = 20,
     .offset = 0.2,
     .noise = 0.03},
    {.scales = 9,
     .seeds = 5,
     .first = 64,
     .factor = 2,
     .exponent = 0.7,
     .amplitude = 20,
     .offset = 0.2,
     .noise = 0.03},
    {.scales = 9,
     .seeds = 8,
     .first = 64,
     .factor = 2,
     .exponent = 0.7,
     .amplitude = 20,
     .offset = 0.2,
     .noise = 0.03},
    {.scales = 8,
     .seeds = 4,
     .first = 8,
     .factor = 2,
     .exponent = 1.0,
     .amplitude = 10,
     .offset = 0.3,
     .noise = 0.02},
    {.scales = 8,
     .seeds = 8,
     .first = 8,
     .factor = 2,
     .exponent = -0.5,
     .amplitude = 2,
     .offset = 10,
     .noise = 0.02},
};

static void slopes_are_covered(void **state)
{
    int all = 0;

    (void)state;
    for (size_t k = 0; k < NL_COUNT(powers); k++) {
        all += covered(&powers[k], false);
    }
    check_share("slopes", all, tables * (int)NL_COUNT(powers));
}

static void exponents_are_covered(void **state)
{
    int all = 0;

    (void)state;
    for (size_t k = 0; k < NL_COUNT(powers); k++) {
        all += covered(&powers[k], true);
    }
    for (size_t k = 0; k < NL_COUNT(offsets); k++) {
        all += covered(&offsets[k], true);
    }
    check_share("laws", all, tables * (int)(NL_COUNT(powers) + NL_COUNT(offsets)));
}

static void a_floor_that_matters_is_found(void **state)
{
    const recipe r = {.scales = 9,
                      .seeds = 5,
                      .first = 64,
                      .factor = 2,
                      .exponent = 0.7,
                      .amplitude = 20,
                      .offset = 0.2,
                      .noise = 0.01};
    nl_point points[most_points];
    const nl_law law = nl_law_fit(make_table(&r, 0, points), points);

    (void)state;
    assert_int_equal(law.model, NL_LAW_OFFSET);
    assert_true(fabs(law.offset - 0.2) < 0.02);
    assert_true(fabs(log(law.amplitude / 20.0)) < 0.3);
    assert_int_equal(law.points, 9);
    assert_int_equal(law.seeds, 5);
}

static void check_words(const char *what, int count, const nl_point *points, const char *words)
{
    const nl_law law = nl_law_fit(count, points);

    printf("%s: %s\n", what, law.note);
    assert_non_null(strstr(law.note, words));
    assert_true(isnan(law.interval.low) && isnan(law.interval.high));
}

static void degenerate_tables_get_words(void **state)
{
    const nl_point one[] = {{8, 1.0, 0}, {8, 1.1, 1}};
    const nl_point single[] = {
        {8, 1.0, 0}, {16, 0.8, 0}, {32, 0.6, 0}, {64, 0.5, 0}, {128, 0.4, 0}};
    const nl_point bad[] = {{8, NAN, 0}, {16, -1.0, 0}, {32, INFINITY, 1}, {64, 0.0, 1}};

    (void)state;
    check_words("one scale", 2, one, "fewer than two scales");
    check_words("no point", 0, one, "fewer than two scales");
    check_words("one seed", 5, single, "one seed");
    check_words("nothing to take a logarithm of", 4, bad, "fewer than two scales");
    assert_int_equal(nl_law_fit(2, one).model, NL_LAW_NONE);
    assert_int_equal(nl_law_fit(5, single).model, NL_LAW_POWER);
}

static void a_constant_has_slope_zero(void **state)
{
    nl_point points[10];
    nl_law law;

    (void)state;
    for (int k = 0; k < 10; k++) {
        points[k] = (nl_point){.x = ldexp(1.0, k / 2), .y = 3.0, .seed = (uint32_t)(k % 2)};
    }
    law = nl_law_fit(10, points);
    assert_int_equal(law.model, NL_LAW_POWER);
    assert_true(law.exponent == 0.0 && law.interval.low == 0.0 && law.interval.high == 0.0);
    assert_non_null(strstr(law.note, "alike"));
}

static void differences_are_covered(void **state)
{
    nl_point points[most_points];
    int hits = 0;

    (void)state;
    for (uint32_t number = 0; number < tables; number++) {
        const nl_slope a = nl_slope_fit(make_table(&powers[1], number, points), points);
        const nl_slope b = nl_slope_fit(make_table(&powers[3], number, points), points);

        hits += holds(nl_slope_difference(&a, &b).interval, -0.8);
    }
    printf("differences: %d of %d\n", hits, tables);
    assert_true(hits >= 182 && hits <= 198);
}

enum { grid_side = 5, grid_seeds = 4 };

static nl_joint_law joint_of(uint32_t number)
{
    nl_rng rng = nl_rng_open(number, NL_PURPOSE_SELF_TEST, 99, 0, 0);
    double width[grid_side * grid_side * grid_seeds];
    double data[NL_COUNT(width)];
    double y[NL_COUNT(width)];
    uint32_t seed[NL_COUNT(width)];

    for (size_t k = 0; k < NL_COUNT(width); k++) {
        width[k] = 8.0 * pow(2.0, (double)(k % grid_side));
        data[k] = 128.0 * pow(3.0, (double)(k / grid_side % grid_side));
        seed[k] = (uint32_t)(k / (grid_side * grid_side));
        y[k] = (0.1 + 3.0 / width[k] + 8.0 * pow(data[k], -0.5)) * exp(0.01 * nl_rng_normal(&rng));
    }
    return nl_joint_law_fit((int)NL_COUNT(width), width, data, y, seed);
}

static void the_joint_law_is_found(void **state)
{
    int hits = 0;

    (void)state;
    for (uint32_t number = 0; number < 50; number++) {
        const nl_joint_law law = joint_of(number);

        assert_true(law.found);
        assert_int_equal(law.points, grid_side * grid_side);
        hits += holds(law.alpha_interval, 1.0) + holds(law.beta_interval, 0.5);
    }
    printf("joint law: %d of 100\n", hits);
    assert_true(hits >= 88);
}

static void crossings_are_interpolated_never_extrapolated(void **state)
{
    nl_point points[8];
    nl_crossing c;

    (void)state;
    for (int k = 0; k < 8; k++) { /* y = 1 / x at 1, 4, 16, 64: crosses 1/8 at 8 */
        points[k].x = pow(4.0, k / 2);
        points[k].y = 1.0 / points[k].x;
        points[k].seed = (uint32_t)(k % 2);
    }
    c = nl_crossing_find(8, points, 0.125);
    assert_true(fabs(c.x - 8.0) < 1e-12);
    assert_true(holds(c.interval, c.x));
    assert_int_equal(c.seeds, 2);
    c = nl_crossing_find(8, points, 1e-3);
    assert_true(isnan(c.x) && c.seeds == 0);
    assert_non_null(strstr(c.note, "0 of 2"));
    c = nl_crossing_find(8, points, 2.0); /* below the level everywhere */
    assert_true(isnan(c.x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slopes_are_covered),
        cmocka_unit_test(exponents_are_covered),
        cmocka_unit_test(a_floor_that_matters_is_found),
        cmocka_unit_test(degenerate_tables_get_words),
        cmocka_unit_test(a_constant_has_slope_zero),
        cmocka_unit_test(differences_are_covered),
        cmocka_unit_test(the_joint_law_is_found),
        cmocka_unit_test(crossings_are_interpolated_never_extrapolated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
