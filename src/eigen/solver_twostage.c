/** @file solver_twostage.c  Eigenvalues on a grid of ranks, or on one, by way of a band matrix
 * (Bischof, Lang, Sun 2000): the ranks reduce the matrix to a band together, one of them goes on
 * from there (tridiagonal.c).
 *
 * All but a few per cent of the operations are products of the local part with panels of a few
 * dozen columns.  Panels travel to all ranks, which factor them alike: two sums over the grid a
 * panel are all the communication there is.  What a panel does to the rest of the matrix is put off
 * until the next panel is known, so that the rest is walked over once for both. */
#include "solver_twostage.h"
#include "solver_work.h"
#include "tridiagonal.h"

#include "ntklens/blas.h"
#include "ntklens/fortran.h"
#include "ntklens/par.h"

#include <string.h>

/* Largest side of a tile.  It stays in the second-level cache from its update to its products, and
 * all three are small enough for OpenBLAS not to copy their factors (gemm.c). */
enum { tile_side = 96, square_side = 48 }; /* at most; on the diagonal both halves are updated */

/** A reduction under way.  Arrays are of the matrix's precision, column-major, and parts of one
 *  work space. */
typedef struct reduction {
    nl_dmat *a;
    int b;              /* columns of a panel, off-diagonals of the band */
    int first, rows;    /* what is left behind the panel: from global row `first`, this many */
    int count;          /* reflectors of the panel: min(b, rows) */
    int pending;        /* those of the last one, which the rest of the matrix has yet to see */
    int row_ld, col_ld; /* local rows and local columns, at least 1 */
    void *panel, *z;    /* [n x b] at most, the same on every rank */
    void *t, *m, *work; /* [b x b] */
    void *at_rows;      /* pending V, then W, where local rows are: [row_ld x 2 b] */
    void *at_cols;      /* pending W, then V, where local columns are: [col_ld x 2 b] */
    void *v_rows;       /* V, transposed, where local rows are: [b x row_ld] */
    void *v_cols;       /* V where local columns are: [col_ld x b] */
    void *z_rows;       /* local part of A V, by columns: [row_ld x b] */
    void *z_cols;       /* and by symmetry, transposed: [b x col_ld] */
    void *scratch;      /* of sums over the grid */
    void *band;         /* [3 b x (n + 2 b)], as nl_band_to_tridiagonal() takes it */
    void *diagonal, *off_diagonal; /* [n] */
    void *row_of, *col_of;         /* int: global indices of local rows, of local columns */
} reduction;

/* Points the parts into the work space; its length in elements. */
static double lay_out(reduction *r, int n, int ranks, nl_precision precision, void *elements)
{
    const double square = (double)r->b * r->b;
    const double panel = (double)n * r->b;
    const double rows = (double)r->row_ld * r->b;
    const double cols = (double)r->col_ld * r->b;
    const struct {
        void **part;
        double length;
    } parts[] = {{&r->panel, panel},
                 {&r->z, panel},
                 {&r->t, square},
                 {&r->m, square},
                 {&r->work, square},
                 {&r->at_rows, 2.0 * rows},
                 {&r->at_cols, 2.0 * cols},
                 {&r->v_rows, rows},
                 {&r->v_cols, cols},
                 {&r->z_rows, rows},
                 {&r->z_cols, cols},
                 {&r->scratch, nl_add_up_scratch(panel, ranks)},
                 {&r->band, 3.0 * r->b * (n + 2.0 * r->b)},
                 {&r->diagonal, n},
                 {&r->off_diagonal, n},
                 {&r->row_of, r->row_ld},
                 {&r->col_of, r->col_ld}};
    double length = 0.0;

    for (size_t k = 0; k < NL_COUNT(parts); k++) {
        if (elements != NULL) {
            *parts[k].part = (char *)elements + (size_t)length * nl_precision_bytes(precision);
        }
        length += parts[k].length;
    }
    return length;
}

/* Local columns of the first `count` global ones; nl_dmat_first_row() says it of rows. */
static int local_cols_before(const nl_dmat *a, int count)
{
    return nl_local_extent(count, a->nb, a->grid->col, a->grid->cols);
}

/* Where the local rows, or columns, from k on stop to follow each other globally. */
static int run_end(const nl_dmat *a, int k, int end)
{
    return nl_smaller((k / a->nb + 1) * a->nb, end);
}

/** A rectangle of local elements that lie below the diagonal, or a square on it. */
typedef void visit_part(const reduction *r, int row, int rows, int col, int cols, bool diagonal);

