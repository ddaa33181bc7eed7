/** @file test_spectrum.c  Eigenvalues: right on every grid, checked, the same bits each time. */
#include "../../src/eigen/tridiagonal.h"
#include "linalg_fixture.h"
#include "ntklens/eigen.h"

/*---------------------------------------------------------------------------------------------
 * Matrices with known eigenvalues; the context of an entry is the order
 *-------------------------------------------------------------------------------------------*/

static const double pi = 3.14159265358979323846;

typedef struct known {
    const char *name;
    nl_entry_fn *entry;
    double (*lambda)(int k, int n); /* descending, k = 0 .. n - 1 */
} known;

static double difference_entry(int i, int j, const void *order)
{
    (void)order;
    return i == j ? 2.0 : (i == j + 1 ? -1.0 : 0.0);
}

static double difference_lambda(int k, int n)
{
    return 2.0 + 2.0 * cos(pi * (k + 1) / (n + 1));
}

/* Covariance of a random walk: min(i, j), from 1. */
static double walk_entry(int i, int j, const void *order)
{
    (void)i, (void)order;
    return j + 1.0;
}

static double walk_lambda(int k, int n)
{
    return 0.25 / pow(sin(pi * (2 * k + 1) / (4 * n + 2)), 2);
}

static double ones_entry(int i, int j, const void *order)
{
    (void)order;
    return i == j ? 2.0 : 1.0;
}

static double ones_lambda(int k, int n)
{
    return k == 0 ? n + 1.0 : 1.0;
}

static double diagonal_entry(int i, int j, const void *order)
{
    int n = *(const int *)order;

    return i == j ? ldexp(1.0, 20 - 40 * (n - 1 - i) / n) : 0.0;
}

static double diagonal_lambda(int k, int n)
{
    return ldexp(1.0, 20 - 40 * k / n);
}

static double zero_entry(int i, int j, const void *order)
{
    (void)i, (void)j, (void)order;
    return 0.0;
}

static double zero_lambda(int k, int n)
{
    (void)k, (void)n;
    return 0.0;
}

static const known all_known[] = {
    {"second difference", difference_entry, difference_lambda},
    {"random walk", walk_entry, walk_lambda},
    {"ones and identity", ones_entry, ones_lambda},
    {"diagonal over 40 binades", diagonal_entry, diagonal_lambda},
    {"zero", zero_entry, zero_lambda},
};

/* A kernel without simple entries: its sums round differently in every order. */
static double kernel_entry(int i, int j, const void *order)
{
    (void)order;
    return sqrt((1.0 + i % 7) * (1.0 + j % 7)) * exp(-0.1 * (i - j));
}

/*---------------------------------------------------------------------------------------------
 * Right eigenvalues
 *-------------------------------------------------------------------------------------------*/

/* One solver, one matrix: descending eigenvalues to the accuracy of LAPACK. */
static bool spectrum_is(nl_dmat *a, const nl_solver *solver, const known *what)
{
    content c = {.entry = what->entry};
    nl_spectrum *s = NULL;
    bool good = nl_spectrum_compute(a, solver, fill_lower_half, &c, &s) == NL_OK;
    double tolerance = (10.0 + a->n) * nl_precision_eps(a->precision) * what->lambda(0, a->n);

    good = good && s->n == a->n && s->solver == solver && !s->fallback && c.fills == 1;
    for (int k = 0; good && k < a->n; k++) {
        good = fabs(s->lambda[k] - what->lambda(k, a->n)) <= tolerance;
    }
    good = good && same_on_all_ranks(a->grid, s->lambda, a->n * (int)sizeof *s->lambda);
    if (!good) {
        print_error("%s, %s: order %d in blocks of %d, %s\n", solver->name, what->name, a->n, a->nb,
                    a->precision == NL_DOUBLE ? "double" : "single");
    }
    nl_spectrum_destroy(&s);
    return good;
}

typedef struct trial {
    const nl_solver *solver;
    const struct shape *shape; /* [count] */
    size_t count;
} trial;

static bool known_spectra_are_found(const nl_grid *grid, const void *context)
{
    const trial *t = context;
    bool good = true;

    for (size_t k = 0; k < t->count; k++) {
        const struct shape *shape = &t->shape[k];
        nl_dmat *a = NULL;

        if (!nl_solver_able(t->solver, shape->n, shape->nb, shape->precision, grid->rows,
                            grid->cols)) {
            continue;
        }
        if (nl_dmat_create(grid, shape->n, shape->nb, shape->precision, &a) != NL_OK) {
            return false;
        }
        for (size_t m = 0; m < NL_COUNT(all_known); m++) {
            good = spectrum_is(a, t->solver, &all_known[m]) && good;
        }
        nl_dmat_destroy(&a);
    }
    return good;
}

