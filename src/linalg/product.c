/** @file product.c  Products with a block-cyclic symmetric matrix, and sums over its grid. */
#include "ntklens/fortran.h"
#include "ntklens/linalg.h"
#include "ntklens/par.h"

#include <stdlib.h>
#include <string.h>

/* What rank after rank gave to my slice. */
static void add_slices(nl_precision precision, void *slice, const void *parts, int length,
                       int ranks)
{
    memcpy(slice, parts, (size_t)length * nl_precision_bytes(precision));
    for (int rank = 1; rank < ranks; rank++) {
        const size_t from = (size_t)rank * (size_t)length;

        for (int k = 0; k < length; k++) {
            if (precision == NL_DOUBLE) {
                ((double *)slice)[k] += ((const double *)parts)[from + (size_t)k];
            } else {
                ((float *)slice)[k] += ((const float *)parts)[from + (size_t)k];
            }
        }
    }
}

static int slice_length(int count, int ranks)
{
    return (count - 1) / ranks + 1;
}

double nl_add_up_scratch(double count, int ranks)
{
    return 2.0 * (count + ranks);
}

/* Not MPI_Allreduce, which promises neither an order nor the same bits everywhere. */
void nl_add_up(MPI_Comm comm, nl_precision precision, void *values, int count, void *scratch)
{
    const size_t bytes = nl_precision_bytes(precision);
    MPI_Datatype type = precision == NL_DOUBLE ? MPI_DOUBLE : MPI_FLOAT;
    char *mine = scratch;
    char *theirs = NULL;
    int ranks = 1;
    int length = 0;

    MPI_Comm_size(comm, &ranks);
    if (ranks == 1) {
        return;
    }
    length = slice_length(count, ranks);
    theirs = mine + (size_t)length * (size_t)ranks * bytes;
    memcpy(mine, values, (size_t)count * bytes);
    MPI_Alltoall(mine, length, type, theirs, length, type, comm);
    add_slices(precision, mine, theirs, length, ranks);
    MPI_Allgather(mine, length, type, theirs, length, type, comm);
    memcpy(values, theirs, (size_t)count * bytes);
}

/* A part at a time: caches hold what is exchanged. */
nl_status nl_grid_sum(const nl_grid *grid, double *values, int count)
{
    enum { at_once = 1 << 16 };
    const int ranks = grid->rows * grid->cols;
    const int most = nl_smaller(count, at_once);
    double *scratch =
        ranks > 1 ? nl_alloc((size_t)nl_add_up_scratch(most, ranks), sizeof *scratch) : NULL;
    nl_status status =
        nl_agree(grid->comm, ranks == 1 || scratch != NULL
                                 ? NL_OK
                                 : NL_FAIL(NL_ERR_NOMEM, "no memory for %d sums", count));

    for (int first = 0; status == NL_OK && ranks > 1 && first < count; first += most) {
        nl_add_up(grid->comm, NL_DOUBLE, values + first, nl_smaller(most, count - first), scratch);
    }
    free(scratch);
    return status;
}

nl_status nl_dmat_diagonal(const nl_dmat *a, double *diagonal)
{
    memset(diagonal, 0, (size_t)a->n * sizeof *diagonal);
    for (int c = 0; c < a->local_cols; c++) {
        const int j = nl_dmat_global_col(a, c);
        const int r = nl_dmat_first_row(a, j);

        if (r < a->local_rows && nl_dmat_global_row(a, r) == j) {
            diagonal[j] = nl_dmat_element(a, r, c);
        }
    }
    return nl_grid_sum(a->grid, diagonal, a->n);
}

/** Scratch of a product. */
typedef struct product {
    const nl_dmat *a;
    int columns;
    const double *x; /* [n x columns] */
    double *y;       /* [n x columns] */
    double *x_rows;  /* owned; [local_rows x columns] of x */
    double *y_rows;  /* owned; the same of y */
    double *panel;   /* owned; [local_rows x nb] in double where the matrix is single */
} product;

static void gather_rows(const nl_dmat *a, int columns, const double *x, double *x_rows)
{
    for (int k = 0; k < columns; k++) {
        for (int r = 0; r < a->local_rows; r++) {
            x_rows[(size_t)k * (size_t)a->ld + (size_t)r] =
                x[(size_t)k * (size_t)a->n + (size_t)nl_dmat_global_row(a, r)];
        }
    }
}

