/** @file cost.h  Expected work of a cell: decides who goes first, how far the study is, and what
 * `ntklens plan` says. */
#ifndef NTKLENS_PLAN_COST_H
#define NTKLENS_PLAN_COST_H

#include "ntklens/data.h"
#include "ntklens/measure.h"
#include "ntklens/study.h"

/** Operations of one eigensolve of order n. */
double nl_solve_flops(int n);

/** Operations of all fills of kernel k for one state, solve[k] saying of which matrix (NULL: not
 *  known, of itself): factors are made once a state, and a kernel
 *  that is too large to be kept is filled again for the initial and the previous state. */
double nl_fills_flops(const nl_net *net, const nl_measure_plan *plan, int k,
                      const nl_solve_plan *solve);

/** The same of itself, told apart by how they go with the samples. */
nl_fill_work nl_fills_work(const nl_net *net, const nl_measure_plan *plan, int k);

/** Operations of passes, through the network and back, of one sample: the part of a fill that goes
 *  as the samples. */
double nl_sample_passes(const nl_net *net, nl_kernel_spec spec);

/** Orders that are solved for kernel k of one state: its own, those of related kernels, and what
 *  eigenvectors take beside.  Returns how many. */
enum { nl_most_orders = 8 };
int nl_solve_orders(const nl_measure_plan *plan, int k, const nl_solve_plan *solve,
                    int orders[nl_most_orders]);

/** Operations of the kernel regression of one state; 0: none is asked for. */
double nl_regression_flops(const nl_net *net, const nl_measure_plan *plan, int n_train);

/** The same of the eigenvalues that it needs. */
double nl_regression_solve_flops(const nl_measure_plan *plan, int n_train);

#endif