static void every_solver_finds_known_spectra_on_every_grid(void **state)
{
    (void)state;
    for (int k = 0; nl_solver_at(k) != NULL; k++) {
        const trial t = {nl_solver_at(k), shapes, NL_COUNT(shapes)};

        expect_on_every_grid(known_spectra_are_found, &t);
    }
}

/* Whole panels, a last one that is not, one row behind the last; panels within and across blocks.
 */
static void two_stages_of_many_panels_on_every_grid(void **state)
{
    const struct shape many[] = {{96, 10, NL_DOUBLE},  {97, 20, NL_DOUBLE},  {203, 32, NL_DOUBLE},
                                 {203, 10, NL_SINGLE}, {193, 64, NL_SINGLE}, {150, 50, NL_DOUBLE}};
    const trial t = {nl_solver_find("twostage"), many, NL_COUNT(many)};

    (void)state;
    expect_on_every_grid(known_spectra_are_found, &t);
}

/* Where one stage becomes two, the band wide, the last block partial.  Closed forms on one rank. */
static void one_rank_finds_known_spectra_of_larger_matrices(void **state)
{
    const int orders[] = {600, 601, 700, 701, 745};
    nl_grid *alone = NULL;
    bool good = true;

    (void)state;
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_SELF, 1, 1, &alone) == NL_OK);
    for (size_t k = 0; k < 2 * NL_COUNT(orders); k++) {
        nl_dmat *a = NULL;

        good = good && nl_dmat_create(alone, orders[k / 2], 64, k % 2 == 0 ? NL_DOUBLE : NL_SINGLE,
                                      &a) == NL_OK;
        for (size_t m = 0; good && m < NL_COUNT(all_known); m++) {
            good = spectrum_is(a, nl_solver_find("lapack"), &all_known[m]);
        }
        nl_dmat_destroy(&a);
    }
    nl_grid_destroy(&alone);
    expect_all(MPI_COMM_WORLD, good);
}

/* Eigenvalues add up to the trace, their squares to the squared norm; also where the band is wider
 * than the matrix. */
static bool band_gives_eigenvalues(nl_vectors vectors, int n, int b, nl_precision precision)
{
    const size_t ld = 3 * (size_t)b;
    const size_t bytes = nl_precision_bytes(precision);
    char *band = calloc(ld * ((size_t)n + 2 * (size_t)b), bytes);
    char *d = calloc(3 * (size_t)n, bytes);
    char *lambda = d + 2 * (size_t)n * bytes;
    double moments[2] = {0};
    double found[2] = {0};

    for (int j = 0; j < n; j++) {
        for (int i = j; i < n && i <= j + b; i++) {
            const double value = cos(0.7 * i * j) + (i == j ? 3.0 : 0.0);
            const size_t at = (size_t)(b + i - j) + (size_t)j * ld;

            if (precision == NL_DOUBLE) {
                ((double *)band)[at] = value;
            } else {
                ((float *)band)[at] = (float)value;
            }
            moments[0] += i == j ? value : 0.0;
            moments[1] += (i == j ? 1.0 : 2.0) * value * value;
        }
    }
    nl_band_to_tridiagonal(vectors, n, b, precision, band, d, d + (size_t)n * bytes);
    nl_tridiagonal_eigenvalues(vectors, n, precision, d, d + (size_t)n * bytes, lambda);
    for (int k = 0; k < n; k++) {
        const double x = nl_element(lambda, (size_t)k, precision);

        found[0] += x;
        found[1] += x * x;
    }
    free(band);
    free(d);
    return fabs(found[0] - moments[0]) <= 20 * n * nl_precision_eps(precision) * moments[0] &&
           fabs(found[1] - moments[1]) <= 20 * n * nl_precision_eps(precision) * moments[1];
}

static void bands_of_any_order_give_eigenvalues(void **state)
{
    (void)state;
    for (int n = 1; n < 230; n += n < 8 ? 1 : 13) {
        for (int k = 0; k < 4; k++) {
            const nl_precision precision = k % 2 == 0 ? NL_DOUBLE : NL_SINGLE;
            const int b = nl_band_width(k / 2 == 0 ? 5000 : 500, precision);

            for (nl_vectors v = NL_VECTORS_UNKNOWN; v <= nl_cpu_here().vectors; v++) {
                assert_true(band_gives_eigenvalues(v, n, b, precision));
            }
        }
    }
}