static void scatter_rows(const product *p)
{
    for (int k = 0; k < p->columns; k++) {
        for (int r = 0; r < p->a->local_rows; r++) {
            p->y[(size_t)k * (size_t)p->a->n + (size_t)nl_dmat_global_row(p->a, r)] +=
                p->y_rows[(size_t)k * (size_t)p->a->ld + (size_t)r];
        }
    }
}

NL_VECTOR_CLONES
static void widen(int count, const float *restrict from, double *restrict to)
{
    for (int k = 0; k < count; k++) {
        to[k] = (double)from[k];
    }
}

/* Entries of local rows from r0 on, `width` columns, in double. */
static const double *panel_of(const product *p, int r0, int c0, int width)
{
    const size_t ld = (size_t)p->a->ld;

    if (p->a->precision == NL_DOUBLE) {
        return (const double *)p->a->local + (size_t)c0 * ld + (size_t)r0;
    }
    for (int c = 0; c < width; c++) {
        const size_t at = (size_t)c * ld + (size_t)r0;

        widen(p->a->local_rows - r0, (const float *)p->a->local + (size_t)c0 * ld + at,
              p->panel + at);
    }
    return p->panel + r0;
}

/* The block on the diagonal, of which only the lower half counts. */
static void multiply_diagonal(const product *p, const double *block, int width, int j0)
{
    const double one = 1.0;

    dsymm_("L", "L", &width, &p->columns, &one, block, &p->a->ld, p->x + j0, &p->a->n, &one,
           p->y + j0, &p->a->n, 1, 1);
}

/* What lies below it, and the mirror image of that above. */
static void multiply_below(const product *p, const double *panel, int r0, int width, int j0)
{
    const nl_dmat *a = p->a;
    const int rows = a->local_rows - r0;
    const double one = 1.0;

    dgemm_("N", "N", &rows, &p->columns, &width, &one, panel, &a->ld, p->x + j0, &a->n, &one,
           p->y_rows + r0, &a->ld);
    dgemm_("T", "N", &width, &p->columns, &rows, &one, panel, &a->ld, p->x_rows + r0, &a->ld, &one,
           p->y + j0, &a->n);
}

static void multiply_local(product *p)
{
    const nl_dmat *a = p->a;

    gather_rows(a, p->columns, p->x, p->x_rows);
    for (int c0 = 0; c0 < a->local_cols; c0 += a->nb) {
        const int width = a->local_cols - c0 < a->nb ? a->local_cols - c0 : a->nb;
        const int j0 = nl_dmat_global_col(a, c0);
        int r0 = nl_dmat_first_row(a, j0);
        const double *panel = r0 < a->local_rows ? panel_of(p, r0, c0, width) : NULL;

        if (panel != NULL && nl_dmat_global_row(a, r0) == j0) {
            multiply_diagonal(p, panel, width, j0);
            r0 += width;
            panel += width;
        }
        if (r0 < a->local_rows) {
            multiply_below(p, panel, r0, width, j0);
        }
    }
    scatter_rows(p);
}

#define TEMPLATE "linalg/product_real.h"
#include "ntklens/formats.h"

