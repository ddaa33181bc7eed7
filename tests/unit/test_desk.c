/** @file test_desk.c  Who gets what: the root's side of the service, without messages. */
#include "../../src/par/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ranks = 6 };

static nl_desk open_desk(int items, int team_size)
{
    nl_desk desk;

    assert_int_equal(nl_desk_create(ranks, &desk), NL_OK);
    assert_int_equal(nl_desk_open(&desk, items, team_size), NL_OK);
    return desk;
}

static void arrive(nl_desk *desk, int count, const int *list)
{
    for (int k = 0; k < count; k++) {
        nl_desk_arrive(desk, list[k]);
    }
}

static void items_go_out_in_order_one_a_rank(void **state)
{
    nl_desk desk = open_desk(2, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 0); /* nobody asked */
    arrive(&desk, 3, (int[]){4, 1, 2});
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 1);
    assert_int_equal(task.kind, NL_TASK_ITEM);
    assert_int_equal(task.item, 0);
    assert_int_equal(who[0], 1);
    assert_false(nl_desk_exhausted(&desk));
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 1);
    assert_int_equal(task.item, 1);
    assert_int_equal(who[0], 2);
    assert_true(nl_desk_exhausted(&desk));
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 0); /* 4 waits: it may yet help */
    assert_int_equal(nl_desk_helpers(&desk, 2, who), 0);
    assert_int_equal(nl_desk_helpers(&desk, 1, who), 1);
    assert_int_equal(who[0], 4);
    assert_int_equal(nl_desk_helpers(&desk, 1, who), 0);
    nl_desk_free(&desk);
}

static void all_leave_together(void **state)
{
    nl_desk desk = open_desk(0, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    for (int rank = 0; rank < ranks; rank++) {
        assert_int_equal(nl_desk_assign(&desk, false, &task, who), 0);
        nl_desk_arrive(&desk, rank);
    }
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), ranks);
    assert_int_equal(task.kind, NL_TASK_NONE);
    assert_int_equal(who[ranks - 1], ranks - 1);
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 0);
    nl_desk_free(&desk);
}

static void teams_form_of_neighbours_once_cells_are_out(void **state)
{
    nl_desk desk = open_desk(1, 2);
    nl_task task;
    int who[ranks];

    (void)state;
    nl_desk_ready(&desk, 0);
    arrive(&desk, 4, (int[]){0, 2, 4, 5});
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 1); /* training goes first */
    assert_int_equal(task.kind, NL_TASK_ITEM);
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 2);
    assert_int_equal(task.kind, NL_TASK_TEAM);
    assert_int_equal(task.item, 0);
    assert_int_equal(who[0], 4); /* 4 and 5 are nearer to each other than 2 and 4 */
    assert_int_equal(who[1], 5);
    assert_int_equal(nl_desk_assign(&desk, false, &task, who), 0);
    nl_desk_free(&desk);
}

static void longer_items_are_shared_first(void **state)
{
    nl_desk desk = open_desk(3, 1);
    nl_task task;
    int who[ranks];

    (void)state;
    for (int k = 0; k < 3; k++) {
        nl_desk_arrive(&desk, k);
        assert_int_equal(nl_desk_assign(&desk, false, &task, who), 1);
    }
    nl_desk_ready(&desk, 2);
    nl_desk_ready(&desk, 0);
    nl_desk_ready(&desk, 1);
    for (int k = 0; k < 3; k++) {
        nl_desk_arrive(&desk, k);
        assert_int_equal(nl_desk_assign(&desk, false, &task, who), 1);
        assert_int_equal(task.kind, NL_TASK_TEAM);
        assert_int_equal(task.item, k);
    }
    nl_desk_free(&desk);
}

static void nothing_goes_out_once_all_stop(void **state)
{
    nl_desk desk = open_desk(5, 2);
    nl_task task;
    int who[ranks];

    (void)state;
    nl_desk_ready(&desk, 1);
    arrive(&desk, 2, (int[]){3, 5});
    assert_int_equal(nl_desk_assign(&desk, true, &task, who), 2);
    assert_int_equal(task.kind, NL_TASK_NONE);
    assert_int_equal(who[0], 3);
    assert_int_equal(who[1], 5);
    nl_desk_free(&desk);
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
