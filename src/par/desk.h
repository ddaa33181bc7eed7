/** @file desk.h  Who waits for work, what is left, and who gets what: the root's side of the
 * service, without a message. */
#ifndef NTKLENS_PAR_DESK_H
#define NTKLENS_PAR_DESK_H

#include "ntklens/par.h"

/** Zero-initialise by nl_desk_create(). */
typedef struct nl_desk {
    int ranks;
    int items, next; /* items from `next` on were not handed out yet */
    int team_size;
    int *ready; /* owned; [items] ascending: items that wait for a team */
    int ready_count;
    bool *waiting; /* owned; [ranks] */
    int waiting_count;
} nl_desk;

NL_MUST_CHECK nl_status nl_desk_create(int ranks, nl_desk *desk);
void nl_desk_free(nl_desk *desk);

/** A new queue; the earlier one is forgotten, ranks that wait go on waiting. */
NL_MUST_CHECK nl_status nl_desk_open(nl_desk *desk, int items, int team_size);

/** This rank asks for work. */
void nl_desk_arrive(nl_desk *desk, int rank);

/** This item now waits for a team. */
void nl_desk_ready(nl_desk *desk, int item);

/** Are all items handed out? */
bool nl_desk_exhausted(const nl_desk *desk);

/**
 * Ranks to help one that asks: it sends them work, they no longer wait.
 *
 * @param[in]  wanted  how many together; 1: alone
 * @param[out] ranks   [desk->ranks] ascending
 * @return wanted, or 0 where not so many wait
 */
int nl_desk_helpers(nl_desk *desk, int wanted, int *ranks);

/**
 * The next assignment, until there is none.
 *
 * @param[in]  stopping  nothing goes out any more
 * @param[out] task      its kind and item
 * @param[out] ranks     [desk->ranks] who gets it, ascending; they no longer wait
 * @return how many; 0: nothing can be assigned now
 */
int nl_desk_assign(nl_desk *desk, bool stopping, nl_task *task, int *ranks);

#endif