/* Eigenvalues of the kernel of order n; all NaN after a failure. */
static void solve_kernel(const nl_grid *grid, const char *solver, int n, double *lambda)
{
    content c = {.entry = kernel_entry};
    nl_dmat *a = NULL;
    nl_spectrum *s = NULL;
    nl_status status = nl_dmat_create(grid, n, 20, NL_DOUBLE, &a);

    if (status == NL_OK) {
        status = nl_spectrum_compute(a, nl_solver_find(solver), fill_lower_half, &c, &s);
    }
    for (int k = 0; k < n; k++) {
        lambda[k] = status == NL_OK ? s->lambda[k] : NAN;
    }
    nl_spectrum_destroy(&s);
    nl_dmat_destroy(&a);
}

enum { kernel_order = 150 };

static bool able(const nl_solver *solver, const nl_grid *grid)
{
    return nl_solver_able(solver, kernel_order, 20, NL_DOUBLE, grid->rows, grid->cols);
}

static bool agree_with_one_rank(const nl_grid *grid, const void *context)
{
    const double *expected = context;
    double found[kernel_order];
    bool good = true;

    for (int s = 0; nl_solver_at(s) != NULL; s++) {
        if (able(nl_solver_at(s), grid)) {
            solve_kernel(grid, nl_solver_at(s)->name, kernel_order, found);
            for (int k = 0; k < kernel_order; k++) {
                good = good && fabs(found[k] - expected[k]) <= 1e-13 * expected[0];
            }
        }
    }
    return good;
}

static void spectra_agree_across_grids_and_solvers(void **state)
{
    double expected[kernel_order];
    nl_grid *alone = NULL;

    (void)state;
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_SELF, 1, 1, &alone) == NL_OK);
    solve_kernel(alone, "lapack", kernel_order, expected);
    nl_grid_destroy(&alone);
    expect_on_every_grid(agree_with_one_rank, expected);
}

static bool reruns_repeat(const nl_grid *grid, const void *context)
{
    const nl_solver *solver = context;
    double first[kernel_order];
    double again[kernel_order];
    bool good = true;

    for (int run = 0; good && able(solver, grid) && run < 3; run++) {
        solve_kernel(grid, solver->name, kernel_order, again);
        if (run == 0) {
            memcpy(first, again, sizeof first);
        }
        good = isfinite(first[0]) && memcmp(first, again, sizeof first) == 0;
    }
    return good;
}

static void reruns_on_the_same_grid_repeat_bit_for_bit(void **state)
{
    (void)state;
    for (int k = 0; nl_solver_at(k) != NULL; k++) {
        expect_on_every_grid(reruns_repeat, nl_solver_at(k));
    }
}

/*---------------------------------------------------------------------------------------------
 * Wrong eigenvalues, planted
 *-------------------------------------------------------------------------------------------*/

/* lambda_max of another matrix, as a library here once gave: 738 for 720. */
static nl_status raise_largest(nl_dmat *a, double *ascending)
{
    nl_status status = nl_solver_find("scalapack")->eigenvalues(a, ascending);

    ascending[a->n - 1] *= 1.025;
    return status;
}

/* The trace is right all the same. */
static nl_status shift_between_two(nl_dmat *a, double *ascending)
{
    nl_status status = nl_solver_find("scalapack")->eigenvalues(a, ascending);

    ascending[0] -= 1e-6 * ascending[a->n - 1];
    ascending[a->n - 1] *= 1.0 + 1e-6;
    return status;
}

static nl_status give_nan(nl_dmat *a, double *ascending)
{
    nl_status status = nl_solver_find("scalapack")->eigenvalues(a, ascending);

    ascending[a->n / 2] = NAN;
    return status;
}

static nl_status give_up(nl_dmat *a, double *ascending)
{
    (void)a, (void)ascending;
    return NL_ERR_LINALG;
}

static nl_status give_up_on_the_last_rank(nl_dmat *a, double *ascending)
{
    const nl_grid *grid = a->grid;
    nl_status status = nl_solver_find("scalapack")->eigenvalues(a, ascending);

    return grid->row == grid->rows - 1 && grid->col == grid->cols - 1 ? NL_ERR_LINALG : status;
}

static nl_status run_out_of_memory(nl_dmat *a, double *ascending)
{
    (void)a, (void)ascending;
    return NL_ERR_NOMEM;
}

