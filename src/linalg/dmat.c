/** @file dmat.c  The block-cyclic symmetric matrix. */
#include "ntklens/fortran.h"
#include "ntklens/linalg.h"
#include "ntklens/par.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double page = 4096.0; /* by which the system gives memory */

enum { most_ranks = 1 << 16 }; /* how far an error message looks for a rank count that would do */

int nl_local_extent(int n, int nb, int process, int processes)
{
    const int source = 0;

    return numroc_(&n, &nb, &process, &source, &processes);
}

/* Global index of local index k. */
static int global_index(int k, int nb, int process, int processes)
{
    return (k / nb * processes + process) * nb + k % nb;
}

int nl_dmat_global_row(const nl_dmat *a, int local_row)
{
    return global_index(local_row, a->nb, a->grid->row, a->grid->rows);
}

int nl_dmat_global_col(const nl_dmat *a, int local_col)
{
    return global_index(local_col, a->nb, a->grid->col, a->grid->cols);
}

/* Rank 0 holds the largest part; double, because the count may pass any integer. */
static double largest_part(int n, int nb, int rows, int cols)
{
    return (double)nl_local_extent(n, nb, 0, rows) * (double)nl_local_extent(n, nb, 0, cols);
}

/* The same verdict on every rank of the grid; told by one. */
static nl_status check_size(const nl_grid *grid, int n, int nb, bool lower)
{
    if (n < 1 || nb < 1) {
        return !nl_grid_root(grid) ? NL_ERR_ARG
                                   : NL_FAIL(NL_ERR_ARG,
                                             "matrix of order %d in blocks of %d: "
                                             "both must be positive",
                                             n, nb);
    }
    if (lower || largest_part(n, nb, grid->rows, grid->cols) <= INT_MAX) {
        return NL_OK;
    }
    if (nl_grid_root(grid)) {
        for (int ranks = 1; ranks <= most_ranks; ranks++) {
            int rows = 0;
            int cols = 0;

            nl_grid_shape(ranks, &rows, &cols);
            if (largest_part(n, nb, rows, cols) <= INT_MAX) {
                return NL_FAIL(NL_ERR_ARG,
                               "matrix of order %d on %d x %d ranks: more than 2^31 - 1 elements "
                               "a rank, expected at least %d ranks",
                               n, grid->rows, grid->cols, ranks);
            }
        }
        return NL_FAIL(NL_ERR_ARG,
                       "matrix of order %d in blocks of %d: more than 2^31 - 1 elements a rank "
                       "even on %d ranks",
                       n, nb, most_ranks);
    }
    return NL_ERR_ARG;
}

int nl_leading_dimension(int rows, nl_precision precision)
{
    const size_t line = 64;
    const size_t bytes = nl_precision_bytes(precision);
    const size_t lines = ((size_t)rows * bytes + line - 1) / line;

    return (int)((lines | 1) * line / bytes);
}

/* Of a lower half: as its columns are written. */
static void *take_memory(nl_dmat *a, bool lower)
{
    const size_t count = (size_t)a->ld * (size_t)a->local_cols;
    const size_t size = nl_precision_bytes(a->precision);

    return lower ? nl_map_zeros(count, size, &a->mapped) : nl_calloc(count, size);
}

static nl_status create(const nl_grid *grid, int n, int nb, nl_precision precision, bool lower,
                        nl_dmat **out)
{
    const int zero = 0;
    int info = 0;
    nl_status status = check_size(grid, n, nb, lower);
    nl_dmat *a = NULL;

    *out = NULL;
    if (status != NL_OK) {
        return status;
    }
    a = calloc(1, sizeof *a);
    if (a == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for a matrix");
        goto done;
    }
    *a = (nl_dmat){.grid = grid, .precision = precision, .n = n, .nb = nb};
    a->local_rows = nl_local_extent(n, nb, grid->row, grid->rows);
    a->local_cols = nl_local_extent(n, nb, grid->col, grid->cols);
    a->ld = nl_leading_dimension(a->local_rows, precision);
    if (!lower && (double)a->ld * a->local_cols > INT_MAX) {
        a->ld = nl_larger(a->local_rows, 1);
    }
    descinit_(a->desc, &n, &n, &nb, &nb, &zero, &zero, &grid->context, &a->ld, &info);
    if (info != 0) {
        status = NL_FAIL(NL_ERR_LINALG, "descinit: info = %d", info);
        goto done;
    }
    a->local = take_memory(a, lower);
    if (a->local == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for %d x %d elements of a matrix of order %d",
                         a->local_rows, a->local_cols, n);
    }

