/** @file spectrum.c  The table of solvers, and spectra that are verified before they are believed.
 */
#include "solver_elpa.h"
#include "solver_lapack.h"
#include "solver_scalapack.h"
#include "solver_twostage.h"
#include "solver_work.h"

#include "ntklens/eigen.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef NTKLENS_ELPA_SINGLE /* as Debian builds it, ELPA knows no floats */
enum { elpa_double_only = false };
#else
enum { elpa_double_only = true };
#endif

static const nl_solver solvers[] = {
    {.name = "lapack",
     .second = "lapack-x",
     .one_rank = true,
     .workspace = nl_lapack_workspace,
     .eigenvalues = nl_lapack_eigenvalues},
    {.name = "scalapack",
     .second = "scalapack-x",
     .serial = nl_scalapack_serial,
     .workspace = nl_scalapack_workspace,
     .eigenvalues = nl_scalapack_eigenvalues},
    {.name = "twostage",
     .second = "scalapack",
     .serial = nl_twostage_serial,
     .workspace = nl_twostage_workspace,
     .eigenvalues = nl_twostage_eigenvalues},
#ifdef NTKLENS_ELPA
    {.name = "elpa",
     .second = "scalapack",
     .no_empty_line = true,
     .double_only = elpa_double_only,
     .serial = nl_scalapack_serial,
     .workspace = nl_elpa_workspace,
     .eigenvalues = nl_elpa_eigenvalues},
#endif
    {.name = "lapack-x",
     .second = "lapack",
     .one_rank = true,
     .workspace = nl_lapack_x_workspace,
     .eigenvalues = nl_lapack_x_eigenvalues},
    {.name = "scalapack-x",
     .second = "scalapack",
     .serial = nl_scalapack_serial,
     .workspace = nl_scalapack_x_workspace,
     .eigenvalues = nl_scalapack_x_eigenvalues},
};

const nl_solver *nl_solver_at(int i)
{
    return i >= 0 && (size_t)i < NL_COUNT(solvers) ? &solvers[i] : NULL;
}

const nl_solver *nl_solver_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < NL_COUNT(solvers); i++) {
        if (strcmp(solvers[i].name, name) == 0) {
            return &solvers[i];
        }
    }
    return NULL;
}

bool nl_solver_able(const nl_solver *solver, int n, int nb, nl_precision precision, int rows,
                    int cols)
{
    const int blocks = (n - 1) / nb + 1;

    return (!solver->one_rank || rows * cols == 1) &&
           (!solver->double_only || precision == NL_DOUBLE) &&
           (!solver->no_empty_line || (blocks >= rows && blocks >= cols));
}

/*---------------------------------------------------------------------------------------------
 * Verified spectra
 *-------------------------------------------------------------------------------------------*/

static void sums(int n, const double *lambda, double *sum, double *squares)
{
    *sum = 0.0;
    *squares = 0.0;
    for (int k = 0; k < n; k++) {
        *sum += lambda[k];
        *squares += lambda[k] * lambda[k];
    }
}

/* Of single precision, in units of sqrt(n) eps |A|_F and sqrt(n) eps |A|_F^2.
 *
 * A backward-stable reduction gives the eigenvalues of A + E.  E is the sum of n steps' rounding,
 * each about eps |A|_F in a direction of its own, so |E|_F grows like sqrt(n) eps |A|_F.  Then sum
 * lambda is off by tr E, no more than about |E|_F as E has no direction in common with the
 * identity, and sum lambda^2 by 2 <A, E> <= 2 |A|_F |E|_F.  Rounding each eigenvalue to the format
 * adds at most eps sum |lambda| / 2 <= sqrt(n) eps |A|_F / 2, even with one sign throughout.
 *
 * Measured (tests/README.md): at most 1.9 of 8, every solver, n to 8000. */
static const double single_tolerance = 8.0;

bool nl_spectrum_plausible(int n, const double *lambda, double trace, double frobenius2,
                           nl_precision precision)
{
    const double eps = nl_precision_eps(precision);
    const bool wide = precision == NL_DOUBLE;
    const double unit = wide ? 50.0 * n * eps : single_tolerance * sqrt(n) * eps;
    double sum = 0.0;
    double squares = 0.0;

    sums(n, lambda, &sum, &squares);
    return trace >= 0.0 && fabs(sum - trace) <= unit * (wide ? trace : sqrt(frobenius2)) &&
           fabs(squares - frobenius2) <= unit * frobenius2;
}

