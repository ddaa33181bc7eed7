/** @file solver_lapack.c  Eigenvalues on one rank: LAPACK.
 *
 * By way of a band matrix, so that most work is matrix-matrix products (Haidar, Ltaief, Dongarra
 * 2011); a few hundred rows are quicker without it.  From the band on tridiagonal.c does the
 * work.  ARCHITECTURE.md has the times that the numbers here rest on. */
#include "fortran.h"
#include "solver.h"

#include "ntklens/par.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/** The routines of one precision. */
typedef struct lapack_routines {
    const char *name;   /* as errors call the stages */
    const char *name_x; /* and bisection */
    nl_sytrd_sy2sb *full_to_band;
    nl_sytrd *full_to_tridiagonal;
    nl_syevx *bisection;
    int one_stage; /* up to this order there is no band */
} lapack_routines;

static const lapack_routines routines[] = {
    [NL_DOUBLE] = {"dsytrd", "dsyevx", dsytrd_sy2sb_, dsytrd_, dsyevx_, 600},
    [NL_SINGLE] = {"ssytrd", "ssyevx", ssytrd_sy2sb_, ssytrd_, ssyevx_, 700},
};

/* Elements that a work space query wrote. */
static double answer(const void *number, nl_precision precision)
{
    return precision == NL_DOUBLE
               ? *(const double *)number
               : ceil((double)nextafterf(*(const float *)number, INFINITY)); /* rounded, maybe */
}

/*---------------------------------------------------------------------------------------------
 * Two stages, or one
 *-------------------------------------------------------------------------------------------*/

/** Elements of the work space, part by part. */
typedef struct layout {
    int band; /* off-diagonals; 0: one stage */
    double diagonal, off_diagonal, tau, band_matrix, work;
} layout;

static layout lay_out(int n, nl_precision precision)
{
    const lapack_routines *call = &routines[precision];
    const int ask = -1;
    double number[2] = {0};
    int info = 0;
    layout l = {.diagonal = n, .off_diagonal = n, .tau = n};

    if (n <= call->one_stage) {
        call->full_to_tridiagonal("L", &n, NULL, &n, NULL, NULL, NULL, number, &ask, &info, 1);
    } else {
        l.band = nl_band_width(n, precision);
        l.band_matrix = 2.0 * l.band * (n + 2.0 * l.band);
        call->full_to_band("L", &n, &l.band, NULL, &n, NULL, &(int){2 * l.band}, NULL, number, &ask,
                           &info, 1);
    }
    l.work = answer(number, precision);
    return l;
}

static double layout_length(const layout *l)
{
    return l->diagonal + l->off_diagonal + l->tau + l->band_matrix + l->work;
}

double nl_lapack_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    const layout l = lay_out(n, precision);

    (void)nb, (void)rows, (void)cols;
    return (layout_length(&l) + n) * (double)nl_precision_bytes(precision);
}

static void solve(nl_dmat *a, const layout *l, void *elements, void *eigenvalues, int *info)
{
    const lapack_routines *call = &routines[a->precision];
    const size_t bytes = nl_precision_bytes(a->precision);
    const int ld = 2 * l->band;
    const int work_length = (int)l->work;
    char *diagonal = elements;
    char *off_diagonal = diagonal + (size_t)l->diagonal * bytes;
    char *tau = off_diagonal + (size_t)l->off_diagonal * bytes;
    char *band = tau + (size_t)l->tau * bytes;
    char *work = band + (size_t)l->band_matrix * bytes;

    if (l->band == 0) {
        call->full_to_tridiagonal("L", &a->n, a->local, &a->ld, diagonal, off_diagonal, tau, work,
                                  &work_length, info, 1);
    } else {
        call->full_to_band("L", &a->n, &l->band, a->local, &a->ld, band, &ld, tau, work,
                           &work_length, info, 1);
        nl_band_to_tridiagonal(a->n, l->band, a->precision, band, diagonal, off_diagonal);
    }
    nl_tridiagonal_eigenvalues(a->n, a->precision, diagonal, off_diagonal, eigenvalues);
}

nl_status nl_lapack_eigenvalues(nl_dmat *a, double *ascending)
{
    const lapack_routines *call = &routines[a->precision];
    const layout l = lay_out(a->n, a->precision);
    int info = 0;
    nl_work work = {0};
    nl_status status = nl_work_create(a, call->name, layout_length(&l), &work);

    if (status != NL_OK) {
        return status;
    }
    solve(a, &l, work.elements, work.eigenvalues, &info);
    status = nl_work_finish(a, call->name, info, &work, ascending);
    nl_work_free(&work);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Bisection: slow, and in nothing like the above
 *-------------------------------------------------------------------------------------------*/

/* Everything but the eigenvalues themselves is by bisection where the tolerance is positive. */
static void call_bisection(nl_dmat *a, void *work, const int *work_length, void *eigenvalues,
                           int *integers, int *info)
{
    const bool wide = a->precision == NL_DOUBLE;
    const double tolerance = 2.0 * DBL_MIN; /* to the last bit, as the manual asks */
    const float tolerance_single = 2.0F * FLT_MIN;
    const double unused = 0.0; /* bounds of other ranges */
    const int one = 1;
    int found = 0;

    routines[a->precision].bisection(
        "N", "A", "L", &a->n, a->local, &a->ld, &unused, &unused, &one, &one,
        wide ? (const void *)&tolerance : (const void *)&tolerance_single, &found, eigenvalues,
        NULL, &one, work, work_length, integers, NULL, info, 1, 1, 1);
    if (work != NULL && *info == 0 && found != a->n) {
        *info = a->n + 1; /* some eigenvalues are missing */
    }
}

static double bisection_length(int n, nl_precision precision)
{
    const int ask = -1;
    const int one = 1;
    const double unused = 0.0;
    double number[2] = {0};
    int found = 0;
    int info = 0;

    routines[precision].bisection("N", "A", "L", &n, NULL, &n, &unused, &unused, &one, &one,
                                  &unused, &found, NULL, NULL, &one, number, &ask, NULL, NULL,
                                  &info, 1, 1, 1);
    return answer(number, precision);
}

double nl_lapack_x_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    (void)nb, (void)rows, (void)cols;
    return (bisection_length(n, precision) + n) * (double)nl_precision_bytes(precision) +
           5.0 * n * (double)sizeof(int);
}

nl_status nl_lapack_x_eigenvalues(nl_dmat *a, double *ascending)
{
    const char *name = routines[a->precision].name_x;
    int *integers = nl_calloc((size_t)a->n, 5 * sizeof *integers);
    int info = 0;
    nl_work work = {0};
    nl_status status = integers != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "%s: no memory", name);

    if (status == NL_OK) {
        status = nl_work_create(a, name, bisection_length(a->n, a->precision), &work);
    }
    if (status == NL_OK) {
        call_bisection(a, work.elements, &work.length, work.eigenvalues, integers, &info);
        status = nl_work_finish(a, name, info, &work, ascending);
    }
    nl_work_free(&work);
    free(integers);
    return status;
}
