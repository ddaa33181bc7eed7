/** @file solver_work.h  Work space of a solver, and the end of its work. */
#ifndef NTKLENS_EIGEN_SOLVER_WORK_H
#define NTKLENS_EIGEN_SOLVER_WORK_H

#include "ntklens/linalg.h"

/** The other way round. */
void nl_reverse(int n, double *values);

/** Work space of a solver: `length` elements for the library, and room for n eigenvalues behind. */
typedef struct nl_work {
    int length;
    void *elements;    /* owned */
    void *eigenvalues; /* into elements */
} nl_work;

/** Refuses lengths beyond 2^31 - 1, which 32-bit Fortran cannot count.  Collective. */
NL_MUST_CHECK nl_status nl_work_create(const nl_dmat *a, const char *routine, double length,
                                       nl_work *work);
void nl_work_free(nl_work *work);

/**
 * End of a solve: eigenvalues in double where info is 0 on all ranks.  Collective.
 * @return NL_ERR_LINALG with a warning where info tells of a failure
 */
NL_MUST_CHECK nl_status nl_work_finish(const nl_dmat *a, const char *routine, int info,
                                       const nl_work *work, double *ascending);

#endif
