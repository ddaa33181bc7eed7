/** @file solver_elpa.c  Eigenvalues on a grid of ranks: ELPA, by way of a band matrix (Auckenthaler
 * et al. 2011).
 *
 * ELPA reads both halves: with an empty upper half it gives wrong eigenvalues without a word.  It
 * ends the process where a process row or column owns no block, and where the communicator holds
 * ranks off the grid. */
#include "solver_elpa.h"
#include "solver_work.h"

#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <elpa/elpa.h>

/* Local parts of the matrix that its peak was measured to hold beside the matrix itself. */
static const double copies = 4.25;

double nl_elpa_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    return copies * nl_local_extent(n, nb, 0, rows) * nl_local_extent(n, nb, 0, cols) *
           (double)nl_precision_bytes(precision);
}

/* Upper half of the blocks on the diagonal, each of which one rank holds. */
static void mirror_diagonal_blocks(nl_dmat *a)
{
    for (int c = 0; c < a->local_cols; c++) {
        const int j = nl_dmat_global_col(a, c);
        const int block = j / a->nb;

        if (block % a->grid->rows != a->grid->row) {
            continue;
        }
        for (int i = block * a->nb; i < j; i++) {
            const int up = block / a->grid->rows * a->nb + i % a->nb; /* local indices */
            const int down = block / a->grid->rows * a->nb + j % a->nb;
            const int left = block / a->grid->cols * a->nb + i % a->nb;
            const size_t to = (size_t)c * (size_t)a->ld + (size_t)up;
            const size_t from = (size_t)left * (size_t)a->ld + (size_t)down;

            if (a->precision == NL_DOUBLE) {
                ((double *)a->local)[to] = ((const double *)a->local)[from];
            } else {
                ((float *)a->local)[to] = ((const float *)a->local)[from];
            }
        }
    }
}

/* Lower half to upper half, a block column at a time: no second matrix.  Collective. */
static void mirror(nl_dmat *a)
{
    const double one = 1.0;
    const double zero = 0.0;
    const float one_single = 1.0F;
    const bool wide = a->precision == NL_DOUBLE;

    for (int first = 0; first + a->nb < a->n; first += a->nb) {
        const int here = first + 1;
        const int below = first + a->nb + 1;
        const int rest = a->n - first - a->nb;

        (wide ? pdtran_ : pstran_)(&a->nb, &rest, wide ? (const void *)&one : &one_single, a->local,
                                   &below, &here, a->desc, &zero, a->local, &here, &below, a->desc);
    }
    mirror_diagonal_blocks(a);
}

/* A handle for matrices like this one; NULL where ELPA refuses.  Collective. */
static elpa_t prepare(const nl_dmat *a, int *error)
{
    const struct {
        const char *name;
        int value;
    } settings[] = {{"na", a->n},
                    {"nev", a->n},
                    {"nblk", a->nb},
                    {"local_nrows", a->ld},
                    {"local_ncols", a->local_cols},
                    {"process_row", a->grid->row},
                    {"process_col", a->grid->col},
                    {"mpi_comm_parent", (int)MPI_Comm_c2f(a->grid->comm)}};
    elpa_t handle = NULL;

    *error = elpa_init(ELPA_API_VERSION);
    handle = *error == ELPA_OK ? elpa_allocate(error) : NULL;
    for (size_t k = 0; handle != NULL && *error == ELPA_OK && k < NL_COUNT(settings); k++) {
        elpa_set_integer(handle, settings[k].name, settings[k].value, error);
    }
    if (handle != NULL && *error == ELPA_OK) {
        *error = elpa_setup(handle);
    }
    if (handle != NULL && *error == ELPA_OK) {
        elpa_set_integer(handle, "solver", ELPA_SOLVER_2STAGE, error);
    }
    if (handle == NULL && *error == ELPA_OK) {
        *error = ELPA_ERROR;
    }
    return handle;
}

/* The same on every rank, told by one. */
static nl_status agree_on_set_up(const nl_dmat *a, int error)
{
    int worst = 0; /* ELPA_OK is 0, errors are negative */

    MPI_Allreduce(&error, &worst, 1, MPI_INT, MPI_MIN, a->grid->comm);
    if (worst == ELPA_OK) {
        return NL_OK;
    }
    if (nl_grid_root(a->grid)) {
        nl_warn("ELPA of order %d on %d x %d ranks: cannot be set up: error = %d, expected %d",
                a->n, a->grid->rows, a->grid->cols, worst, ELPA_OK);
    }
    return NL_ERR_LINALG;
}

nl_status nl_elpa_eigenvalues(nl_dmat *a, double *ascending)
{
    int error = ELPA_OK;
    int ignored = ELPA_OK;
    elpa_t handle = NULL;
    nl_work work = {0};
    nl_status status = NL_OK;

    status = nl_work_create(a, "ELPA", 0.0, &work);
    if (status != NL_OK) {
        return status;
    }
    handle = prepare(a, &error);
    status = agree_on_set_up(a, error);
    if (status == NL_OK) {
        mirror(a);
        if (a->precision == NL_DOUBLE) {
            elpa_eigenvalues_double(handle, a->local, work.eigenvalues, &error);
        } else {
            elpa_eigenvalues_float(handle, a->local, work.eigenvalues, &error);
        }
        status = nl_work_finish(a, "ELPA", error, &work, ascending);
    }
    if (handle != NULL) {
        elpa_deallocate(handle, &ignored);
    }
    elpa_uninit(&ignored);
    nl_work_free(&work);
    return status;
}
