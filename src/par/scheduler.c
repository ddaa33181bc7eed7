/** @file scheduler.c  Who waits for work, what is left, and who gets what. */
#include "scheduler.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

nl_status nl_scheduler_create(int ranks, nl_scheduler *scheduler)
{
    *scheduler = (nl_scheduler){.ranks = ranks};
    scheduler->waiting = nl_calloc((size_t)ranks, sizeof *scheduler->waiting);
    return scheduler->waiting != NULL ? NL_OK
                                      : NL_FAIL(NL_ERR_NOMEM, "out of memory for a work queue");
}

void nl_scheduler_free(nl_scheduler *scheduler)
{
    free(scheduler->ready);
    free(scheduler->waiting);
    *scheduler = (nl_scheduler){0};
}

nl_status nl_scheduler_open(nl_scheduler *scheduler, int items, int team_size)
{
    int *ready = nl_calloc((size_t)items + 1, sizeof *ready);

    if (ready == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a queue of %d items", items);
    }
    free(scheduler->ready);
    scheduler->ready = ready;
    scheduler->ready_count = 0;
    scheduler->items = items;
    scheduler->next = 0;
    scheduler->team_size = team_size;
    return NL_OK;
}

void nl_scheduler_arrive(nl_scheduler *scheduler, int rank)
{
    scheduler->waiting_count += !scheduler->waiting[rank];
    scheduler->waiting[rank] = true;
}

static void leave(nl_scheduler *scheduler, int rank)
{
    scheduler->waiting_count -= scheduler->waiting[rank];
    scheduler->waiting[rank] = false;
}

void nl_scheduler_ready(nl_scheduler *scheduler, int item)
{
    int at = scheduler->ready_count;

    if (at >= scheduler->items) {
        return; /* each item becomes ready once */
    }
    while (at > 0 && scheduler->ready[at - 1] > item) {
        scheduler->ready[at] = scheduler->ready[at - 1];
        at--;
    }
    scheduler->ready[at] = item;
    scheduler->ready_count++;
}

bool nl_scheduler_exhausted(const nl_scheduler *scheduler)
{
    return scheduler->next >= scheduler->items;
}

static int all_waiting(const nl_scheduler *scheduler, int *ranks)
{
    int count = 0;

    for (int rank = 0; rank < scheduler->ranks && count < scheduler->waiting_count; rank++) {
        if (scheduler->waiting[rank]) {
            ranks[count++] = rank;
        }
    }
    return count;
}

/* Of those that wait, the ranks that lie nearest to each other: most likely on one node. */
static void pick_team(const nl_scheduler *scheduler, int size, int *ranks)
{
    const int count = all_waiting(scheduler, ranks);
    int span = INT_MAX;
    int first = 0;

    for (int k = 0; k + size <= count; k++) {
        if (ranks[k + size - 1] - ranks[k] < span) {
            span = ranks[k + size - 1] - ranks[k];
            first = k;
        }
    }
    memmove(ranks, ranks + first, (size_t)size * sizeof *ranks);
}

int nl_scheduler_take_idle(nl_scheduler *scheduler, int wanted, int *ranks)
{
    if (scheduler->waiting_count < wanted) {
        return 0;
    }
    pick_team(scheduler, wanted, ranks);
    for (int k = 0; k < wanted; k++) {
        leave(scheduler, ranks[k]);
    }
    return wanted;
}

int nl_scheduler_assign(nl_scheduler *scheduler, bool stopping, nl_task *task, int *ranks)
{
    const bool left = !nl_scheduler_exhausted(scheduler);
    int count = 0;

    *task = (nl_task){.kind = NL_TASK_NONE, .item = -1};
    if (scheduler->waiting_count == 0) {
        return 0;
    }
    if (stopping || (!left && scheduler->ready_count == 0 &&
                     scheduler->waiting_count == scheduler->ranks)) { /* all is done */
        count = all_waiting(scheduler, ranks);
    } else if (left) {
        *task = (nl_task){.kind = NL_TASK_ITEM, .item = scheduler->next++};
        all_waiting(scheduler, ranks);
        count = 1;
    } else if (scheduler->ready_count > 0 && scheduler->waiting_count >= scheduler->team_size) {
        *task = (nl_task){.kind = NL_TASK_TEAM, .item = scheduler->ready[0]};
        scheduler->ready_count--;
        memmove(scheduler->ready, scheduler->ready + 1,
                (size_t)scheduler->ready_count * sizeof *scheduler->ready);
        count = scheduler->team_size;
        pick_team(scheduler, count, ranks);
    }
    for (int k = 0; k < count; k++) {
        leave(scheduler, ranks[k]);
    }
    return count;
}
