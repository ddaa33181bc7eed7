/** @file solver_twostage.h  The solver of our own, by way of a band: what nl_solver calls
 * `workspace`, `eigenvalues` and `serial`. */
#ifndef NTKLENS_EIGEN_SOLVER_TWOSTAGE_H
#define NTKLENS_EIGEN_SOLVER_TWOSTAGE_H

#include "ntklens/linalg.h"

double nl_twostage_serial(int n, nl_precision precision);
double nl_twostage_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_twostage_eigenvalues(nl_dmat *a, double *ascending);

#endif
