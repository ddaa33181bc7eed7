/** @file doctor.c  ntklens doctor: is this machine, with these libraries, fit for the work? */
#include "ntklens/eigen.h"
#include "ntklens/io.h"
#include "ntklens/json.h"
#include "ntklens/machine.h"

#include <gsl/gsl_version.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { test_order = 512, test_block = 32, most_test_ranks = 16, most_solvers = 16 };

/** What a solver made of a matrix whose eigenvalues are known. */
typedef struct self_test {
    const nl_solver *solver;
    int rows, cols;
    nl_status status;
    double error; /* largest, of lambda_max */
    double seconds;
} self_test;

/** All that doctor tells. */
typedef struct check_up {
    nl_machine machine;
    char mpi[MPI_MAX_LIBRARY_VERSION_STRING];
    int thread_level;
    self_test test[most_solvers];
    int tests;
    nl_text findings; /* owned */
} check_up;

/*---------------------------------------------------------------------------------------------
 * Solvers
 *-------------------------------------------------------------------------------------------*/

/* Covariance of a random walk, min(i, j) counted from 1; its spectrum falls as those of kernels do:
 * lambda_k = 1 / (4 sin^2((2k - 1) pi / (4n + 2))). */
static double walk_entry(int i, int j, const void *unused)
{
    (void)i, (void)unused;
    return j + 1.0; /* j <= i */
}

static double largest_error(const double *ascending)
{
    const double most = 0.25 / pow(sin(M_PI / (4 * test_order + 2)), 2);
    double worst = 0.0;

    for (int k = 1; k <= test_order; k++) {
        const double known = 0.25 / pow(sin(M_PI * (2 * k - 1) / (4 * test_order + 2)), 2);
        const double error = fabs(ascending[test_order - k] - known) / most;

        worst = error > worst || isnan(error) ? error : worst;
    }
    return worst;
}

/* Collective over the grid. */
static nl_status try_on_grid(const nl_grid *grid, self_test *test)
{
    double *ascending = nl_calloc(test_order, sizeof *ascending);
    nl_dmat *a = NULL;
    nl_status status = nl_agree(
        grid->comm, ascending != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "no memory for eigenvalues"));

    if (status == NL_OK) {
        status = nl_dmat_create(grid, test_order, test_block, NL_DOUBLE, &a);
    }
    if (status == NL_OK) {
        nl_dmat_fill(a, walk_entry, NULL);
        test->seconds = nl_now();
        status = test->solver->eigenvalues(a, ascending);
        test->seconds = nl_now() - test->seconds;
    }
    if (status == NL_OK) {
        test->error = largest_error(ascending);
    }
    nl_dmat_destroy(&a);
    free(ascending);
    return status;
}

/* One solver, on as many ranks as it can have.  Collective over the team. */
static void try_solver(const nl_team *team, self_test *test)
{
    const int ranks = team->size < most_test_ranks ? team->size : most_test_ranks;
    MPI_Comm part = MPI_COMM_NULL;
    nl_grid *grid = NULL;

    nl_grid_shape(test->solver->one_rank ? 1 : ranks, &test->rows, &test->cols);
    MPI_Comm_split(team->comm, team->rank < test->rows * test->cols ? 0 : MPI_UNDEFINED, team->rank,
                   &part);
    if (part != MPI_COMM_NULL) {
        test->status = nl_grid_create(part, test->rows, test->cols, &grid);
        if (test->status == NL_OK) {
            test->status = try_on_grid(grid, test);
        }
        nl_grid_destroy(&grid);
        MPI_Comm_free(&part);
    }
    test->status = nl_agree(team->comm, test->status); /* a finding: the check goes on */
}

static bool is_right(const self_test *test)
{
    return test->status == NL_OK && test->error <= 50.0 * test_order * nl_precision_eps(NL_DOUBLE);
}

