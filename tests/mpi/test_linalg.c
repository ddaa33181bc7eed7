/** @file test_linalg.c  Grids and block-cyclic matrices on every shape of grid that the ranks
 * allow. */
#include "linalg_fixture.h"
#include "ntklens/eigen.h"

/*---------------------------------------------------------------------------------------------
 * Grids and matrices
 *-------------------------------------------------------------------------------------------*/

static bool ranks_stand_row_by_row(const nl_grid *grid, const void *context)
{
    int rank = 0;
    int size = 0;

    (void)context;
    MPI_Comm_rank(grid->comm, &rank);
    MPI_Comm_size(grid->comm, &size);
    return size == grid->rows * grid->cols && rank == grid->row * grid->cols + grid->col;
}

static void grids_hold_their_ranks_row_by_row(void **state)
{
    (void)state;
    expect_on_every_grid(ranks_stand_row_by_row, NULL);
}

static void a_grid_of_another_size_is_refused_on_every_rank(void **state)
{
    int ranks = 0;
    nl_grid *grid = NULL;

    (void)state;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_WORLD, 1, ranks + 1, &grid) == NL_ERR_ARG);
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_WORLD, 0, ranks, &grid) == NL_ERR_ARG);
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_WORLD, 2, 1 << 30, &grid) == NL_ERR_ARG);
    expect_all(MPI_COMM_WORLD, grid == NULL);
    nl_grid_destroy(&grid);
}

static double numbered_entry(int i, int j, const void *order)
{
    return 1.0 + (double)i * *(const int *)order + j;
}

static bool gathered_is_filled(const nl_dmat *a, int root)
{
    bool is_root = a->grid->row * a->grid->cols + a->grid->col == root;
    double *full = is_root ? calloc((size_t)(a->n * a->n), sizeof *full) : NULL;
    bool good = nl_dmat_gather(a, root, full) == NL_OK;

    for (int i = 0; is_root && i < a->n; i++) {
        for (int j = 0; j <= i; j++) {
            double expected = numbered_entry(i, j, &a->n);

            good = good && full[i * a->n + j] == expected && full[j * a->n + i] == expected;
        }
    }
    free(full);
    return good;
}

static bool moments_are_right(const nl_dmat *a)
{
    double expected[2] = {0};
    double found[2] = {0};
    bool good = nl_dmat_moments(a, &found[0], &found[1]) == NL_OK;

    for (int i = 0; i < a->n; i++) {
        for (int j = 0; j <= i; j++) {
            double value = numbered_entry(i, j, &a->n);

            expected[0] += i == j ? value : 0.0;
            expected[1] += (i == j ? 1.0 : 2.0) * value * value;
        }
    }
    return good && fabs(found[0] - expected[0]) <= 1e-14 * expected[0] &&
           fabs(found[1] - expected[1]) <= 1e-14 * expected[1] &&
           same_on_all_ranks(a->grid, found, sizeof found);
}

static bool fill_comes_back(const nl_grid *grid, const void *context)
{
    content c = {.entry = numbered_entry};
    bool good = true;

    (void)context;
    for (size_t k = 0; k < NL_COUNT(shapes); k++) {
        nl_dmat *a = NULL;

        if (nl_dmat_create(grid, shapes[k].n, shapes[k].nb, shapes[k].precision, &a) != NL_OK) {
            return false;
        }
        good = good && (uintptr_t)a->local % 64 == 0 && a->ld >= 1 && a->ld >= a->local_rows;
        good = fill_lower_half(a, &c) == NL_OK && good;
        good = gathered_is_filled(a, 0) && good;
        good = gathered_is_filled(a, grid->rows * grid->cols - 1) && good;
        good = moments_are_right(a) && good;
        nl_dmat_destroy(&a);
    }
    return good;
}

static void what_was_filled_is_gathered_and_summed_on_every_grid(void **state)
{
    (void)state;
    expect_on_every_grid(fill_comes_back, NULL);
}

/* Products and diagonal of one matrix against its entries; numbers are whole.  single: by pieces.
 */