/* Each rank has its own last bits, as on a mix of CPUs. */
static nl_status differ_between_ranks(nl_dmat *a, double *ascending)
{
    int rank = 0;
    nl_status status = nl_solver_find("scalapack")->eigenvalues(a, ascending);

    MPI_Comm_rank(a->grid->comm, &rank);
    ascending[a->n - 1] *= 1.0 + rank * nl_precision_eps(NL_DOUBLE);
    return status;
}

static nl_solver planted(nl_status (*eigenvalues)(nl_dmat *, double *), const char *second)
{
    nl_solver solver = *nl_solver_find("scalapack");

    solver.name = "planted";
    solver.second = second;
    solver.eigenvalues = eigenvalues;
    return solver;
}

/* What nl_spectrum_compute() makes of a solver, on all ranks; the walk's spectrum where it is OK.
 */
typedef struct outcome {
    nl_status status;
    const nl_solver *solver;
    bool fallback, right, same;
    int fills;
} outcome;

static outcome compute_in_blocks(const nl_solver *solver, nl_entry_fn *entry, nl_status fill_status,
                                 int nb)
{
    content c = {.entry = entry, .status = fill_status};
    outcome result = {.status = NL_ERR_INTERNAL};
    nl_grid *grid = whole_grid();
    nl_dmat *a = NULL;
    nl_spectrum *s = NULL;

    result.status = nl_dmat_create(grid, 50, nb, NL_DOUBLE, &a);
    if (result.status == NL_OK) {
        result.status = nl_spectrum_compute(a, solver, fill_lower_half, &c, &s);
        result.fills = c.fills;
    }
    if (s != NULL) {
        result.solver = s->solver;
        result.fallback = s->fallback;
        result.right = true;
        result.same = same_on_all_ranks(grid, s->lambda, s->n * (int)sizeof *s->lambda);
        for (int k = 0; k < s->n; k++) {
            double expected = walk_lambda(k, s->n);

            result.right = result.right && fabs(s->lambda[k] - expected) <= 1e-12 * s->lambda[0];
        }
    }
    nl_spectrum_destroy(&s);
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
    return result;
}

static outcome compute(const nl_solver *solver, nl_entry_fn *entry, nl_status fill_status)
{
    return compute_in_blocks(solver, entry, fill_status, 10);
}

static void a_wrong_eigenvalue_is_caught_and_resolved_by_the_second_solver(void **state)
{
    nl_status (*const plants[])(nl_dmat *, double *) = {raise_largest, shift_between_two, give_nan,
                                                        give_up, give_up_on_the_last_rank};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(plants); k++) {
        const nl_solver solver = planted(plants[k], "scalapack-x");
        outcome o = compute(&solver, walk_entry, NL_OK);

        expect_all(MPI_COMM_WORLD, o.status == NL_OK && o.fallback && o.right && o.same);
        expect_all(MPI_COMM_WORLD, o.solver == nl_solver_find("scalapack-x"));
        expect_all(MPI_COMM_WORLD, o.fills == 2);
    }
}

/* A negative trace is never that of a kernel: the check refuses whatever is found. */
static double negative_entry(int i, int j, const void *order)
{
    (void)order;
    return i == j ? -2.0 : 0.0;
}

static void two_failures_are_a_numerical_failure_on_every_rank(void **state)
{
    const nl_solver liar = planted(raise_largest, "no-such-solver");
    outcome o = compute(nl_solver_find("scalapack"), negative_entry, NL_OK);

    (void)state;
    expect_all(MPI_COMM_WORLD, o.status == NL_ERR_NUMERIC && o.solver == NULL && o.fills == 2);
    o = compute(&liar, walk_entry, NL_OK);
    expect_all(MPI_COMM_WORLD, o.status == NL_ERR_NUMERIC && o.solver == NULL && o.fills == 1);
}

static void other_errors_are_handed_on_and_not_tried_again(void **state)
{
    const nl_solver starved = planted(run_out_of_memory, "scalapack-x");
    int rank = 0;
    outcome o = compute(&starved, walk_entry, NL_OK);

    (void)state;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    expect_all(MPI_COMM_WORLD, o.status == NL_ERR_NOMEM && o.solver == NULL && o.fills == 1);
    o = compute(nl_solver_find("scalapack"), walk_entry, rank == 0 ? NL_ERR_NUMERIC : NL_OK);
    expect_all(MPI_COMM_WORLD, o.status == NL_ERR_NUMERIC && o.solver == NULL && o.fills == 1);
}

