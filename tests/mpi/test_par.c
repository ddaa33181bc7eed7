/** @file test_par.c  Agreement, teams, and the service thread. */
#include "ntklens/par.h"

#include "expect.h"

#include <stdlib.h>
#include <string.h>

static int setup(void **state)
{
    nl_team *team = NULL;

    if (nl_team_create(MPI_COMM_WORLD, &team) != NL_OK) {
        return -1;
    }
    *state = team;
    return 0;
}

static int teardown(void **state)
{
    nl_team *team = *state;

    nl_team_destroy(&team);
    return 0;
}

static void one_ranks_failure_is_everyones(void **state)
{
    const nl_team *team = *state;
    nl_status mine = team->rank == team->size - 1 ? NL_ERR_DATA : NL_OK;

    expect_all(team->comm, nl_agree(team->comm, mine) == NL_ERR_DATA);
    expect_all(team->comm, nl_agree(team->comm, NL_OK) == NL_OK);
}

static void a_split_leaves_out_ranks_without_colour(void **state)
{
    const nl_team *team = *state;
    nl_team *part = NULL;
    nl_status status = nl_team_split(team, team->rank == 0 ? -1 : team->rank % 2, &part);

    expect_all(team->comm, status == NL_OK);
    expect_all(team->comm, (part == NULL) == (team->rank == 0));
    expect_all(team->comm, part == NULL || part->size == (team->size - 1 + team->rank % 2) / 2);
    nl_team_destroy(&part);
}

static void broadcasts_reach_every_rank(void **state)
{
    const nl_team *team = *state;
    char text[32] = "";

    if (team->rank == 0) {
        strcpy(text, "weights");
    }
    nl_team_broadcast(team, text, sizeof text, 0);
    expect_all(team->comm, strcmp(text, "weights") == 0);
}

enum { items = 57 };

typedef struct received {
    int told[items];
    int ticks;
    int stop_at_tick;
} received;

static int count_tick(void *context)
{
    received *book = context;

    book->ticks++;
    return book->stop_at_tick > 0 && book->ticks >= book->stop_at_tick ? 7 : 0;
}

static void note_item(void *context, int source, const void *bytes, size_t length)
{
    received *book = context;
    int item = -1;

    (void)source;
    if (length == sizeof item) {
        memcpy(&item, bytes, sizeof item);
        book->told[item]++;
    }
}

static void every_item_goes_out_once_and_every_message_arrives(void **state)
{
    const nl_team *team = *state;
    received book = {0};
    nl_service *service = NULL;
    nl_status status = nl_service_start(
        team, (nl_service_hooks){.context = &book, .tick = count_tick, .deliver = note_item},
        &service);
    nl_task task;
    bool complete = true;

    expect_all(team->comm, status == NL_OK);
    for (int round = 0; round < 2; round++) {
        expect_all(team->comm, nl_service_open_queue(service, items, 1) == NL_OK);
        while (nl_service_take(service, &task) == NL_OK && task.kind == NL_TASK_ITEM) {
            complete = complete && nl_service_send(service, &task.item, sizeof task.item) == NL_OK;
        }
        complete = complete && task.kind == NL_TASK_NONE;
        expect_all(team->comm, complete && nl_service_stopping(service) == 0);
    }
    nl_service_end(&service);
    for (int k = 0; k < items; k++) {
        complete = complete && book.told[k] == (team->rank == 0 ? 2 : 0);
    }
    expect_all(team->comm, complete && service == NULL);
}

static void one_ranks_wish_to_stop_reaches_all_within_a_second(void **state)
{
    const nl_team *team = *state;
    received book = {.stop_at_tick = team->rank == team->size - 1 ? 3 : 0};
    nl_service *service = NULL;
    nl_status status = nl_service_start(
        team, (nl_service_hooks){.context = &book, .tick = count_tick, .deliver = note_item},
        &service);
    double start = nl_now();
    nl_task task;

    expect_all(team->comm, status == NL_OK);
    expect_all(team->comm, nl_service_open_queue(service, items, 1) == NL_OK);
    while (nl_service_stopping(service) == 0 && nl_now() - start < 20.0) {
    }
    expect_all(team->comm, nl_service_stopping(service) == 7);
    expect_all(team->comm, nl_service_take(service, &task) == NL_OK && task.kind == NL_TASK_NONE);
    nl_service_end(&service);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_ranks_failure_is_everyones),
        cmocka_unit_test(a_split_leaves_out_ranks_without_colour),
        cmocka_unit_test(broadcasts_reach_every_rank),
        cmocka_unit_test(every_item_goes_out_once_and_every_message_arrives),
        cmocka_unit_test(one_ranks_wish_to_stop_reaches_all_within_a_second),
    };
    int provided = 0;
    int failed = 0;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    failed = cmocka_run_group_tests(tests, setup, teardown);
    MPI_Finalize();
    return failed;
}
