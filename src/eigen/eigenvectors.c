/** @file eigenvectors.c  Eigenvalues, and vectors seen along the eigenvectors. */
#include "solver_work.h"

#include "ntklens/eigen.h"
#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* dsyevd: LWORK >= 1 + 6 N + 2 N^2.  pdsyevd: the same with the local part of the matrix for N^2,
 * and 2 N more; its own formula forgets what pdormtr, the way back from tridiagonal form, needs
 * where blocks are large: (NP + NQ + 2 NB) NB + NB^2 beside 5 N. */
double nl_projections_length(int n, int nb, int rows, int cols)
{
    const double local_rows = nl_local_extent(n, nb, 0, rows);
    const double local_cols = nl_local_extent(n, nb, 0, cols);
    const double back = (local_rows + local_cols + 3.0 * nb) * nb;

    return 1.0 + 8.0 * n + fmax(2.0 * local_rows * local_cols, back);
}

/* dsyevd: LIWORK >= 3 + 5 N; pdsyevd: 7 N + 8 NPCOL + 2 */
static int integer_length(const nl_dmat *a)
{
    return 7 * a->n + 8 * a->grid->cols + 3;
}

double nl_projections_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    const double vectors = rows * cols > 1 ? (double)nl_local_extent(n, nb, 0, rows) *
                                                 (double)nl_local_extent(n, nb, 0, cols)
                                           : 0.0;

    return (nl_projections_length(n, nb, rows, cols) + n + vectors) *
               (double)nl_precision_bytes(precision) +
           (7.0 * n + 8.0 * cols) * (double)sizeof(int);
}

/* Ascending eigenvalues, and eigenvectors into z, which on one rank is the matrix itself. */
static nl_status solve(nl_dmat *a, nl_dmat *z, nl_work *work, int *integers, double *ascending)
{
    const bool single = a->precision == NL_SINGLE;
    const int length = integer_length(a);
    const int one = 1;
    int info = 0;

    if (z == a) {
        (single ? ssyevd_ : dsyevd_)("V", "L", &a->n, a->local, &a->ld, work->eigenvalues,
                                     work->elements, &work->length, integers, &length, &info, 1, 1);
        return nl_work_finish(a, single ? "ssyevd" : "dsyevd", info, work, ascending);
    }
    (single ? pssyevd_ : pdsyevd_)("V", "L", &a->n, a->local, &one, &one, a->desc,
                                   work->eigenvalues, z->local, &one, &one, z->desc, work->elements,
                                   &work->length, integers, &length, &info, 1, 1);
    return nl_work_finish(a, single ? "pssyevd" : "pdsyevd", info, work, ascending);
}

/* Y = U^T X with the largest eigenvalue's vector first. */
static nl_status project(const nl_dmat *z, int columns, const double *x, double *y)
{
    const size_t n = (size_t)z->n;

    memset(y, 0, n * (size_t)columns * sizeof *y);
    for (int c = 0; c < z->local_cols; c++) {
        const size_t place = n - 1 - (size_t)nl_dmat_global_col(z, c);

        for (int k = 0; k < columns; k++) {
            double sum = 0.0;

            for (int r = 0; r < z->local_rows; r++) {
                sum +=
                    nl_dmat_element(z, r, c) * x[(size_t)k * n + (size_t)nl_dmat_global_row(z, r)];
            }
            y[(size_t)k * n + place] = sum;
        }
    }
    return nl_grid_sum(z->grid, y, z->n * columns);
}

/* Are the eigenvectors a basis?  Then no vector changes its length. */
static bool lengths_kept(int n, int columns, const double *x, const double *y, double eps)
{
    bool kept = true;

    for (int k = 0; k < columns; k++) {
        double before = 0.0;
        double after = 0.0;

        for (int i = 0; i < n; i++) {
            before += x[(size_t)k * (size_t)n + (size_t)i] * x[(size_t)k * (size_t)n + (size_t)i];
            after += y[(size_t)k * (size_t)n + (size_t)i] * y[(size_t)k * (size_t)n + (size_t)i];
        }
        kept = kept && fabs(after - before) <= 50.0 * n * eps * before;
    }
    return kept;
}

static nl_status verify(const nl_dmat *a, bool good)
{
    if (good) {
        return NL_OK;
    }
    return !nl_grid_root(a->grid)
               ? NL_ERR_NUMERIC
               : NL_FAIL(NL_ERR_NUMERIC, "eigenvectors of order %d: they do not match the matrix",
                         a->n);
}

static nl_status prepare(nl_dmat *a, nl_dmat **z, nl_work *work, int **integers)
{
    nl_status status = NL_OK;

    *z = a;
    *integers = nl_calloc((size_t)integer_length(a), sizeof **integers);
    status = nl_agree(a->grid->comm,
                      *integers != NULL
                          ? NL_OK
                          : NL_FAIL(NL_ERR_NOMEM, "no memory for eigenvectors of order %d", a->n));
    if (status == NL_OK && a->grid->rows * a->grid->cols > 1) {
        status = nl_dmat_create(a->grid, a->n, a->nb, a->precision, z);
    }
    return status != NL_OK
               ? status
               : nl_work_create(a, "eigenvectors",
                                nl_projections_length(a->n, a->nb, a->grid->rows, a->grid->cols),
                                work);
}

nl_status nl_dmat_projections(nl_dmat *a, int columns, const double *x, double *lambda, double *y)
{
    double trace = 0.0;
    double frobenius2 = 0.0;
    nl_work work = {0};
    nl_dmat *z = NULL;
    int *integers = NULL;
    nl_status status = nl_dmat_moments(a, &trace, &frobenius2);

    if (status == NL_OK) {
        status = prepare(a, &z, &work, &integers);
    }
    if (status == NL_OK) {
        status = solve(a, z, &work, integers, lambda);
    }
    if (status == NL_OK) {
        MPI_Bcast(lambda, a->n, MPI_DOUBLE, 0, a->grid->comm);
        nl_reverse(a->n, lambda);
        status = project(z, columns, x, y);
    }
    if (status == NL_OK) {
        const bool good = nl_spectrum_plausible(a->n, lambda, trace, frobenius2, a->precision) &&
                          lengths_kept(a->n, columns, x, y, nl_precision_eps(a->precision));

        status = nl_agree(a->grid->comm, verify(a, good));
    }
    if (z != a) {
        nl_dmat_destroy(&z);
    }
    nl_work_free(&work);
    free(integers);
    return status == NL_ERR_LINALG ? NL_ERR_NUMERIC : status;
}