static void try_solvers(const nl_team *team, check_up *c)
{
    for (int k = 0; k < most_solvers && nl_solver_at(k) != NULL; k++) {
        c->test[k].solver = nl_solver_at(k);
        try_solver(team, &c->test[k]);
        c->tests = k + 1;
    }
    for (int k = 0; k < c->tests; k++) {
        if (!is_right(&c->test[k])) {
            nl_text_append(&c->findings,
                           "solver %s does not give the eigenvalues of a matrix that are known: do "
                           "not use it (measure.solver), and look for another build of its "
                           "library\n",
                           c->test[k].solver->name);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * For people
 *-------------------------------------------------------------------------------------------*/

static void print_machine(const check_up *c, FILE *stream)
{
    const nl_machine *m = &c->machine;
    char bytes[32];
    char blas[64];
    char hdf5[32];
    char cores[48];
    char ranks[48];

    fprintf(stream, "cpu        %s, %s; %s for %s of this node, %d in all\n", m->cpu_name,
            nl_vectors_name(m->cpu.vectors), nl_format_count(m->cores, "core", cores),
            nl_format_count(m->ranks, "rank", ranks), m->ranks_in_all);
    fprintf(stream, "memory     %s per rank for kernels (measure.memory_per_rank: auto)\n",
            nl_format_bytes(m->memory_share, bytes));
    fprintf(stream, "mpi        %s, %s\n", c->mpi,
            c->thread_level == MPI_THREAD_MULTIPLE ? "threads as needed"
                                                   : "without MPI_THREAD_MULTIPLE");
    fprintf(stream, "blas       %s, kernels %s, 1 thread per rank; dgemm from %s\n",
            nl_blas_version(blas), nl_blas_kernel(),
            nl_blas_file() != NULL ? nl_blas_file() : "a place the system does not tell");
    fprintf(stream, "speed      double %.1f, single %.1f GFLOP/s per thread\n", m->gflops_double,
            m->gflops_single);
    fprintf(stream, "libraries  HDF5 %s, GSL %s\n", nl_h5_version(hdf5), GSL_VERSION);
}

static void print_tests(const check_up *c, FILE *stream)
{
    for (int k = 0; k < c->tests; k++) {
        const self_test *t = &c->test[k];

        fprintf(stream, "%s %-14s %d x %d %s, order %d: ", k == 0 ? "solvers   " : "          ",
                t->solver->name, t->rows, t->cols, t->rows * t->cols == 1 ? "rank" : "ranks",
                test_order);
        if (t->status != NL_OK) {
            fprintf(stream, "FAILED: %s\n", nl_status_text(t->status));
        } else {
            fprintf(stream, "%s, off by %.1e of lambda_max, %.3f s\n",
                    is_right(t) ? "right" : "WRONG", t->error, t->seconds);
        }
    }
}

static void print_findings(const check_up *c, FILE *stream)
{
    const char *line = c->findings.length > 0 ? c->findings.data : "nothing\n";

    fprintf(stream, "to change\n");
    while (*line != '\0') {
        const int length = (int)strcspn(line, "\n");

        fprintf(stream, "  %.*s\n", length, line);
        line += length + (line[length] == '\n');
    }
}

/*---------------------------------------------------------------------------------------------
 * For programs
 *-------------------------------------------------------------------------------------------*/

static void print_json(const check_up *c, FILE *stream)
{
    const nl_machine *m = &c->machine;
    char buffer[64];
    nl_text text = {0};
    const char *line = c->findings.length > 0 ? c->findings.data : "";

    nl_text_append(&text, "{\"cpu\": ");
    nl_json_string(&text, m->cpu_name);
    nl_text_append(&text,
                   ", \"vectors\": \"%s\", \"cores\": %d, \"ranks\": %d, \"ranks_in_all\": %d, "
                   "\"memory_per_rank\": %.0f,\n \"mpi\": ",
                   nl_vectors_name(m->cpu.vectors), m->cores, m->ranks, m->ranks_in_all,
                   m->memory_share);
    nl_json_string(&text, c->mpi);
    nl_text_append(&text, ", \"blas\": ");
    nl_json_string(&text, nl_blas_version(buffer));
    nl_text_append(&text, ", \"blas_kernel\": ");
    nl_json_string(&text, nl_blas_kernel());
    nl_text_append(&text, ", \"gflops_double\": %.2f, \"gflops_single\": %.2f,\n \"solvers\": [",
                   m->gflops_double, m->gflops_single);
    for (int k = 0; k < c->tests; k++) {
        const self_test *t = &c->test[k];

        nl_text_append(&text,
                       "%s{\"name\": \"%s\", \"rows\": %d, \"cols\": %d, \"right\": %s, "
                       "\"error\": %.3g, \"seconds\": %.6f}",
                       k > 0 ? ",\n  " : "", t->solver->name, t->rows, t->cols,
                       is_right(t) ? "true" : "false", isfinite(t->error) ? t->error : -1.0,
                       t->seconds);
    }
    nl_text_append(&text, "],\n \"findings\": [");
    while (*line != '\0') {
        const size_t length = strcspn(line, "\n");
        char *one = strndup(line, length);

        nl_json_string(&text, one != NULL ? one : "out of memory");
        free(one);
        line += length + (line[length] == '\n');
        nl_text_append(&text, *line != '\0' ? ", " : "");
    }
    nl_text_append(&text, "]}\n");
    fputs(text.failed ? "{}\n" : text.data, stream);
    nl_text_free(&text);
}

/*-------------------------------------------------------------------------------------------*/

nl_status nl_doctor(const nl_team *team, bool json, FILE *stream)
{
    check_up c = {0};
    int length = 0;
    nl_status status = NL_OK;
    bool wrong = false;

    nl_blas_set_threads(1);
    MPI_Get_library_version(c.mpi, &length);
    c.mpi[strcspn(c.mpi, ",\n")] = '\0';
    MPI_Query_thread(&c.thread_level);
    status = nl_machine_inspect(team, &c.machine);
    if (status == NL_OK) {
        nl_machine_findings(&c.machine, &c.findings);
        if (c.thread_level != MPI_THREAD_MULTIPLE) {
            nl_text_append(&c.findings, "this MPI lacks MPI_THREAD_MULTIPLE, which ntklens run "
                                        "needs: use another build of it\n");
        }
        try_solvers(team, &c);
    }
    for (int k = 0; k < c.tests; k++) {
        wrong = wrong || !is_right(&c.test[k]);
    }
    if (status == NL_OK && team->rank == 0 && json) {
        print_json(&c, stream);
    } else if (status == NL_OK && team->rank == 0) {
        print_machine(&c, stream);
        print_tests(&c, stream);
        print_findings(&c, stream);
    }
    nl_text_free(&c.findings);
    return nl_agree(team->comm,
                    status == NL_OK && wrong && team->rank == 0 ? NL_ERR_NUMERIC : status);
}
