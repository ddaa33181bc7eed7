/** @file eigen.h  Eigenvalue solvers behind one interface, verified spectra. */
#ifndef NTKLENS_EIGEN_H
#define NTKLENS_EIGEN_H

#include "ntklens/linalg.h"

/** One way to get all eigenvalues.  Add a row to the table in eigen.c to add a solver. */
typedef struct nl_solver {
    const char *name;   /* as in the study file and the column `solver` */
    const char *second; /* solver to try where this one's spectrum fails verification */
    bool one_rank;      /* needs the whole matrix on one rank */
    bool no_empty_line; /* needs a block of the matrix in each process row and column */
    bool double_only;
    /** Bytes of work space a rank beyond the matrix itself. */
    double (*workspace)(int n, int nb, nl_precision precision, int rows, int cols);
    /** Operations that more ranks do not shorten: what one of them does, or each; in those that the
     *  whole solve, of 4/3 n^3, does in the same time.  NULL where it works on one rank only. */
    double (*serial)(int n, nl_precision precision);
    /** All eigenvalues, ascending [n], on every rank.  Destroys a.  Collective over the grid.
     *  Only where nl_solver_able().  NL_ERR_LINALG with a warning where the library gave up:
     * another solver may not. */
    nl_status (*eigenvalues)(nl_dmat *a, double *ascending);
} nl_solver;

/** The solver of that name, NULL when there is none in this build. */
const nl_solver *nl_solver_find(const char *name);

/** Solver i of this build, NULL behind the last. */
const nl_solver *nl_solver_at(int i);

/** Can it solve a matrix of order n in blocks of nb on such a grid?  Pure. */
bool nl_solver_able(const nl_solver *solver, int n, int nb, nl_precision precision, int rows,
                    int cols);

/** A verified spectrum. */
typedef struct nl_spectrum {
    int n;
    double *lambda;           /* owned; descending, [n], on every rank */
    double trace, frobenius2; /* of the matrix, before the solve; NaN as lambda below */
    const nl_solver *solver;  /* that gave it */
    bool fallback;            /* the first solver's answer failed verification */
} nl_spectrum;

/**
 * Is this the spectrum of a matrix with these moments?
 *   double: |sum lambda - trace| <= 50 n eps trace, |sum lambda^2 - F^2| <= 50 n eps F^2
 *   single: |sum lambda - trace| <= 8 sqrt(n) eps F, |sum lambda^2 - F^2| <= 8 sqrt(n) eps F^2
 * written so that a NaN fails, and a negative trace.  An error that leaves both sums as they are,
 * such as small eigenvalues that are mixed up among themselves, is not seen.  Pure, Local.
 */
bool nl_spectrum_plausible(int n, const double *lambda, double trace, double frobenius2,
                           nl_precision precision);

/** y = A x for a symmetric operator of order n; the same bits on every rank.  Collective. */
typedef nl_status nl_operator_fn(const double *x, double *y, void *context);

/**
 * The largest eigenvalue of a positive semidefinite operator, by Lanczos iteration: exact to about
 * 1e-12 over its relative distance to the next.  NaN where that is not reached in 200 products.
 * Every rank iterates on its own.  Collective over comm, which is that of the operator.
 */
NL_MUST_CHECK nl_status nl_largest_eigenvalue(MPI_Comm comm, int n, nl_operator_fn *apply,
                                              void *context, double *lambda);

/** Fill a freshly created or used matrix with its content.  Collective over its grid. */
typedef nl_status nl_fill_fn(nl_dmat *a, void *context);

/**
 * Fill, solve, verify; where verification fails or the library gives up, fill anew and solve with
 * the second solver.  A matrix that is not finite is not solved: all its eigenvalues are NaN, which
 * is a value and no error.  Collective over the matrix's grid.
 *
 * @param[in]  a       its content is destroyed
 * @param[in]  fill    gives the matrix its content
 * @param[out] out     on every rank; NULL on failure; free with nl_spectrum_destroy()
 * @return NL_ERR_NUMERIC where two solvers failed, or one that has no second; NL_ERR_ARG where the
 *         solver is not able to work on such a grid; on every rank
 */
NL_MUST_CHECK nl_status nl_spectrum_compute(nl_dmat *a, const nl_solver *solver, nl_fill_fn *fill,
                                            void *context, nl_spectrum **out);
void nl_spectrum_destroy(nl_spectrum **spectrum);

/** Elements of work space that nl_dmat_projections() has the library count: at most 2^31 - 1. */
double nl_projections_length(int n, int nb, int rows, int cols);

/** Bytes that nl_dmat_projections() needs on a rank beside the matrix. */
double nl_projections_workspace(int n, int nb, nl_precision precision, int rows, int cols);

/**
 * Eigenvalues, and Y = U^T X with the eigenvectors as columns of U.  Verified: eigenvalues as those
 * of nl_spectrum_compute(), and no column of X may change its length.  Collective.
 *
 * @param[in]  a       finite; its content is destroyed
 * @param[in]  x       (global) [n x columns], column-major
 * @param[out] lambda  (local)  [n] descending, on every rank
 * @param[out] y       (local)  [n x columns], rows in the order of lambda, on every rank
 * @return NL_ERR_NUMERIC where the library failed or its answer is none
 */
NL_MUST_CHECK nl_status nl_dmat_projections(nl_dmat *a, int columns, const double *x,
                                            double *lambda, double *y);

#endif