/* Where the square on the diagonal ends that local column `col` belongs to: a block of the matrix,
 * or its even part, always the same. */
static int square_end(int nb, int col)
{
    const int parts = (nb + square_side - 1) / square_side;
    const int within = col % nb;
    int part = within * parts / nb;

    while (nb * part / parts <= within) {
        part++;
    }
    return col - within + nb * part / parts;
}

/* Local columns col to col_end, rows up to row_end, as few large rectangles: what lies below the
 * right half is one, both halves go the same way. */
static void walk_lower_half(const reduction *r, int col, int col_end, int row_end,
                            visit_part *visit)
{
    const nl_dmat *a = r->a;
    const int end = square_end(a->nb, col);
    int row = 0;
    int middle = (col + col_end) / 2 / a->nb * a->nb;

    if (col >= col_end) {
        return;
    }
    row = nl_dmat_first_row(a, nl_dmat_global_col(a, col));
    if (row >= row_end) {
        return;
    }
    if (col_end <= end) {
        const int cols = col_end - col;

        if (nl_dmat_global_row(a, row) == nl_dmat_global_col(a, col)) {
            visit(r, row, cols, col, cols, true);
            row += cols;
        }
        if (row < row_end) {
            visit(r, row, row_end - row, col, cols, false);
        }
        return;
    }
    middle = middle > col ? middle : end;
    row = nl_dmat_first_row(a, nl_dmat_global_col(a, middle));
    row = row < row_end ? row : row_end;
    walk_lower_half(r, col, middle, row, visit);
    if (row < row_end) {
        visit(r, row, row_end - row, col, middle - col, false);
    }
    walk_lower_half(r, middle, col_end, row_end, visit);
}

#define TEMPLATE "eigen/twostage_real.h"
#include "ntklens/formats.h"

/* Asked for in inner loops. */
static void list_indices(reduction *r)
{
    int *row_of = r->row_of;
    int *col_of = r->col_of;

    for (int k = 0; k < r->a->local_rows; k++) {
        row_of[k] = nl_dmat_global_row(r->a, k);
    }
    for (int k = 0; k < r->a->local_cols; k++) {
        col_of[k] = nl_dmat_global_col(r->a, k);
    }
}

static reduction prepare(int n, nl_precision precision, int local_rows, int local_cols)
{
    return (reduction){.b = nl_band_width(n, precision),
                       .row_ld = nl_leading_dimension(local_rows, precision),
                       .col_ld = nl_leading_dimension(local_cols, precision)};
}

double nl_twostage_workspace(int n, int nb, nl_precision precision, int rows, int cols)
{
    reduction r =
        prepare(n, precision, nl_local_extent(n, nb, 0, rows), nl_local_extent(n, nb, 0, cols));

    return (lay_out(&r, n, rows * cols, precision, NULL) + n) *
           (double)nl_precision_bytes(precision);
}

/* Sweeps and bisection on one rank, panels on each: n^2 b.  From solves of order 2000 to 20,000 on
 * 1 and 2 ranks: twice the time of two less that of one. */
double nl_twostage_serial(int n, nl_precision precision)
{
    const double per_column = 48.0;

    return per_column * nl_band_width(n, precision) * (double)n * n;
}

nl_status nl_twostage_eigenvalues(nl_dmat *a, double *ascending)
{
    const int ranks = a->grid->rows * a->grid->cols;
    reduction r = prepare(a->n, a->precision, a->local_rows, a->local_cols);
    nl_work work = {0};
    nl_status status =
        nl_work_create(a, "twostage", lay_out(&r, a->n, ranks, a->precision, NULL), &work);

    if (status != NL_OK) {
        return status;
    }
    r.a = a;
    (void)lay_out(&r, a->n, ranks, a->precision, work.elements);
    list_indices(&r);
    if (a->precision == NL_DOUBLE) {
        full_to_band_double(&r);
    } else {
        full_to_band_single(&r);
    }
    if (nl_grid_root(a->grid)) {
        const nl_vectors vectors = nl_vectors_in_use();

        nl_band_to_tridiagonal(vectors, a->n, r.b, a->precision, r.band, r.diagonal,
                               r.off_diagonal);
        nl_tridiagonal_eigenvalues(vectors, a->n, a->precision, r.diagonal, r.off_diagonal,
                                   work.eigenvalues);
    }
    MPI_Bcast(work.eigenvalues, a->n, a->precision == NL_DOUBLE ? MPI_DOUBLE : MPI_FLOAT, 0,
              a->grid->comm);
    status = nl_work_finish(a, "twostage", 0, &work, ascending);
    nl_work_free(&work);
    return status;
}
