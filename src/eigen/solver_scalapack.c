/** @file solver_scalapack.c  Eigenvalues on a grid of ranks: ScaLAPACK.
 *
 * Neither pdsyevd, which does not know how to leave out eigenvectors, nor pdsyevr, which gave wrong
 * eigenvalues on 1 x 2 ranks (ScaLAPACK 2.2). */
#include "solver_scalapack.h"
#include "solver_work.h"

#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* pdsyev: LWORK >= 5 N + max(NB (NP + 1), 3 NB) + 1 */
static double qr_length(int n, int nb, int rows)
{
    return 5.0 * n + fmax(nb * (nl_local_extent(n, nb, 0, rows) + 1.0), 3.0 * nb) + 1.0;
}

/* pdsyevx: LWORK >= 5 N + max(5 NN, NB (NP + 1)), NN = max(N, NB, 2) */
static double bisection_length(int n, int nb, int rows)
{
    return 5.0 * n +
           fmax(5.0 * fmax(fmax(n, nb), 2.0), nb * (nl_local_extent(n, nb, 0, rows) + 1.0));
}

/* pdsyevx: LIWORK >= 6 max(N, ranks + 1, 4) */
static double bisection_integers(int n, int rows, int cols)
{
    return 6.0 * fmax(fmax(n, (double)rows * cols + 1.0), 4.0);
}

double nl_scalapack_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    (void)cols;
    return (qr_length(n, nb, rows) + n) * (double)nl_precision_bytes(precision);
}

/* Eigenvalues of the tridiagonal matrix, by every rank: dsterf takes 8 ns n^2 where operations of
 * the whole take 12 ps. */
double nl_scalapack_serial(int n, nl_precision precision)
{
    (void)precision;
    return 700.0 * (double)n * n;
}

nl_status nl_scalapack_eigenvalues(nl_dmat *a, double *ascending)
{
    const int one = 1;
    const char *name = a->precision == NL_DOUBLE ? "pdsyev" : "pssyev";
    nl_psyev *call = a->precision == NL_DOUBLE ? pdsyev_ : pssyev_;
    int info = 0;
    nl_work work = {0};
    nl_status status = nl_work_create(a, name, qr_length(a->n, a->nb, a->grid->rows), &work);

    if (status != NL_OK) {
        return status;
    }
    call("N", "L", &a->n, a->local, &one, &one, a->desc, work.eigenvalues, NULL, &one, &one,
         a->desc, work.elements, &work.length, &info, 1, 1);
    status = nl_work_finish(a, name, info, &work, ascending);
    nl_work_free(&work);
    return status;
}

double nl_scalapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    return (bisection_length(n, nb, rows) + n) * (double)nl_precision_bytes(precision) +
           bisection_integers(n, rows, cols) * (double)sizeof(int);
}

/* Bisection to the last bit: twice the smallest normal number, as pdsyevx's manual asks. */
static void call_bisection(nl_dmat *a, const nl_work *work, int *integers, int integer_count,
                           int *info)
{
    const int one = 1;
    const double tolerance = 2.0 * DBL_MIN;
    const float tolerance_single = 2.0F * FLT_MIN;
    const bool wide = a->precision == NL_DOUBLE;
    const double unused = 0.0; /* bounds, reorthogonalisation: of other ranges, of eigenvectors */
    int found = 0;
    int none = 0;

    (wide ? pdsyevx_ : pssyevx_)(
        "N", "A", "L", &a->n, a->local, &one, &one, a->desc, &unused, &unused, &one, &one,
        wide ? (const void *)&tolerance : (const void *)&tolerance_single, &found, &none,
        work->eigenvalues, &unused, NULL, &one, &one, a->desc, work->elements, &work->length,
        integers, &integer_count, NULL, NULL, NULL, info, 1, 1, 1);
    if (*info == 0 && found != a->n) {
        *info = a->n + 1; /* some eigenvalues are missing */
    }
}

nl_status nl_scalapack_x_eigenvalues(nl_dmat *a, double *ascending)
{
    const char *name = a->precision == NL_DOUBLE ? "pdsyevx" : "pssyevx";
    int count = (int)bisection_integers(a->n, a->grid->rows, a->grid->cols);
    int *integers = nl_calloc((size_t)count, sizeof *integers);
    int info = 0;
    nl_work work = {0};
    nl_status status = nl_agree(
        a->grid->comm, integers != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "%s: no memory", name));

    if (status == NL_OK) {
        status = nl_work_create(a, name, bisection_length(a->n, a->nb, a->grid->rows), &work);
    }
    if (status == NL_OK) {
        call_bisection(a, &work, integers, count, &info);
        status = nl_work_finish(a, name, info, &work, ascending);
    }
    nl_work_free(&work);
    free(integers);
    return status;
}