done:
    status = nl_agree(grid->comm, status);
    if (status != NL_OK) {
        nl_dmat_destroy(&a);
    }
    *out = a;
    return status;
}

nl_status nl_dmat_create(const nl_grid *grid, int n, int nb, nl_precision precision, nl_dmat **out)
{
    return create(grid, n, nb, precision, false, out);
}

nl_status nl_dmat_create_lower(const nl_grid *grid, int n, int nb, nl_precision precision,
                               nl_dmat **out)
{
    return create(grid, n, nb, precision, true, out);
}

double nl_dmat_lower_bytes(int n, int nb, nl_precision precision, int grid_rows, int grid_cols)
{
    const double blocks = ceil((double)n / nb);
    const double rows = fmin(ceil(blocks / grid_rows) * nb, n);
    const double cols = fmin(ceil(blocks / grid_cols) * nb, n);

    return cols * (0.5 * (rows + nb) * (double)nl_precision_bytes(precision) + page);
}

void nl_dmat_destroy(nl_dmat **a)
{
    if (*a != NULL) {
        if ((*a)->mapped > 0) {
            nl_unmap((*a)->local, (*a)->mapped);
        } else {
            free((*a)->local);
        }
        free(*a);
        *a = NULL;
    }
}

int nl_dmat_first_row(const nl_dmat *a, int global_col)
{
    return nl_local_extent(global_col, a->nb, a->grid->row, a->grid->rows);
}

static void *column(const nl_dmat *a, int local_col)
{
    size_t offset = (size_t)a->ld * (size_t)local_col * nl_precision_bytes(a->precision);

    return (char *)a->local + offset;
}

void nl_dmat_fill(nl_dmat *a, nl_entry_fn *entry, const void *context)
{
    memset(a->local, 0, (size_t)a->ld * (size_t)a->local_cols * nl_precision_bytes(a->precision));
    for (int c = 0; c < a->local_cols; c++) {
        int j = nl_dmat_global_col(a, c);

        for (int r = nl_dmat_first_row(a, j); r < a->local_rows; r++) {
            double value = entry(nl_dmat_global_row(a, r), j, context);

            if (a->precision == NL_DOUBLE) {
                ((double *)column(a, c))[r] = value;
            } else {
                ((float *)column(a, c))[r] = (float)value;
            }
        }
    }
}

size_t nl_dmat_packed_count(const nl_dmat *a)
{
    size_t count = 0;

    for (int c = 0; c < a->local_cols; c++) {
        count += (size_t)(a->local_rows - nl_dmat_first_row(a, nl_dmat_global_col(a, c)));
    }
    return count;
}

void nl_dmat_pack(const nl_dmat *a, void *packed)
{
    const size_t size = nl_precision_bytes(a->precision);
    char *to = packed;

    for (int c = 0; c < a->local_cols; c++) {
        const int first = nl_dmat_first_row(a, nl_dmat_global_col(a, c));
        const size_t bytes = (size_t)(a->local_rows - first) * size;

        memcpy(to, (const char *)column(a, c) + (size_t)first * size, bytes);
        to += bytes;
    }
}

void nl_dmat_unpack(nl_dmat *a, int packed_order, const void *packed)
{
    const size_t size = nl_precision_bytes(a->precision);
    const char *from = packed;

    for (int c = 0; c < a->local_cols; c++) {
        const int first = nl_dmat_first_row(a, nl_dmat_global_col(a, c));
        const size_t rows = (size_t)(a->local_rows - first);

        memcpy((char *)column(a, c) + (size_t)first * size, from, rows * size);
        from += (rows + (size_t)(packed_order - a->n)) * size;
    }
}

void nl_dmat_map(nl_dmat *a, nl_map_fn *map, const void *context)
{
    for (int c = 0; c < a->local_cols; c++) {
        void *values = column(a, c);
        int j = nl_dmat_global_col(a, c);

        for (int r = nl_dmat_first_row(a, j); r < a->local_rows; r++) {
            double value = map(nl_dmat_global_row(a, r), j,
                               nl_element(values, (size_t)r, a->precision), context);

            if (a->precision == NL_DOUBLE) {
                ((double *)values)[r] = value;
            } else {
                ((float *)values)[r] = (float)value;
            }
        }
    }
}

static double sum_of_squares(const nl_dmat *a, int row, int col)
{
    const size_t from = (size_t)col * (size_t)a->ld + (size_t)row;
    const size_t count = (size_t)(a->local_rows - row);

    return a->precision == NL_DOUBLE ? nl_squares_double(count, (const double *)a->local + from)
                                     : nl_squares_single(count, (const float *)a->local + from);
}

