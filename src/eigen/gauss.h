/** @file gauss.h  Quadrature rules from Lanczos coefficients. */
#ifndef NTKLENS_EIGEN_GAUSS_H
#define NTKLENS_EIGEN_GAUSS_H

#include <stdbool.h>

enum { nl_most_lanczos_steps = 100 };

/** Nodes and weights; weights add up to one. */
typedef struct nl_gauss {
    int count;
    double node[nl_most_lanczos_steps + 1], weight[nl_most_lanczos_steps + 1];
} nl_gauss;

/**
 * The rule of a Jacobi matrix with diagonal alpha [steps] and beside it beta [steps], of which the
 * last one leads to a further step.
 *
 * @param[in] radau  with one more node, which is at zero: beta[steps - 1] is used
 * @return false where LAPACK failed, or a pivot of the Radau rule did
 */
bool nl_gauss_rule(int steps, const double *alpha, const double *beta, bool radau, nl_gauss *out);

#endif
