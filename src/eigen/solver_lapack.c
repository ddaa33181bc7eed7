/** @file solver_lapack.c  Eigenvalues on one rank.
 *
 * A few hundred rows are LAPACK's; more are quicker by way of a band matrix (solver_twostage.c).
 * From the tridiagonal matrix on tridiagonal.c does the work.  ARCHITECTURE.md has the times that
 * the numbers here rest on. */
#include "solver_lapack.h"
#include "solver_twostage.h"
#include "solver_work.h"
#include "tridiagonal.h"

#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/** The routines of one precision. */
typedef struct lapack_routines {
    const char *name;   /* as errors call the solver */
    const char *name_x; /* and bisection */
    nl_sytrd *full_to_tridiagonal;
    nl_syevx *bisection;
    int one_stage; /* up to this order there is no band */
} lapack_routines;

static const lapack_routines routines[] = {
    [NL_DOUBLE] = {"dsytrd", "dsyevx", dsytrd_, dsyevx_, 230},
    [NL_SINGLE] = {"ssytrd", "ssyevx", ssytrd_, ssyevx_, 330},
};

/* Elements that a work space query wrote. */
static double answer(const void *number, nl_precision precision)
{
    return precision == NL_DOUBLE
               ? *(const double *)number
               : ceil((double)nextafterf(*(const float *)number, INFINITY)); /* rounded, maybe */
}

/* Elements of work space for the reduction alone. */
static int reduction_length(int n, nl_precision precision)
{
    const int ask = -1;
    double number[2] = {0};
    int info = 0;

    routines[precision].full_to_tridiagonal("L", &n, NULL, &n, NULL, NULL, NULL, number, &ask,
                                            &info, 1);
    return (int)answer(number, precision);
}

/* And for the tridiagonal matrix and the reflectors' factors. */
static double one_stage_length(int n, nl_precision precision)
{
    return 3.0 * n + reduction_length(n, precision);
}

double nl_lapack_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    if (n > routines[precision].one_stage) {
        return nl_twostage_workspace(n, nb, precision, rows, cols);
    }
    return (one_stage_length(n, precision) + n) * (double)nl_precision_bytes(precision);
}

static void solve_in_one_stage(nl_dmat *a, nl_work *work, int *info)
{
    const size_t vector = (size_t)a->n * nl_precision_bytes(a->precision);
    const int work_length = reduction_length(a->n, a->precision);
    char *diagonal = work->elements;
    char *off_diagonal = diagonal + vector;
    char *tau = off_diagonal + vector;

    routines[a->precision].full_to_tridiagonal("L", &a->n, a->local, &a->ld, diagonal, off_diagonal,
                                               tau, tau + vector, &work_length, info, 1);
    nl_tridiagonal_eigenvalues(nl_vectors_in_use(), a->n, a->precision, diagonal, off_diagonal,
                               work->eigenvalues);
}

nl_status nl_lapack_eigenvalues(nl_dmat *a, double *ascending)
{
    const lapack_routines *call = &routines[a->precision];
    int info = 0;
    nl_work work = {0};
    nl_status status = NL_OK;

    if (a->n > call->one_stage) {
        return nl_twostage_eigenvalues(a, ascending);
    }
    status = nl_work_create(a, call->name, one_stage_length(a->n, a->precision), &work);
    if (status != NL_OK) {
        return status;
    }
    solve_in_one_stage(a, &work, &info);
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
