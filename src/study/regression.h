/** @file regression.h  Kernel regression with a cell's training and test images. */
#ifndef NTKLENS_STUDY_REGRESSION_H
#define NTKLENS_STUDY_REGRESSION_H

#include "measure.h"
#include "splits.h"

/** Images of one regression: the first ones of the training subset, then those of the test set.
 *  Owns its arrays. */
typedef struct nl_regression_set {
    int train, test;
    float *x;    /* [train + test x inputs], as the network sees them */
    int *labels; /* [train + test] */
} nl_regression_set;

/** Training images that a regression of a cell uses; 0: none is asked for.  Pure. */
int nl_regression_train(const nl_measure_plan *plan, int n_train);

/** Bytes of a regression: its kernel, what fills that, and its images; 0 where none is asked for.
 *  Of this network, or a bound for any of small ones where it is NULL, as nl_solve_memory(). */
double nl_regression_bytes(const nl_measure_plan *plan, int n_train, int inputs, const nl_net *net);

/** Does the largest regression fit into a rank's memory?  Complaints name the key.  Pure. */
NL_MUST_CHECK nl_status nl_regression_check(const nl_study *study, const nl_measure_plan *plan,
                                            const nl_dataset_info *info, double memory);

NL_MUST_CHECK nl_status nl_regression_set_create(const nl_measure_plan *plan,
                                                 const nl_splits *splits, const nl_cell_data *data,
                                                 nl_regression_set *out);
void nl_regression_set_free(nl_regression_set *set);

/** Regression with the traced kernel of a network, in double.  Collective over the grid, which has
 *  one rank. */
NL_MUST_CHECK nl_status nl_regress_network(const nl_grid *grid, const nl_measure_plan *plan,
                                           const nl_regression_set *set, const nl_net *net,
                                           const float *theta, nl_regression *out);

/** Regression with the kernel of infinitely wide networks.  Local. */
NL_MUST_CHECK nl_status nl_regress_infinite(const nl_measure_plan *plan,
                                            const nl_regression_set *set, const nl_net *net,
                                            nl_infinite_kind kind, nl_regression *out);

#endif
