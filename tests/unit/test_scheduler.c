/** @file test_scheduler.c  Who gets what: the root's side of the service, without messages. */
#include "../../src/par/scheduler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ranks = 6 };

static nl_scheduler open_desk(int items, int team_size)
{
    nl_scheduler scheduler;

    assert_int_equal(nl_scheduler_create(ranks, &scheduler), NL_OK);
    assert_int_equal(nl_scheduler_open(&scheduler, items, team_size), NL_OK);
    return scheduler;
}

static void arrive(nl_scheduler *scheduler, int count, const int *list)
{
    for (int k = 0; k < count; k++) {
        nl_scheduler_arrive(scheduler, list[k]);
    }
}

static void items_go_out_in_order_one_a_rank(void **state)
{
    nl_scheduler scheduler = open_desk(2, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 0); /* nobody asked */
    arrive(&scheduler, 3, (int[]){4, 1, 2});
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 1);
    assert_int_equal(task.kind, NL_TASK_ITEM);
    assert_int_equal(task.item, 0);
    assert_int_equal(who[0], 1);
    assert_false(nl_scheduler_exhausted(&scheduler));
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 1);
    assert_int_equal(task.item, 1);
    assert_int_equal(who[0], 2);
    assert_true(nl_scheduler_exhausted(&scheduler));
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who),
                     0); /* 4 waits: it may yet help */
    assert_int_equal(nl_scheduler_take_idle(&scheduler, 2, who), 0);
    assert_int_equal(nl_scheduler_take_idle(&scheduler, 1, who), 1);
    assert_int_equal(who[0], 4);
    assert_int_equal(nl_scheduler_take_idle(&scheduler, 1, who), 0);
    nl_scheduler_free(&scheduler);
}

static void all_leave_together(void **state)
{
    nl_scheduler scheduler = open_desk(0, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    for (int rank = 0; rank < ranks; rank++) {
        assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 0);
        nl_scheduler_arrive(&scheduler, rank);
    }
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), ranks);
    assert_int_equal(task.kind, NL_TASK_NONE);
    assert_int_equal(who[ranks - 1], ranks - 1);
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 0);
    nl_scheduler_free(&scheduler);
}

static void teams_form_of_neighbours_once_cells_are_out(void **state)
{
    nl_scheduler scheduler = open_desk(1, 2);
    nl_task task;
    int who[ranks];

    (void)state;
    nl_scheduler_ready(&scheduler, 0);
    arrive(&scheduler, 4, (int[]){0, 2, 4, 5});
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who),
                     1); /* training goes first */
    assert_int_equal(task.kind, NL_TASK_ITEM);
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 2);
    assert_int_equal(task.kind, NL_TASK_TEAM);
    assert_int_equal(task.item, 0);
    assert_int_equal(who[0], 4); /* 4 and 5 are nearer to each other than 2 and 4 */
    assert_int_equal(who[1], 5);
    assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 0);
    nl_scheduler_free(&scheduler);
}

static void longer_items_are_shared_first(void **state)
{
    nl_scheduler scheduler = open_desk(3, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    for (int k = 0; k < 3; k++) {
        nl_scheduler_arrive(&scheduler, k);
        assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 1);
    }
    nl_scheduler_ready(&scheduler, 2);
    nl_scheduler_ready(&scheduler, 0);
    nl_scheduler_ready(&scheduler, 1);
    for (int k = 0; k < 3; k++) {
        nl_scheduler_arrive(&scheduler, k);
        assert_int_equal(nl_scheduler_assign(&scheduler, false, &task, who), 1);
        assert_int_equal(task.kind, NL_TASK_TEAM);
        assert_int_equal(task.item, k);
    }
    nl_scheduler_free(&scheduler);
}

static void nothing_goes_out_once_all_stop(void **state)
{
    nl_scheduler scheduler = open_desk(5, 2);
    nl_task task;
    int who[ranks];

    (void)state;
    nl_scheduler_ready(&scheduler, 1);
    arrive(&scheduler, 2, (int[]){3, 5});
    assert_int_equal(nl_scheduler_assign(&scheduler, true, &task, who), 2);
    assert_int_equal(task.kind, NL_TASK_NONE);
    assert_int_equal(who[0], 3);
    assert_int_equal(who[1], 5);
    nl_scheduler_free(&scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_go_out_in_order_one_a_rank),
        cmocka_unit_test(all_leave_together),
        cmocka_unit_test(teams_form_of_neighbours_once_cells_are_out),
        cmocka_unit_test(longer_items_are_shared_first),
        cmocka_unit_test(nothing_goes_out_once_all_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
