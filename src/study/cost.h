/** @file cost.h  Expected work of a cell: decides who goes first, how far the study is, and what
 * `ntklens plan` says. */
#ifndef NTKLENS_STUDY_COST_H
#define NTKLENS_STUDY_COST_H

#include "result.h"

#include "ntklens/data.h"

/** What a cell's time goes into; the names of timings.csv. */
typedef enum nl_effort_kind {
    NL_EFFORT_TRAIN,
    NL_EFFORT_EVALUATE,
    NL_EFFORT_GRAM,
    NL_EFFORT_SOLVE,
    NL_EFFORT_KINDS
} nl_effort_kind;

/** "train", "evaluate", "gram", "solve". */
const char *nl_effort_name(nl_effort_kind kind);

/** Work of one kind: `units` times `unit` floating-point operations. */
typedef struct nl_effort {
    double unit;  /* of one step, one sample looked at, all kernels of one state */
    double units; /* steps, samples looked at, states */
} nl_effort;

typedef struct nl_cost {
    nl_effort effort[NL_EFFORT_KINDS];
    int looks;  /* evaluations of both losses */
    int states; /* measured; `best` counts as one of its own */
} nl_cost;

/** @param[in] net  the cell's */
nl_cost nl_cell_cost(const nl_study *study, const nl_cell *cell, const nl_net *net,
                     const nl_measure_plan *plan);

/** Operations of one eigensolve of order n. */
double nl_solve_flops(int n);

/** Operations of all fills of kernel k for one state: factors are made once a state, and a kernel
 *  that is too large to be kept is filled again for the initial and the previous state. */
double nl_fills_flops(const nl_net *net, const nl_measure_plan *plan, int k);

/** Orders that are solved for kernel k of one state: its own, those of related kernels, and what
 *  eigenvectors take beside.  Returns how many. */
enum { nl_most_orders = 8 };
int nl_solve_orders(const nl_measure_plan *plan, int k, int orders[nl_most_orders]);

/** Operations of the kernel regression of one state; 0: none is asked for. */
double nl_regression_flops(const nl_net *net, const nl_measure_plan *plan, int n_train);

/** The same of the eigenvalues that it needs. */
double nl_regression_solve_flops(const nl_measure_plan *plan, int n_train);

/** A number that grows with the time a cell takes; operations, weighted by what they usually cost.
 */
double nl_cost_total(const nl_cost *cost);

#endif
