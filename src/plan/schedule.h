/** @file schedule.h  How long cells take that are handed out one by one. */
#ifndef NTKLENS_PLAN_SCHEDULE_H
#define NTKLENS_PLAN_SCHEDULE_H

#include "ntklens/base.h"

/** A cell, as whoever gets it sees it. */
typedef struct nl_turn {
    double seconds; /* by one worker */
    double shared;  /* of these, 0 to 1, what other cores take a share of */
    int cores;      /* that it makes use of; at least 1 */
} nl_turn;

/** Ranks, or teams. */
typedef struct nl_workforce {
    int workers;
    int node; /* workers of a node; those without work lend their cores to the others of it */
} nl_workforce;

/**
 * Seconds until the last turn is over.  Turns go out in this order, each to the worker that is free
 * first.  When none is left, a free core goes to the turn of its node that has most left for each
 * core it has; on c cores the shared part of a turn takes 1/c of its time.
 *
 * @param[in] turns  [count], the longest first, spread evenly over nodes
 */
NL_MUST_CHECK nl_status nl_schedule_seconds(const nl_turn *turns, int count,
                                            const nl_workforce *force, double *seconds);

#endif
