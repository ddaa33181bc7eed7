/** @file schedule.c  How long cells take that are handed out one by one. */
#include "schedule.h"

#include <math.h>
#include <stdlib.h>

/** A turn that somebody is at. */
typedef struct present {
    const nl_turn *turn;
    double left; /* seconds by one core; while turns are left to hand out, when it is over */
    int cores;
} present;

static void lend(present *at, int count, int spare)
{
    for (int k = 0; k < count; k++) {
        at[k].cores = 1;
    }
    for (; spare > 0; spare--) {
        present *most = NULL;

        for (int k = 0; k < count; k++) {
            if (at[k].cores < at[k].turn->cores &&
                (most == NULL || at[k].left / at[k].cores > most->left / most->cores)) {
                most = &at[k];
            }
        }
        if (most == NULL) {
            return;
        }
        most->cores++;
    }
}

static double speed(const present *p)
{
    return 1.0 / (1.0 - p->turn->shared + p->turn->shared / p->cores);
}

/* Seconds until all that goes on at one node is over; `at` is used up. */
static double finish(present *at, int count, int workers)
{
    double seconds = 0.0;

    while (count > 0) {
        double next = INFINITY;
        int still = 0;

        lend(at, count, workers - count);
        for (int k = 0; k < count; k++) {
            next = fmin(next, at[k].left / speed(&at[k]));
        }
        seconds += next;
        for (int k = 0; k < count; k++) {
            if (at[k].left / speed(&at[k]) > next) {
                at[k].left -= next * speed(&at[k]);
                at[still++] = at[k];
            }
        }
        count = still;
    }
    return seconds;
}

/* Hand out all turns; returns when the last one is. */
static double hand_out(const nl_turn *turns, int count, present *at, int heads)
{
    double last = 0.0;

    for (int k = 0; k < count; k++) {
        int first = k < heads ? k : 0;

        for (int w = 1; k >= heads && w < heads; w++) {
            first = at[w].left < at[first].left ? w : first;
        }
        last = at[first].left;
        at[first].turn = &turns[k];
        at[first].left += turns[k].seconds;
    }
    return last;
}

nl_status nl_schedule_seconds(const nl_turn *turns, int count, const nl_workforce *force,
                              double *seconds)
{
    const int heads = nl_larger(nl_smaller(force->workers, count), 1);
    const int nodes = (force->workers + force->node - 1) / force->node;
    present *at = nl_calloc((size_t)heads, sizeof *at);
    present *node = nl_calloc((size_t)heads, sizeof *node);
    double begin = 0.0;
    nl_status status = NL_OK;

    *seconds = 0.0;
    if (at == NULL || node == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for the order of %d cells", count);
    } else if (count > 0) {
        begin = hand_out(turns, count, at, heads);
    }
    for (int n = 0; status == NL_OK && count > 0 && n < nodes && n < heads; n++) {
        int here = 0;

        for (int w = n; w < heads; w += nodes) {
            node[here] = at[w];
            node[here++].left -= begin;
        }
        *seconds = fmax(
            *seconds,
            begin + finish(node, here, nl_larger(here, nl_smaller(force->node, force->workers))));
    }
    free(node);
    free(at);
    return status;
}
