/** @file test_linalg.c  Grids and block-cyclic matrices on every shape of grid that the ranks
 * allow. */
#include "linalg_fixture.h"

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

static void matrices_that_32_bits_cannot_count_are_refused_on_every_rank(void **state)
{
    nl_grid *grid = whole_grid();
    nl_dmat *a = NULL;

    (void)state;
    expect_all(grid->comm, nl_dmat_create(grid, 200000, 10, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, nl_dmat_create(grid, 0, 10, NL_DOUBLE, &a) == NL_ERR_ARG);
    expect_all(grid->comm, nl_dmat_create(grid, 10, 0, NL_DOUBLE, &a) == NL_ERR_ARG);
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
        cmocka_unit_test(matrices_that_32_bits_cannot_count_are_refused_on_every_rank),
    };
    int failed = 0;

    MPI_Init(&argc, &argv);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
