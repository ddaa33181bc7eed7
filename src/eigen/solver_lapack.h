/** @file solver_lapack.h  LAPACK on one rank: what nl_solver calls `workspace`, `eigenvalues` and
 * `serial`. */
#ifndef NTKLENS_EIGEN_SOLVER_LAPACK_H
#define NTKLENS_EIGEN_SOLVER_LAPACK_H

#include "ntklens/linalg.h"

double nl_lapack_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_lapack_eigenvalues(nl_dmat *a, double *ascending);
double nl_lapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_lapack_x_eigenvalues(nl_dmat *a, double *ascending);

#endif
