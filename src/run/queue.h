/** @file queue.h  Cells that are left, in the order in which they go out. */
#ifndef NTKLENS_RUN_QUEUE_H
#define NTKLENS_RUN_QUEUE_H

#include "run_state.h"

typedef struct nl_queued {
    int cell;
    double cost;
} nl_queued;

/** Cells that are left, the longest first.  queue: free(). */
NL_MUST_CHECK nl_status nl_queue_make(const nl_run *run, nl_queued **queue, int *count);

#endif
