/** @file queue.c  Cells that are left, in the order in which they go out. */
#include "queue.h"

#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const nl_queued *x = a;
    const nl_queued *y = b;

    if (x->cost != y->cost) {
        return x->cost < y->cost ? 1 : -1;
    }
    return x->cell - y->cell;
}

nl_status nl_queue_make(const nl_run *run, nl_queued **queue, int *count)
{
    *count = 0;
    *queue = nl_calloc((size_t)run->in.count, sizeof **queue);
    if (*queue == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a queue of %d cells", run->in.count);
    }
    for (int k = 0; k < run->in.count; k++) {
        if (run->schedule.phase[k] != NL_CELL_FINISHED) {
            (*queue)[(*count)++] = (nl_queued){.cell = k, .cost = run->schedule.cost[k]};
        }
    }
    qsort(*queue, (size_t)*count, sizeof **queue, compare);
    return NL_OK;
}