/* The same verdict on every rank of the grid; told by one. */
static nl_status check_ability(const nl_dmat *a, const nl_solver *solver)
{
    const nl_grid *grid = a->grid;

    if (nl_solver_able(solver, a->n, a->nb, a->precision, grid->rows, grid->cols)) {
        return NL_OK;
    }
    return !nl_grid_root(grid)
               ? NL_ERR_ARG
               : NL_FAIL(NL_ERR_ARG,
                         "%s of order %d in blocks of %d on %d x %d ranks: expected %s%s",
                         solver->name, a->n, a->nb, grid->rows, grid->cols,
                         solver->double_only ? "double precision and " : "",
                         solver->one_rank        ? "one rank"
                         : solver->no_empty_line ? "a block for each process row and column"
                                                 : "another solver");
}

static nl_status spectrum_create(const nl_dmat *a, nl_spectrum **out)
{
    nl_spectrum *s = calloc(1, sizeof *s);
    nl_status status = NL_OK;

    if (s != NULL) {
        s->n = a->n;
        s->lambda = nl_calloc((size_t)a->n, sizeof *s->lambda);
    }
    if (s == NULL || s->lambda == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for %d eigenvalues", a->n);
    }
    status = nl_agree(a->grid->comm, status);
    if (status != NL_OK) {
        nl_spectrum_destroy(&s);
    }
    *out = s;
    return status;
}

void nl_spectrum_destroy(nl_spectrum **spectrum)
{
    if (*spectrum != NULL) {
        free((*spectrum)->lambda);
        free(*spectrum);
        *spectrum = NULL;
    }
}

/* A matrix that is not finite has no spectrum: a value for the table, not an error.  It must not
 * reach a solver, which may never return. */
static void set_nan(nl_spectrum *s)
{
    s->trace = NAN;
    s->frobenius2 = NAN;
    for (int k = 0; k < s->n; k++) {
        s->lambda[k] = NAN;
    }
}

/* Told once: the second solver, or the caller, goes on from here. */
static void warn_implausible(const nl_dmat *a, const nl_spectrum *s)
{
    double sum = 0.0;
    double squares = 0.0;

    if (nl_grid_root(a->grid)) {
        sums(s->n, s->lambda, &sum, &squares);
        nl_warn("%s of order %d on %d x %d ranks: eigenvalues sum to %.9g, expected the trace "
                "%.9g; their squares to %.9g, expected %.9g",
                s->solver->name, s->n, a->grid->rows, a->grid->cols, sum, s->trace, squares,
                s->frobenius2);
    }
}

/* One try.  *trusted: these are the eigenvalues of the matrix.  Collective. */
static nl_status try_solver(nl_dmat *a, nl_fill_fn *fill, void *context, nl_spectrum *s,
                            bool *trusted)
{
    MPI_Comm comm = a->grid->comm;
    nl_status status = nl_agree(comm, fill(a, context));

    *trusted = false;
    if (status == NL_OK) {
        status = nl_dmat_moments(a, &s->trace, &s->frobenius2);
    }
    if (status != NL_OK) {
        return status;
    }
    if (!isfinite(s->trace) || !isfinite(s->frobenius2)) {
        set_nan(s);
        *trusted = true;
        return NL_OK;
    }
    status = nl_agree(comm, s->solver->eigenvalues(a, s->lambda));
    if (status != NL_OK) {
        return status == NL_ERR_LINALG ? NL_OK : status; /* it gave up, and told why */
    }
    MPI_Bcast(s->lambda, s->n, MPI_DOUBLE, 0, comm); /* the same bits on every rank */
    nl_reverse(s->n, s->lambda);
    *trusted = nl_spectrum_plausible(s->n, s->lambda, s->trace, s->frobenius2, a->precision);
    if (!*trusted) {
        warn_implausible(a, s);
    }
    return NL_OK;
}

nl_status nl_spectrum_compute(nl_dmat *a, const nl_solver *solver, nl_fill_fn *fill, void *context,
                              nl_spectrum **out)
{
    const nl_solver *second = nl_solver_find(solver->second);
    bool trusted = false;
    nl_spectrum *s = NULL;
    nl_status status = check_ability(a, solver);

    *out = NULL;
    if (status == NL_OK) {
        status = spectrum_create(a, &s);
    }
    if (status != NL_OK) {
        return status;
    }
    s->solver = solver;
    status = try_solver(a, fill, context, s, &trusted);
    if (status == NL_OK && !trusted && second != NULL) {
        s->solver = second;
        s->fallback = true;
        status = try_solver(a, fill, context, s, &trusted);
    }
    if (status == NL_OK && !trusted) {
        status =
            !nl_grid_root(a->grid)
                ? NL_ERR_NUMERIC
                : NL_FAIL(NL_ERR_NUMERIC,
                          "spectrum of order %d: no eigenvalues that match the matrix from "
                          "%s, nor from %s",
                          a->n, solver->name, second != NULL ? second->name : "another solver");
    }
    if (status != NL_OK) {
        nl_spectrum_destroy(&s);
    }
    *out = s;
    return status;
}
