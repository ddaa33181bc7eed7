/** @file solver_scalapack.h  ScaLAPACK: what nl_solver calls `workspace`, `eigenvalues` and
 * `serial`. */
#ifndef NTKLENS_EIGEN_SOLVER_SCALAPACK_H
#define NTKLENS_EIGEN_SOLVER_SCALAPACK_H

#include "ntklens/linalg.h"

double nl_scalapack_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_scalapack_eigenvalues(nl_dmat *a, double *ascending);
double nl_scalapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_scalapack_x_eigenvalues(nl_dmat *a, double *ascending);
double nl_scalapack_serial(int n, nl_precision precision);

#endif
