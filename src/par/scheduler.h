/** @file scheduler.h  Who waits for work, what is left, and who gets what: the root's side of the
 * service, without a message. */
#ifndef NTKLENS_PAR_SCHEDULER_H
#define NTKLENS_PAR_SCHEDULER_H

#include "ntklens/par.h"

/** Zero-initialise by nl_scheduler_create(). */
typedef struct nl_scheduler {
    int ranks;
    int items, next; /* items from `next` on were not handed out yet */
    int team_size;
    int *ready; /* owned; [items] ascending: items that wait for a team */
    int ready_count;
    bool *waiting; /* owned; [ranks] */
    int waiting_count;
} nl_scheduler;

NL_MUST_CHECK nl_status nl_scheduler_create(int ranks, nl_scheduler *scheduler);
void nl_scheduler_free(nl_scheduler *scheduler);

/** A new queue; the earlier one is forgotten, ranks that wait go on waiting. */
NL_MUST_CHECK nl_status nl_scheduler_open(nl_scheduler *scheduler, int items, int team_size);

/** This rank asks for work. */
void nl_scheduler_arrive(nl_scheduler *scheduler, int rank);

/** This item now waits for a team. */
void nl_scheduler_ready(nl_scheduler *scheduler, int item);

/** Are all items handed out? */
bool nl_scheduler_exhausted(const nl_scheduler *scheduler);

/**
 * Idle ranks for one that asks: it sends them work, they no longer wait.
 *
 * @param[in]  wanted  how many together; 1: alone
 * @param[out] ranks   [scheduler->ranks] ascending
 * @return wanted, or 0 where not so many wait
 */
int nl_scheduler_take_idle(nl_scheduler *scheduler, int wanted, int *ranks);

/**
 * The next assignment, until there is none.
 *
 * @param[in]  stopping  nothing goes out any more
 * @param[out] task      its kind and item
 * @param[out] ranks     [scheduler->ranks] who gets it, ascending; they no longer wait
 * @return how many; 0: nothing can be assigned now
 */
int nl_scheduler_assign(nl_scheduler *scheduler, bool stopping, nl_task *task, int *ranks);

#endif
