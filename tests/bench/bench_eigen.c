/**
 * @file bench_eigen.c  Seconds of one spectrum with its verification, the filling left out, of the
 * covariance matrix exp(-|i - j| / 100).  Alone, or shared by the ranks of mpirun.
 *
 *   bench_eigen [--n N] [--precision double|single] [--solver NAME] [--block NB] [--repeats R]
 *
 * Without --solver: lapack on one rank, twostage on more.
 */
#include "bench.h"

#include "ntklens/eigen.h"
#include "ntklens/par.h"

#include <math.h>

/** What the matrix is filled with, and how long that took. */
typedef struct content {
    const double *covariance; /* [n], by distance */
    double seconds;
} content;

static double entry(int i, int j, const void *context)
{
    return ((const content *)context)->covariance[i - j];
}

static nl_status fill(nl_dmat *a, void *context)
{
    content *c = context;
    const double start = nl_now();

    nl_dmat_fill(a, entry, c);
    c->seconds += nl_now() - start;
    return NL_OK;
}

static double solve_seconds(nl_dmat *a, const nl_solver *solver, content *c)
{
    const double start = nl_now();
    nl_spectrum *spectrum = NULL;

    c->seconds = 0.0;
    bench_check(nl_spectrum_compute(a, solver, fill, c, &spectrum) == NL_OK, "the solver");
    nl_spectrum_destroy(&spectrum);
    return nl_now() - start - c->seconds;
}

int main(int argc, char **argv)
{
    const nl_precision precision = bench_precision(argc, argv);
    const int n = bench_number(argc, argv, "n", 1500);
    const int repeats = bench_repeats(argc, argv, 1);
    double seconds[bench_most_repeats];
    content c = {.covariance = NULL};
    double *covariance = nl_calloc((size_t)n, sizeof *covariance);
    const nl_solver *solver = NULL;
    nl_grid *grid = NULL;
    nl_dmat *a = NULL;
    int provided = 0;
    int ranks = 1;
    int rows = 1;
    int cols = 1;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &provided);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    nl_grid_shape(ranks, &rows, &cols);
    nl_blas_set_threads(1);
    solver = nl_solver_find(bench_option(argc, argv, "solver", ranks == 1 ? "lapack" : "twostage"));
    bench_check(covariance != NULL && solver != NULL, "memory, or the choice of a solver,");
    for (int k = 0; k < n; k++) {
        covariance[k] = exp(-k / 100.0);
    }
    c.covariance = covariance;
    bench_check(nl_grid_create(MPI_COMM_WORLD, rows, cols, &grid) == NL_OK, "the grid");
    bench_check(nl_dmat_create(grid, n, bench_number(argc, argv, "block", ranks == 1 ? 64 : 32),
                               precision, &a) == NL_OK,
                "the matrix");
    for (int turn = 0; turn < repeats; turn++) {
        seconds[turn] = solve_seconds(a, solver, &c);
    }
    if (grid->row == 0 && grid->col == 0) {
        printf("{\"name\": \"eigen\", \"n\": %d, \"precision\": \"%s\", \"ranks\": %d, "
               "\"solver\": \"%s\", \"seconds\": %.9g}\n",
               n, bench_precision_name(precision), ranks, solver->name,
               bench_best(repeats, seconds));
    }
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
    free(covariance);
    MPI_Finalize();
    return 0;
}