/* Column by column, then over the columns: the error of a sum of positive terms is then below
 * (local_rows + local_cols) / 2 eps of it, a fiftieth of what nl_spectrum_plausible() allows
 * in double and nothing beside what it allows in single precision. */
static void local_moments(const nl_dmat *a, double moments[2])
{
    moments[0] = 0.0;
    moments[1] = 0.0;
    for (int c = 0; c < a->local_cols; c++) {
        const void *values = column(a, c);
        int j = nl_dmat_global_col(a, c);
        int r = nl_dmat_first_row(a, j);

        if (r < a->local_rows && nl_dmat_global_row(a, r) == j) {
            double diagonal = nl_element(values, (size_t)r, a->precision);

            moments[0] += diagonal;
            moments[1] += diagonal * diagonal;
            r++;
        }
        if (r < a->local_rows) {
            moments[1] += 2.0 * sum_of_squares(a, r, c);
        }
    }
}

nl_status nl_dmat_moments(const nl_dmat *a, double *trace, double *frobenius2)
{
    int ranks = a->grid->rows * a->grid->cols;
    double moments[2] = {0};
    double(*parts)[2] = nl_calloc((size_t)ranks, sizeof *parts);
    nl_status status = nl_agree(
        a->grid->comm, parts != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "no memory for sums"));

    *trace = 0.0;
    *frobenius2 = 0.0;
    if (status != NL_OK) {
        goto done;
    }
    local_moments(a, moments);
    /* summed by every rank in the same order: the same bits everywhere, whatever the MPI library */
    MPI_Allgather(moments, 2, MPI_DOUBLE, parts, 2, MPI_DOUBLE, a->grid->comm);
    for (int rank = 0; rank < ranks; rank++) {
        *trace += parts[rank][0];
        *frobenius2 += parts[rank][1];
    }

done:
    free(parts);
    return status;
}

/* Both halves of the full matrix from the part of column j that one process row holds. */
static void place_column(const nl_dmat *a, int grid_row, int rows, int j, const void *values,
                         double *full)
{
    for (int r = 0; r < rows; r++) {
        int i = global_index(r, a->nb, grid_row, a->grid->rows);

        if (i >= j) {
            full[(size_t)i * (size_t)a->n + (size_t)j] =
                nl_element(values, (size_t)r, a->precision);
            full[(size_t)j * (size_t)a->n + (size_t)i] =
                nl_element(values, (size_t)r, a->precision);
        }
    }
}

/* Root's side: the columns of one rank after the other, so that no second matrix is needed. */
static void receive_columns(const nl_dmat *a, int rank, void *buffer, double *full)
{
    const nl_grid *grid = a->grid;
    int row = rank / grid->cols; /* row-major */
    int col = rank % grid->cols;
    int rows = nl_local_extent(a->n, a->nb, row, grid->rows);
    int cols = nl_local_extent(a->n, a->nb, col, grid->cols);
    MPI_Datatype type = a->precision == NL_DOUBLE ? MPI_DOUBLE : MPI_FLOAT;

    for (int c = 0; c < cols; c++) {
        const void *values = buffer;

        if (row == grid->row && col == grid->col) {
            values = column(a, c);
        } else {
            MPI_Recv(buffer, rows, type, rank, 0, grid->comm, MPI_STATUS_IGNORE);
        }
        place_column(a, row, rows, global_index(c, a->nb, col, grid->cols), values, full);
    }
}

nl_status nl_dmat_gather(const nl_dmat *a, int root, double *full)
{
    const nl_grid *grid = a->grid;
    bool is_root = grid->row * grid->cols + grid->col == root;
    MPI_Datatype type = a->precision == NL_DOUBLE ? MPI_DOUBLE : MPI_FLOAT;
    void *buffer = nl_calloc(is_root ? (size_t)a->n : 0, sizeof(double));
    nl_status status = buffer != NULL ? NL_OK : NL_FAIL(NL_ERR_NOMEM, "no memory for a column");

    status = nl_agree(grid->comm, status);
    if (status != NL_OK) {
        goto done;
    }
    if (is_root) {
        for (int rank = 0; rank < grid->rows * grid->cols; rank++) {
            receive_columns(a, rank, buffer, full);
        }
    } else {
        for (int c = 0; c < a->local_cols; c++) {
            MPI_Send(column(a, c), a->local_rows, type, root, 0, grid->comm);
        }
    }

done:
    free(buffer);
    return status;
}