static bool products_are_right(nl_dmat *a, bool single)
{
    const size_t n = (size_t)a->n;
    double *x = calloc(3 * n, sizeof *x);
    double *y = calloc(3 * n, sizeof *y);
    double *one = calloc(n, sizeof *one);
    double *diagonal = calloc(n, sizeof *diagonal);
    bool good = true;

    for (size_t k = 0; k < 3 * n; k++) {
        x[k] = (double)(k * 7 % 11) - 4.0;
    }
    good = (single ? nl_dmat_multiply_pieces(a, 3, x, y, NULL) : nl_dmat_multiply(a, 3, x, y)) ==
               NL_OK &&
           nl_dmat_multiply_vector(a, x + n, one) == NL_OK;
    good = nl_dmat_diagonal(a, diagonal) == NL_OK && good;
    for (int i = 0; i < a->n; i++) {
        for (int k = 0; k < 3; k++) {
            double sum = 0.0;

            for (int j = 0; j < a->n; j++) {
                sum += numbered_entry(i > j ? i : j, i > j ? j : i, &a->n) *
                       x[(size_t)k * n + (size_t)j];
            }
            good = good && fabs(y[(size_t)k * n + (size_t)i] - sum) <= 1e-10;
            good = good && (k != 1 || fabs(one[i] - sum) <= 1e-10);
        }
        good = good && diagonal[i] == numbered_entry(i, i, &a->n);
    }
    good = good && same_on_all_ranks(a->grid, y, (int)(3 * n * sizeof *y));
    free(x);
    free(y);
    free(one);
    free(diagonal);
    return good;
}

static double twice(int i, int j, double value, const void *context)
{
    (void)i, (void)j, (void)context;
    return 2.0 * value;
}

static bool packing_comes_back(nl_dmat *a)
{
    void *packed = calloc(nl_dmat_packed_count(a) + 1, nl_precision_bytes(a->precision));
    double before[2] = {0};
    double between[2] = {0};
    double after[2] = {0};
    bool good = nl_dmat_moments(a, &before[0], &before[1]) == NL_OK;

    nl_dmat_pack(a, packed);
    nl_dmat_map(a, twice, NULL);
    good = nl_dmat_moments(a, &between[0], &between[1]) == NL_OK && good;
    nl_dmat_unpack(a, a->n, packed);
    good = nl_dmat_moments(a, &after[0], &after[1]) == NL_OK && good;
    free(packed);
    return good && memcmp(before, after, sizeof before) == 0 && between[0] == 2.0 * before[0] &&
           between[1] == 4.0 * before[1];
}

/* context: is memory taken as the matrix is written? */
static bool operations_are_right(const nl_grid *grid, const void *context)
{
    const bool lower = context != NULL;
    content c = {.entry = numbered_entry};
    bool good = true;

    for (size_t k = 0; k < NL_COUNT(shapes); k++) {
        nl_dmat *a = NULL;

        if ((lower ? nl_dmat_create_lower : nl_dmat_create)(grid, shapes[k].n, shapes[k].nb,
                                                            shapes[k].precision, &a) != NL_OK) {
            return false;
        }
        good = fill_lower_half(a, &c) == NL_OK && good;
        good = products_are_right(a, lower && a->precision == NL_SINGLE) && good;
        good = packing_comes_back(a) && good;
        nl_dmat_destroy(&a);
    }
    return good;
}

static void products_and_copies_are_right_on_every_grid(void **state)
{
    (void)state;
    expect_on_every_grid(operations_are_right, NULL);
    expect_on_every_grid(operations_are_right, "as it is written");
}

/* Nor are their elements counted. */
static void what_is_above_the_diagonal_of_a_lower_half_takes_no_memory(void **state)
{
    enum { n = 8000, nb = 64 };
    nl_grid *grid = whole_grid();
    const double before = (double)nl_peak_memory();
    const double most =
        nl_dmat_lower_bytes(n, nb, NL_DOUBLE, grid->rows, grid->cols) + 8.0 * 1024 * 1024;
    nl_dmat *a = NULL;
    nl_dmat *large = NULL;

    (void)state;
    expect_all(grid->comm, nl_dmat_create_lower(grid, n, nb, NL_DOUBLE, &a) == NL_OK);
    for (int c = 0; c < a->local_cols; c++) {
        for (int r = nl_dmat_first_row(a, nl_dmat_global_col(a, c)); r < a->local_rows; r++) {
            ((double *)a->local)[(size_t)c * (size_t)a->ld + (size_t)r] = 1.0;
        }
    }
    expect_all(grid->comm, (double)nl_peak_memory() - before <= most);
    expect_all(grid->comm, nl_dmat_create_lower(grid, 120000, nb, NL_SINGLE, &large) == NL_OK);
    nl_dmat_destroy(&a);
    nl_dmat_destroy(&large);
    nl_grid_destroy(&grid);
}

/* min(i, j) + 1: eigenvalues 1 / (4 sin^2((k - 1/2) pi / (2 n + 1))), eigenvectors
 * sin((2 k - 1) i pi / (2 n + 1)). */