static void every_rank_gets_the_same_bits(void **state)
{
    const nl_solver solver = planted(differ_between_ranks, "scalapack-x");
    outcome o = compute(&solver, walk_entry, NL_OK);

    (void)state;
    expect_all(MPI_COMM_WORLD, o.status == NL_OK && !o.fallback && o.right && o.same);
}

static void a_solver_for_one_rank_refuses_a_larger_grid(void **state)
{
    outcome o = compute(nl_solver_find("lapack"), walk_entry, NL_OK);
    int ranks = 0;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    expect_all(MPI_COMM_WORLD, o.status == (ranks == 1 ? NL_OK : NL_ERR_ARG));
}

/* It would end the process. */
static void a_solver_that_needs_a_block_everywhere_refuses_a_grid_with_an_empty_row(void **state)
{
    nl_solver needy = *nl_solver_find("scalapack");
    int ranks = 0;
    outcome o;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    needy.no_empty_line = true;
    o = compute(&needy, walk_entry, NL_OK); /* five blocks */
    expect_all(MPI_COMM_WORLD, o.status == NL_OK);
    assert_true(nl_solver_able(&needy, 50, 10, NL_DOUBLE, 5, 5));
    assert_false(nl_solver_able(&needy, 50, 10, NL_DOUBLE, 1, 6));
    assert_false(nl_solver_able(&needy, 50, 10, NL_DOUBLE, 6, 1));
    needy.double_only = true;
    assert_true(nl_solver_able(&needy, 50, 10, NL_DOUBLE, 5, 5));
    assert_false(nl_solver_able(&needy, 50, 10, NL_SINGLE, 5, 5));
    o = compute_in_blocks(&needy, walk_entry, NL_OK, 50);
    expect_all(MPI_COMM_WORLD, o.status == (ranks == 1 ? NL_OK : NL_ERR_ARG));
}

static double nan_entry(int i, int j, const void *order)
{
    return i == *(const int *)order - 1 && j == 0 ? NAN : 1.0;
}

static double infinite_entry(int i, int j, const void *order)
{
    return i == *(const int *)order - 1 && i == j ? INFINITY : 1.0;
}

static bool all_is_nan(const nl_grid *grid, const void *context)
{
    nl_entry_fn *const entries[] = {nan_entry, infinite_entry};
    const nl_solver *solver = context;
    bool good = true;

    if (!nl_solver_able(solver, 30, 10, NL_DOUBLE, grid->rows, grid->cols)) {
        return true;
    }
    for (size_t m = 0; m < NL_COUNT(entries); m++) {
        content c = {.entry = entries[m]};
        nl_dmat *a = NULL;
        nl_spectrum *s = NULL;

        good = good && nl_dmat_create(grid, 30, 10, NL_DOUBLE, &a) == NL_OK;
        good = good && nl_spectrum_compute(a, solver, fill_lower_half, &c, &s) == NL_OK;
        good = good && isnan(s->trace) && isnan(s->frobenius2) && !s->fallback && c.fills == 1;
        for (int k = 0; good && k < 30; k++) {
            good = isnan(s->lambda[k]);
        }
        nl_spectrum_destroy(&s);
        nl_dmat_destroy(&a);
    }
    return good;
}

static void the_spectrum_of_a_matrix_that_is_not_finite_is_nan(void **state)
{
    (void)state;
    for (int k = 0; nl_solver_at(k) != NULL; k++) {
        expect_on_every_grid(all_is_nan, nl_solver_at(k));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_solver_finds_known_spectra_on_every_grid),
        cmocka_unit_test(two_stages_of_many_panels_on_every_grid),
        cmocka_unit_test(one_rank_finds_known_spectra_of_larger_matrices),
        cmocka_unit_test(bands_of_any_order_give_eigenvalues),
        cmocka_unit_test(spectra_agree_across_grids_and_solvers),
        cmocka_unit_test(reruns_on_the_same_grid_repeat_bit_for_bit),
        cmocka_unit_test(a_wrong_eigenvalue_is_caught_and_resolved_by_the_second_solver),
        cmocka_unit_test(two_failures_are_a_numerical_failure_on_every_rank),
        cmocka_unit_test(other_errors_are_handed_on_and_not_tried_again),
        cmocka_unit_test(every_rank_gets_the_same_bits),
        cmocka_unit_test(a_solver_for_one_rank_refuses_a_larger_grid),
        cmocka_unit_test(a_solver_that_needs_a_block_everywhere_refuses_a_grid_with_an_empty_row),
        cmocka_unit_test(the_spectrum_of_a_matrix_that_is_not_finite_is_nan),
    };
    int failed = 0;

    MPI_Init(&argc, &argv);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
