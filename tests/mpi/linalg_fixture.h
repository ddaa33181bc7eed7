/** @file linalg_fixture.h  What the tests of linalg share: every grid that the ranks allow, and
 * matrices of which the upper half is poisoned. */
#ifndef NTKLENS_TESTS_LINALG_FIXTURE_H
#define NTKLENS_TESTS_LINALG_FIXTURE_H

#include "ntklens/linalg.h"

#include "expect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/** Blocks of one entry, primes, multiples of ten, blocks larger than the matrix, more ranks than
 *  blocks. */
static const struct shape {
    int n, nb;
    nl_precision precision;
} shapes[] = {{1, 1, NL_SINGLE},  {1, 10, NL_DOUBLE}, {2, 7, NL_DOUBLE},   {5, 64, NL_DOUBLE},
              {5, 3, NL_SINGLE},  {6, 1, NL_DOUBLE},  {37, 10, NL_DOUBLE}, {37, 10, NL_SINGLE},
              {60, 7, NL_DOUBLE}, {64, 20, NL_SINGLE}};

/** Ranks off the grid have none and agree with everything. */
typedef bool grid_check(const nl_grid *grid, const void *context);

/* Runs a check on every grid of more than half the ranks (fewer are the business of the run on
 * fewer ranks); the verdict is that of all of them. */
static inline void expect_on_every_grid(grid_check *check, const void *context)
{
    int rank = 0;
    int ranks = 0;

    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    for (int rows = 1; rows <= ranks; rows++) {
        for (int cols = ranks / 2 / rows + 1; rows * cols <= ranks; cols++) {
            MPI_Comm comm = MPI_COMM_NULL;
            nl_grid *grid = NULL;
            bool good = true;

            MPI_Comm_split(MPI_COMM_WORLD, rank < rows * cols ? 0 : MPI_UNDEFINED, rank, &comm);
            if (comm != MPI_COMM_NULL) {
                good = nl_grid_create(comm, rows, cols, &grid) == NL_OK && check(grid, context);
                nl_grid_destroy(&grid);
                MPI_Comm_free(&comm);
            }
            if (!good) {
                print_error("on a %d x %d grid:\n", rows, cols);
            }
            expect_all(MPI_COMM_WORLD, good);
        }
    }
}

/* One grid of all ranks, of two rows where that is possible. */
static inline nl_grid *whole_grid(void)
{
    int ranks = 0;
    int rows = 0;
    nl_grid *grid = NULL;

    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    rows = ranks % 2 == 0 ? 2 : 1;
    expect_all(MPI_COMM_WORLD, nl_grid_create(MPI_COMM_WORLD, rows, ranks / rows, &grid) == NL_OK);
    return grid;
}

/** What a fill writes, and what it counts. */
typedef struct content {
    nl_entry_fn *entry;
    nl_status status; /* what the fill returns */
    int fills;
} content;

/* NaN above the diagonal: nobody may look there. */
static inline void poison_upper_half(nl_dmat *a)
{
    for (int col = 0; col < a->local_cols; col++) {
        for (int row = 0; row < a->local_rows; row++) {
            size_t at = (size_t)col * (size_t)a->ld + (size_t)row;

            if (nl_dmat_global_row(a, row) < nl_dmat_global_col(a, col)) {
                if (a->precision == NL_DOUBLE) {
                    ((double *)a->local)[at] = NAN;
                } else {
                    ((float *)a->local)[at] = NAN;
                }
            }
        }
    }
}

static inline nl_status fill_lower_half(nl_dmat *a, void *context)
{
    content *c = context;

    nl_dmat_fill(a, c->entry, &a->n);
    poison_upper_half(a);
    c->fills++;
    return c->status;
}

static inline bool same_on_all_ranks(const nl_grid *grid, const void *bytes, int length)
{
    void *first = calloc((size_t)length, 1);
    bool same = false;

    memcpy(first, bytes, (size_t)length);
    MPI_Bcast(first, length, MPI_BYTE, 0, grid->comm);
    same = memcmp(first, bytes, (size_t)length) == 0;
    free(first);
    return same;
}

#endif