nl_status nl_dmat_multiply(const nl_dmat *a, int columns, const double *x, double *y)
{
    const size_t rows = (size_t)a->ld;
    product p = {.a = a, .columns = columns, .x = x, .y = y};
    nl_status status = NL_OK;

    memset(y, 0, (size_t)a->n * (size_t)columns * sizeof *y);
    p.x_rows = nl_calloc(rows * (size_t)columns, sizeof *p.x_rows);
    p.y_rows = nl_calloc(rows * (size_t)columns, sizeof *p.y_rows);
    p.panel = nl_calloc(a->precision == NL_DOUBLE ? 0 : rows * (size_t)a->nb, sizeof *p.panel);
    if (p.x_rows == NULL || p.y_rows == NULL || p.panel == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for a product with a matrix of order %d", a->n);
    }
    status = nl_agree(a->grid->comm, status);
    if (status == NL_OK) {
        multiply_local(&p);
        status = nl_grid_sum(a->grid, y, a->n * columns);
    }
    free(p.x_rows);
    free(p.y_rows);
    free(p.panel);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Piece by piece, of a matrix in single precision
 *-------------------------------------------------------------------------------------------*/

enum { piece_rows = 1024 }; /* with a block's columns: stays in cache for the mirror image */

/** Scratch of such a product. */
typedef struct piece_product {
    const nl_dmat *a;
    int columns;
    const double *x; /* [n x columns] */
    double *y;       /* [n x columns] */
    double *x_rows;  /* owned; [ld x columns] of x */
    double *part;    /* owned; [piece_rows x columns] of y */
    double *wide;    /* owned; [most rows of a piece x nb] entries in double */
} piece_product;

static void widen_piece(const piece_product *p, int r0, int rows, int c0, int width)
{
    for (int c = 0; c < width; c++) {
        widen(rows, (const float *)p->a->local + (size_t)(c0 + c) * (size_t)p->a->ld + (size_t)r0,
              p->wide + (size_t)c * (size_t)rows);
    }
}

static void add_part(const piece_product *p, int r0, int rows)
{
    for (int k = 0; k < p->columns; k++) {
        const double *from = p->part + (size_t)k * (size_t)rows;
        double *to = p->y + (size_t)k * (size_t)p->a->n;

        for (int r = 0; r < rows; r++) {
            to[nl_dmat_global_row(p->a, r0 + r)] += from[r];
        }
    }
}

/* Rows r0 .. r0 + rows of a block's columns, and their mirror image. */
static void multiply_piece(const piece_product *p, int r0, int rows, int c0, int width)
{
    const nl_dmat *a = p->a;
    const int j0 = nl_dmat_global_col(a, c0);
    const double one = 1.0;
    const double zero = 0.0;

    widen_piece(p, r0, rows, c0, width);
    dgemm_("N", "N", &rows, &p->columns, &width, &one, p->wide, &rows, p->x + j0, &a->n, &zero,
           p->part, &rows);
    add_part(p, r0, rows);
    dgemm_("T", "N", &width, &p->columns, &rows, &one, p->wide, &rows, p->x_rows + r0, &a->ld, &one,
           p->y + j0, &a->n);
}

static nl_status multiply_pieces(const piece_product *p, const nl_interrupt *interrupt)
{
    const nl_dmat *a = p->a;
    const double one = 1.0;

    for (int c0 = 0; c0 < a->local_cols; c0 += a->nb) {
        const int width = nl_smaller(a->nb, a->local_cols - c0);
        const int j0 = nl_dmat_global_col(a, c0);
        int r0 = nl_dmat_first_row(a, j0);

        if (nl_interrupted(interrupt)) {
            return NL_STOPPED;
        }
        if (r0 < a->local_rows && nl_dmat_global_row(a, r0) == j0) {
            widen_piece(p, r0, width, c0, width);
            dsymm_("L", "L", &width, &p->columns, &one, p->wide, &width, p->x + j0, &a->n, &one,
                   p->y + j0, &a->n, 1, 1);
            r0 += width;
        }
        for (; r0 < a->local_rows; r0 += piece_rows) {
            multiply_piece(p, r0, nl_smaller(piece_rows, a->local_rows - r0), c0, width);
        }
    }
    return NL_OK;
}

nl_status nl_dmat_multiply_pieces(const nl_dmat *a, int columns, const double *x, double *y,
                                  const nl_interrupt *interrupt)
{
    const size_t k = (size_t)columns;
    piece_product p = {.a = a, .columns = columns, .x = x, .y = y};
    nl_status status = NL_OK;

    memset(y, 0, (size_t)a->n * k * sizeof *y);
    p.x_rows = nl_alloc((size_t)a->ld * k, sizeof *p.x_rows);
    p.part = nl_alloc(piece_rows * k, sizeof *p.part);
    p.wide = nl_alloc((size_t)nl_larger(piece_rows, a->nb) * (size_t)a->nb, sizeof *p.wide);
    if (p.x_rows == NULL || p.part == NULL || p.wide == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for a product with a matrix of order %d", a->n);
    }
    status = nl_agree(a->grid->comm, status);
    if (status == NL_OK) {
        gather_rows(a, columns, x, p.x_rows);
        status = nl_agree(a->grid->comm, multiply_pieces(&p, interrupt));
    }
    free(p.x_rows);
    free(p.part);
    free(p.wide);
    return status == NL_OK ? nl_grid_sum(a->grid, y, a->n * columns) : status;
}

nl_status nl_dmat_multiply_vector(const nl_dmat *a, const double *x, double *y)
{
    const size_t bytes = nl_precision_bytes(a->precision);
    void *scratch = nl_calloc(2 * ((size_t)a->n + (size_t)a->ld), bytes);
    nl_status status = NL_OK;

    if (scratch == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "no memory for a product with a matrix of order %d", a->n);
    }
    status = nl_agree(a->grid->comm, status);
    if (status == NL_OK) {
        (a->precision == NL_DOUBLE ? multiply_vector_double : multiply_vector_single)(a, x, scratch,
                                                                                      y);
        status = nl_grid_sum(a->grid, y, a->n);
    }
    free(scratch);
    return status;
}
