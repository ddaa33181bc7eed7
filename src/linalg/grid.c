/** @file grid.c  Process grids of BLACS. */
#include "ntklens/fortran.h"
#include "ntklens/linalg.h"
#include "ntklens/par.h"

#include <stdlib.h>

enum {
    topologies_repeat = 15, /* Cblacs_set: sums in an order that does not depend on timing */
    longest_side = 3,       /* cols / rows at most: flat grids communicate more than they gain */
};

void nl_grid_shape(int ranks, int *rows, int *cols)
{
    *rows = 1;
    *cols = 1;
    for (int r = 1; r <= ranks / r; r++) {
        int c = ranks / r <= longest_side * r ? ranks / r : longest_side * r;

        if (r * c >= *rows * *cols) { /* of equal sizes the later, nearer to a square */
            *rows = r;
            *cols = c;
        }
    }
}

bool nl_grid_root(const nl_grid *grid)
{
    return grid->row == 0 && grid->col == 0;
}

nl_status nl_grid_create(MPI_Comm comm, int rows, int cols, nl_grid **out)
{
    const int yes = 1;
    int size = 0;
    int handle = 0;
    nl_status status = NL_OK;
    nl_grid *grid = NULL;

    *out = NULL;
    MPI_Comm_size(comm, &size);
    if (rows < 1 || cols < 1 || rows > size || cols != size / rows || size % rows != 0) {
        int rank = 0;

        MPI_Comm_rank(comm, &rank);
        return rank != 0 ? NL_ERR_ARG
                         : NL_FAIL(NL_ERR_ARG, "process grid %d x %d: must hold %d ranks exactly",
                                   rows, cols, size);
    }
    grid = calloc(1, sizeof *grid);
    status = nl_agree(comm, grid != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "no memory for a grid"));
    if (status != NL_OK) {
        free(grid);
        return status;
    }
    MPI_Comm_dup(comm, &grid->comm);
    handle = Csys2blacs_handle(grid->comm);
    grid->context = handle; /* gridinit replaces the system context by that of the grid */
    Cblacs_gridinit(&grid->context, "Row-major", rows, cols);
    Cfree_blacs_system_handle(handle);
    Cblacs_set(grid->context, topologies_repeat, &yes);
    Cblacs_gridinfo(grid->context, &grid->rows, &grid->cols, &grid->row, &grid->col);
    *out = grid;
    return NL_OK;
}

void nl_grid_destroy(nl_grid **grid)
{
    if (*grid != NULL) {
        Cblacs_gridexit((*grid)->context);
        MPI_Comm_free(&(*grid)->comm);
        free(*grid);
        *grid = NULL;
    }
}
