/** @file solver.h  The solvers behind the table of eigen.c, and what they share. */
#ifndef NTKLENS_LINALG_SOLVER_H
#define NTKLENS_LINALG_SOLVER_H

#include "ntklens/linalg.h"

/* What prototypes of linalg.h call `workspace` and `eigenvalues`. */
double nl_lapack_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_lapack_eigenvalues(nl_dmat *a, double *ascending);
double nl_lapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_lapack_x_eigenvalues(nl_dmat *a, double *ascending);
double nl_scalapack_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_scalapack_eigenvalues(nl_dmat *a, double *ascending);
double nl_scalapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_scalapack_x_eigenvalues(nl_dmat *a, double *ascending);
double nl_scalapack_serial(int n, nl_precision precision);
double nl_twostage_serial(int n, nl_precision precision);
double nl_twostage_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_twostage_eigenvalues(nl_dmat *a, double *ascending);
#ifdef NTKLENS_ELPA
double nl_elpa_workspace(int n, int nb, nl_precision precision, int rows, int cols);
nl_status nl_elpa_eigenvalues(nl_dmat *a, double *ascending);
#endif

/** Bytes of a column of the band below the diagonal: whole vectors. */
enum { nl_narrow_band = 128, nl_wide_band = 192 };

/** Off-diagonals of the band by way of which a matrix of order n is solved: 16 or, from n = 3000,
 *  24; in single precision 32 or, from n = 5000, 48. */
int nl_band_width(int n, nl_precision precision);

/**
 * A tridiagonal matrix with the eigenvalues of a symmetric band matrix.  Local.
 *
 * @param[in] vectors  to work with; no wider than the CPU's
 * @param[in] b        nl_band_width()
 * @param     band     [3 b x (n + 2 b)], column-major: element (i, j) of the lower half in row
 *                     b + i - j of column j, zero elsewhere, in the last 2 b columns too; destroyed
 * @param[out] diagonal, off_diagonal  [n]; the last off-diagonal element is none
 */
void nl_band_to_tridiagonal(nl_vectors vectors, int n, int b, nl_precision precision, void *band,
                            void *diagonal, void *off_diagonal);

/** All eigenvalues of a symmetric tridiagonal matrix, to a few eps of its norm, by bisection.
 *  Local.
 *
 *  @param[in] vectors                 as above
 *  @param     diagonal, off_diagonal  [n]; destroyed
 *  @param[out] ascending               [n] */
void nl_tridiagonal_eigenvalues(nl_vectors vectors, int n, nl_precision precision, void *diagonal,
                                void *off_diagonal, void *ascending);

/** How many of the first n indices a process row (column) holds. */
int nl_local_extent(int n, int nb, int process, int processes);

/** Sum over the ranks of a grid, in the order of ranks, in place on every rank, the same bits on
 *  each.  Every rank adds up a slice.  Collective.
 *
 *  @param scratch  nl_grid_add_up_scratch() elements */
void nl_grid_add_up(const nl_grid *grid, nl_precision precision, void *values, int count,
                    void *scratch);
double nl_grid_add_up_scratch(double count, int ranks);

/** Is this the rank that speaks for its grid?  What all ranks find alike is told once. */
bool nl_grid_root(const nl_grid *grid);

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
