/** @file desk.c  Who waits for work, what is left, and who gets what. */
#include "desk.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

nl_status nl_desk_create(int ranks, nl_desk *desk)
{
    *desk = (nl_desk){.ranks = ranks};
    desk->waiting = nl_calloc((size_t)ranks, sizeof *desk->waiting);
    return desk->waiting != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "out of memory for a work queue");
}

void nl_desk_free(nl_desk *desk)
{
    free(desk->ready);
    free(desk->waiting);
    *desk = (nl_desk){0};
}

nl_status nl_desk_open(nl_desk *desk, int items, int team_size)
{
    int *ready = nl_calloc((size_t)items + 1, sizeof *ready);

    if (ready == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a queue of %d items", items);
    }
    free(desk->ready);
    desk->ready = ready;
    desk->ready_count = 0;
    desk->items = items;
    desk->next = 0;
    desk->team_size = team_size;
    return NL_OK;
}

void nl_desk_arrive(nl_desk *desk, int rank)
{
    desk->waiting_count += !desk->waiting[rank];
    desk->waiting[rank] = true;
}

static void leave(nl_desk *desk, int rank)
{
    desk->waiting_count -= desk->waiting[rank];
    desk->waiting[rank] = false;
}

void nl_desk_ready(nl_desk *desk, int item)
{
    int at = desk->ready_count;

    if (at >= desk->items) {
        return; /* each item becomes ready once */
    }
    while (at > 0 && desk->ready[at - 1] > item) {
        desk->ready[at] = desk->ready[at - 1];
        at--;
    }
    desk->ready[at] = item;
    desk->ready_count++;
}

bool nl_desk_exhausted(const nl_desk *desk)
{
    return desk->next >= desk->items;
}

static int all_waiting(const nl_desk *desk, int *ranks)
{
    int count = 0;

    for (int rank = 0; rank < desk->ranks && count < desk->waiting_count; rank++) {
        if (desk->waiting[rank]) {
            ranks[count++] = rank;
        }
    }
    return count;
}

/* Of those that wait, the ranks that lie nearest to each other: most likely on one node. */
static void pick_team(const nl_desk *desk, int size, int *ranks)
{
    const int count = all_waiting(desk, ranks);
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

int nl_desk_helpers(nl_desk *desk, int wanted, int *ranks)
{
    if (desk->waiting_count < wanted) {
        return 0;
    }
    pick_team(desk, wanted, ranks);
    for (int k = 0; k < wanted; k++) {
        leave(desk, ranks[k]);
    }
    return wanted;
}

int nl_desk_assign(nl_desk *desk, bool stopping, nl_task *task, int *ranks)
{
    const bool left = !nl_desk_exhausted(desk);
    int count = 0;

    *task = (nl_task){.kind = NL_TASK_NONE, .item = -1};
    if (desk->waiting_count == 0) {
        return 0;
    }
    if (stopping ||
        (!left && desk->ready_count == 0 && desk->waiting_count == desk->ranks)) { /* all is done */
        count = all_waiting(desk, ranks);
    } else if (left) {
        *task = (nl_task){.kind = NL_TASK_ITEM, .item = desk->next++};
        all_waiting(desk, ranks);
        count = 1;
    } else if (desk->ready_count > 0 && desk->waiting_count >= desk->team_size) {
        *task = (nl_task){.kind = NL_TASK_TEAM, .item = desk->ready[0]};
        desk->ready_count--;
        memmove(desk->ready, desk->ready + 1, (size_t)desk->ready_count * sizeof *desk->ready);
        count = desk->team_size;
        pick_team(desk, count, ranks);
    }
    for (int k = 0; k < count; k++) {
        leave(desk, ranks[k]);
    }
    return count;
}
