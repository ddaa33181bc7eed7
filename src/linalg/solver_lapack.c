/** @file solver_lapack.c  Eigenvalues on one rank: LAPACK. */
#include "fortran.h"
#include "solver.h"

#include "ntklens/par.h"

#include <math.h>

/** A routine in one precision. */
typedef struct syevd_routine {
    const char *name;
    nl_syevd *call;
} syevd_routine;

/* By way of a band matrix: most work in matrix-matrix products (Haidar, Ltaief, Dongarra 2011). */
static const syevd_routine two_stage[] = {
    [NL_DOUBLE] = {"dsyevd_2stage", dsyevd_2stage_},
    [NL_SINGLE] = {"ssyevd_2stage", ssyevd_2stage_},
};

/* Straight to a tridiagonal matrix. */
static const syevd_routine one_stage[] = {
    [NL_DOUBLE] = {"dsyevd", dsyevd_},
    [NL_SINGLE] = {"ssyevd", ssyevd_},
};

/* Elements of work space that the routine asks for.  Local. */
static double work_length(const syevd_routine *routine, int n, nl_precision precision)
{
    const int ask = -1;
    double in_double = 0.0;
    float in_single = 0.0F;
    int integers = 0;
    int info = 0;

    if (precision == NL_DOUBLE) {
        routine->call("N", "L", &n, NULL, &n, NULL, &in_double, &ask, &integers, &ask, &info, 1, 1);
        return in_double;
    }
    routine->call("N", "L", &n, NULL, &n, NULL, &in_single, &ask, &integers, &ask, &info, 1, 1);
    return ceil(
        (double)nextafterf(in_single, INFINITY)); /* it may have been rounded down to a float */
}

static double workspace(const syevd_routine *routine, int n, nl_precision precision)
{
    return (work_length(routine, n, precision) + n) * (double)nl_precision_bytes(precision);
}

static nl_status eigenvalues(const syevd_routine *routine, nl_dmat *a, double *ascending)
{
    const int one_integer = 1; /* all it needs without eigenvectors */
    int integers = 0;
    int info = 0;
    nl_work work = {0};
    nl_status status = NL_OK;

    if (a->grid->rows * a->grid->cols != 1) {
        return !nl_grid_root(a->grid)
                   ? NL_ERR_ARG
                   : NL_FAIL(NL_ERR_ARG, "%s on %d x %d ranks: expected one rank", routine->name,
                             a->grid->rows, a->grid->cols);
    }
    status = nl_work_create(a, routine->name, work_length(routine, a->n, a->precision), &work);
    if (status != NL_OK) {
        return status;
    }
    routine->call("N", "L", &a->n, a->local, &a->ld, work.eigenvalues, work.elements, &work.length,
                  &integers, &one_integer, &info, 1, 1);
    status = nl_work_finish(a, routine->name, info, &work, ascending);
    nl_work_free(&work);
    return status;
}

double nl_lapack_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    (void)nb, (void)rows, (void)cols;
    return workspace(&two_stage[precision], n, precision);
}

nl_status nl_lapack_eigenvalues(nl_dmat *a, double *ascending)
{
    return eigenvalues(&two_stage[a->precision], a, ascending);
}

double nl_lapack_1stage_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    (void)nb, (void)rows, (void)cols;
    return workspace(&one_stage[precision], n, precision);
}

nl_status nl_lapack_1stage_eigenvalues(nl_dmat *a, double *ascending)
{
    return eigenvalues(&one_stage[a->precision], a, ascending);
}
