/** @file solver_elpa.h  ELPA, where the build has it: what nl_solver calls `workspace`,
 * `eigenvalues` and `serial`. */
#ifndef NTKLENS_EIGEN_SOLVER_ELPA_H
#define NTKLENS_EIGEN_SOLVER_ELPA_H

#include "ntklens/linalg.h"

double nl_elpa_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_elpa_eigenvalues(nl_dmat *a, double *ascending);

#endif
