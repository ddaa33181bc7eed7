/** @file test_grid_shape.c  What linalg offers without MPI: grid shapes, indices, the check of a
 * spectrum, the table of solvers. */
#include "ntklens/eigen.h"
#include "ntklens/linalg.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void shapes_are_those_of_the_header(void **state)
{
    const int expected[][3] = {{1, 1, 1}, {2, 1, 2}, {3, 1, 3},  {4, 2, 2},  {5, 2, 2},
                               {6, 2, 3}, {7, 2, 3}, {12, 3, 4}, {13, 3, 4}, {128, 8, 16}};

    (void)state;
    for (size_t k = 0; k < NL_COUNT(expected); k++) {
        int rows = 0;
        int cols = 0;

        nl_grid_shape(expected[k][0], &rows, &cols);
        assert_int_equal(rows, expected[k][1]);
        assert_int_equal(cols, expected[k][2]);
    }
}

static void no_other_shape_uses_more_ranks_or_is_nearer_to_a_square(void **state)
{
    (void)state;
    for (int ranks = 1; ranks <= 600; ranks++) {
        int rows = 0;
        int cols = 0;

        nl_grid_shape(ranks, &rows, &cols);
        assert_true(rows <= cols && cols <= 3 * rows && rows * cols <= ranks);
        for (int r = 1; r <= ranks; r++) {
            for (int c = r; c <= 3 * r && r * c <= ranks; c++) {
                assert_true(r * c < rows * cols || (r * c == rows * cols && r <= rows));
            }
        }
    }
}

static void shapes_of_the_largest_rank_counts_do_not_overflow(void **state)
{
    int rows = 0;
    int cols = 0;

    (void)state;
    nl_grid_shape(2147483647, &rows, &cols);
    assert_true(rows >= 1 && rows <= cols && cols / rows <= 3);
    assert_true((double)rows * cols > 0.999 * 2147483647.0);
}

static void local_indices_cover_every_global_one_once(void **state)
{
    enum { rows = 3, n = 47, nb = 5 };
    int seen[n] = {0};

    (void)state;
    for (int row = 0; row < rows; row++) {
        nl_grid grid = {.rows = rows, .cols = rows, .row = row, .col = row};
        nl_dmat a = {.grid = &grid, .n = n, .nb = nb};

        for (int k = 0; nl_dmat_global_row(&a, k) < n; k++) {
            assert_int_equal(nl_dmat_global_row(&a, k) / nb % rows, row);
            assert_int_equal(nl_dmat_global_col(&a, k), nl_dmat_global_row(&a, k));
            seen[nl_dmat_global_row(&a, k)]++;
        }
    }
    for (int i = 0; i < n; i++) {
        assert_int_equal(seen[i], 1);
    }
}

static void only_the_right_eigenvalues_are_plausible(void **state)
{
    const double right[3] = {720.0, 3.0, 0.25};
    const double raised[3] = {738.0, 3.0, 0.25};
    const double same_trace[3] = {719.0, 4.0, 0.25};
    const double unknown[3] = {720.0, 3.0, NAN};
    const double eps = nl_precision_eps(NL_DOUBLE);
    const double trace = 723.25;
    const double frobenius2 = 720.0 * 720.0 + 9.0 + 0.0625;

    (void)state;
    assert_true(nl_spectrum_plausible(3, right, trace, frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, raised, trace, frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, same_trace, trace, frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, unknown, trace, frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, right, NAN, frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, right, trace, NAN, NL_DOUBLE));
    assert_true(nl_spectrum_plausible(3, right, trace * (1.0 + 100 * eps), frobenius2, NL_DOUBLE));
    assert_false(nl_spectrum_plausible(3, right, trace * (1.0 + 200 * eps), frobenius2, NL_DOUBLE));
}

static void every_solver_has_another_one_of_its_kind_to_fall_back_on(void **state)
{
    int count = 0;

    (void)state;
    for (const nl_solver *solver = nl_solver_at(0); solver != NULL;
         solver = nl_solver_at(++count)) {
        const nl_solver *second = nl_solver_find(solver->second);

        assert_ptr_equal(nl_solver_find(solver->name), solver);
        assert_non_null(second);
        assert_ptr_not_equal(second, solver);
        assert_int_equal(second->one_rank, solver->one_rank);
    }
    assert_true(count >= 4);
    assert_non_null(nl_solver_find("lapack"));
    assert_non_null(nl_solver_find("scalapack"));
    assert_null(nl_solver_find("no-such-solver"));
    assert_null(nl_solver_find(NULL));
    assert_null(nl_solver_at(-1));
}

static void work_space_is_small_beside_the_matrix_but_for_elpa(void **state)
{
    const double matrix = 4000.0 * 4000.0;

    (void)state;
    for (int k = 0; nl_solver_at(k) != NULL; k++) {
        const nl_solver *solver = nl_solver_at(k);
        double wide = solver->workspace(4000, 40, NL_DOUBLE, 1, 1);
        double narrow = solver->workspace(4000, 40, NL_SINGLE, 1, 1);
        double most = strcmp(solver->name, "elpa") == 0       ? 5.0
                      : strcmp(solver->name, "twostage") == 0 ? 0.2
                                                              : 0.1; /* matrices */

        assert_true(wide >= 4000.0 * sizeof(double) && wide < most * matrix * sizeof(double));
        assert_true(narrow >= 4000.0 * sizeof(float) && narrow < 1.1 * wide);
    }
}

static void the_blas_tells_its_name(void **state)
{
    char version[64];

    (void)state;
    nl_blas_set_threads(1);
    assert_true(strlen(nl_blas_kernel()) > 0);
    assert_true(strlen(nl_blas_version(version)) > 0);
    assert_true(strncmp(version, "OpenBLAS", 8) != 0 || strchr(version, '.') != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_header),
        cmocka_unit_test(no_other_shape_uses_more_ranks_or_is_nearer_to_a_square),
        cmocka_unit_test(shapes_of_the_largest_rank_counts_do_not_overflow),
        cmocka_unit_test(local_indices_cover_every_global_one_once),
        cmocka_unit_test(only_the_right_eigenvalues_are_plausible),
        cmocka_unit_test(every_solver_has_another_one_of_its_kind_to_fall_back_on),
        cmocka_unit_test(work_space_is_small_beside_the_matrix_but_for_elpa),
        cmocka_unit_test(the_blas_tells_its_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
