/** @file test_schedule.c  How long cells take that are handed out one by one. */
#include "../../src/plan/schedule.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(double wanted, const nl_turn *turns, int count, int workers, int node)
{
    double seconds = 0.0;

    assert_int_equal(nl_schedule_seconds(turns, count, &(nl_workforce){workers, node}, &seconds),
                     NL_OK);
    assert_true(fabs(seconds - wanted) < 1e-9 * (1.0 + wanted));
}

static void each_goes_to_who_is_free_first(void **state)
{
    const nl_turn turns[] = {{7.0, 0.0, 1}, {4.0, 0.0, 1}, {3.0, 0.0, 1}, {2.0, 0.0, 1}};

    (void)state;
    expect(16.0, turns, 4, 1, 1);
    expect(9.0, turns, 4, 2, 1); /* 7 and 2; 4 and 3 */
    expect(7.0, turns, 4, 1000, 1);
    expect(0.0, turns, 0, 2, 1);
}

static void cores_without_work_shorten_what_can_be_shared(void **state)
{
    const nl_turn all = {100.0, 1.0, 64};
    const nl_turn half = {100.0, 0.5, 64};
    const nl_turn two = {100.0, 1.0, 2};

    (void)state;
    expect(100.0, &all, 1, 4, 1); /* each on a node of its own */
    expect(25.0, &all, 1, 4, 4);
    expect(62.5, &half, 1, 4, 4);
    expect(50.0, &two, 1, 4, 4);
    expect(50.0, &all, 1, 4, 2); /* two nodes: none helps another */
}

/* Two ranks: 60 and 20 seconds.  After 20 the first has 40 left and both cores. */
static void a_core_is_lent_when_its_own_turn_is_over(void **state)
{
    const nl_turn turns[] = {{60.0, 1.0, 8}, {20.0, 1.0, 8}};

    (void)state;
    expect(40.0, turns, 2, 2, 2);
}

/* Four ranks, 90 and 30 seconds: three cores and one end both at 30; by most left for each core. */
static void who_has_most_left_is_helped_first(void **state)
{
    const nl_turn turns[] = {{90.0, 1.0, 8}, {30.0, 1.0, 8}};

    (void)state;
    expect(30.0, turns, 2, 4, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_goes_to_who_is_free_first),
        cmocka_unit_test(cores_without_work_shorten_what_can_be_shared),
        cmocka_unit_test(a_core_is_lent_when_its_own_turn_is_over),
        cmocka_unit_test(who_has_most_left_is_helped_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