static double shorter_entry(int i, int j, const void *order)
{
    (void)order;
    return (i < j ? i : j) + 1.0;
}

static bool projections_on(const nl_grid *grid, int nb)
{
    enum { n = 40 };
    const double angle = 3.14159265358979323846 / (2.0 * n + 1.0);
    double x[2 * n];
    double y[2 * n];
    double lambda[n];
    nl_dmat *a = NULL;
    bool good = nl_dmat_create(grid, n, nb, NL_DOUBLE, &a) == NL_OK;

    for (int i = 0; i < 2 * n; i++) {
        x[i] = i < n ? sin(5.0 * (i + 1) * angle) : (double)(i * 3 % 7); /* the third vector */
    }
    if (good) {
        nl_dmat_fill(a, shorter_entry, NULL);
        good = nl_dmat_projections(a, 2, x, lambda, y) == NL_OK;
    }
    for (int k = 0; good && k < n; k++) {
        const double expected = 0.25 / pow(sin((k + 0.5) * angle), 2.0);
        double along = 0.0;
        double norm = 0.0;

        for (int i = 0; i < n; i++) {
            along += sin((2.0 * k + 1.0) * (i + 1) * angle) * x[n + i];
            norm += pow(sin((2.0 * k + 1.0) * (i + 1) * angle), 2.0);
        }
        good = fabs(lambda[k] - expected) <= 1e-11 * lambda[0] &&
               fabs(y[k] * y[k] - (k == 2 ? norm : 0.0)) <= 1e-11 * norm &&
               fabs(y[n + k] * y[n + k] - along * along / norm) <= 1e-9;
    }
    nl_dmat_destroy(&a);
    return good;
}

static bool projections_are_right(const nl_grid *grid, const void *context)
{
    (void)context;
    return projections_on(grid, 3) && projections_on(grid, 20) && projections_on(grid, 64);
}

static void vectors_are_seen_along_the_eigenvectors_on_every_grid(void **state)
{
    (void)state;
    expect_on_every_grid(projections_are_right, NULL);
}

static nl_status multiply(const double *x, double *y, void *context)
{
    return nl_dmat_multiply_vector(context, x, y);
}

static void the_largest_eigenvalue_is_found(void **state)
{
    enum { n = 300 };
    const double expected = 0.25 / pow(sin(1.57079632679489661923 / (2.0 * n + 1.0)), 2.0);
    double lambda = 0.0;
    nl_grid *grid = whole_grid();
    nl_dmat *a = NULL;

    (void)state;
    expect_all(grid->comm, nl_dmat_create(grid, n, 16, NL_DOUBLE, &a) == NL_OK);
    nl_dmat_fill(a, shorter_entry, NULL);
    expect_all(grid->comm, nl_largest_eigenvalue(grid->comm, n, multiply, a, &lambda) == NL_OK);
    expect_all(grid->comm, fabs(lambda - expected) <= 1e-11 * expected);
    nl_dmat_map(a, twice, NULL);
    nl_dmat_map(a, twice, NULL);
    expect_all(grid->comm, nl_largest_eigenvalue(grid->comm, n, multiply, a, &lambda) == NL_OK);
    expect_all(grid->comm, fabs(lambda - 4.0 * expected) <= 4e-11 * expected);
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
}

static void matrices_that_32_bits_cannot_count_are_refused_on_every_rank(void **state)
{
    nl_grid *grid = whole_grid();
    nl_dmat *a = NULL;

    (void)state;
    expect_all(grid->comm, nl_dmat_create(grid, 200000, 10, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, nl_dmat_create(grid, 0, 10, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, nl_dmat_create(grid, 10, 0, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, nl_dmat_create_lower(grid, 10, 0, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, a == NULL);
    nl_dmat_destroy(&a);
    nl_grid_destroy(&grid);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids_hold_their_ranks_row_by_row),
        cmocka_unit_test(a_grid_of_another_size_is_refused_on_every_rank),
        cmocka_unit_test(what_was_filled_is_gathered_and_summed_on_every_grid),
        cmocka_unit_test(products_and_copies_are_right_on_every_grid),
        cmocka_unit_test(what_is_above_the_diagonal_of_a_lower_half_takes_no_memory),
        cmocka_unit_test(vectors_are_seen_along_the_eigenvectors_on_every_grid),
        cmocka_unit_test(the_largest_eigenvalue_is_found),
        cmocka_unit_test(matrices_that_32_bits_cannot_count_are_refused_on_every_rank),
    };
    int failed = 0;

    MPI_Init(&argc, &argv);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
