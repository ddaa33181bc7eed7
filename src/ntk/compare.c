/** @file compare.c  How far two kernels lie from each other. */
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <stdlib.h>
#include <string.h>

/* Sums side by side, which fill vectors: two of them, so that none waits for the one before. */
enum { lanes = 16 };

/** Half of a column's sums: entry k of the column belongs to lane k mod `lanes`, whatever the
 * tiles, so that they are added up in the same order. */
typedef struct column_sums {
    double aa[lanes], bb[lanes], difference2[lanes], gain[lanes];
} column_sums;

/** A comparison in work.  Sums go down each column, then over the columns. */
typedef struct comparison {
    const nl_dmat *a;
    column_sums *column; /* owned; [local_cols] */
} comparison;

static inline void add(column_sums *sums, int lane, double x, double y, double times)
{
    const double difference = x - y;

    sums->aa[lane] += times * x * x;
    sums->bb[lane] += times * y * y;
    sums->difference2[lane] += times * difference * difference;
    sums->gain[lane] += times * difference * (x + y);
}

static inline __attribute__((always_inline)) void add_entries(column_sums *to,
                                                              nl_precision precision, int row,
                                                              int count, const void *x,
                                                              const void *y)
{
    column_sums sums = *to;
    size_t k = 0;
    const size_t end = (size_t)count;

    for (; k < end && ((size_t)row + k) % lanes != 0; k++) {
        add(&sums, (int)(((size_t)row + k) % lanes), nl_element(x, k, precision),
            nl_element(y, k, precision), 1.0);
    }
    for (; k + lanes <= end; k += lanes) {
        for (int lane = 0; lane < lanes; lane++) {
            add(&sums, lane, nl_element(x, k + (size_t)lane, precision),
                nl_element(y, k + (size_t)lane, precision), 1.0);
        }
    }
    for (int lane = 0; k < end; k++, lane++) {
        add(&sums, lane, nl_element(x, k, precision), nl_element(y, k, precision), 1.0);
    }
    *to = sums;
}

NL_VECTOR_CLONES
static void add_doubles(column_sums *to, int row, int count, const void *x, const void *y)
{
    add_entries(to, NL_DOUBLE, row, count, x, y);
}

NL_VECTOR_CLONES
static void add_singles(column_sums *to, int row, int count, const void *x, const void *y)
{
    add_entries(to, NL_SINGLE, row, count, x, y);
}

static const void *stored(const nl_dmat *a, int row, int col)
{
    const size_t at = (size_t)col * (size_t)a->ld + (size_t)row;

    return (const char *)a->local + at * nl_precision_bytes(a->precision);
}

/* A run of entries down a column, the first in local row `row`.  Those off the diagonal stand in
 * the matrix twice, that on it once. */
static void add_run(const comparison *all, int col, int row, int count, const void *y)
{
    const nl_dmat *a = all->a;
    const void *x = stored(a, row, col);
    column_sums *to = &all->column[col];

    if (nl_dmat_global_row(a, row) == nl_dmat_global_col(a, col)) {
        add(to, row % lanes, nl_element(x, 0, a->precision), nl_element(y, 0, a->precision), -0.5);
    }
    (a->precision == NL_DOUBLE ? add_doubles : add_singles)(to, row, count, x, y);
}

static void take_tile(int row, int rows, int col, int cols, const void *values, void *context)
{
    const comparison *all = context;
    const nl_dmat *a = all->a;
    const size_t size = nl_precision_bytes(a->precision);

    for (int c = 0; c < cols; c++) {
        const int j = nl_dmat_global_col(a, col + c);
        const int first = nl_dmat_first_row(a, j);
        const int from = first > row ? first : row;
        const size_t here = (size_t)c * (size_t)rows + (size_t)(from - row);

        if (from < row + rows) {
            add_run(all, col + c, from, row + rows - from, (const char *)values + here * size);
        }
    }
}

/** Where the columns of packed entries begin. */
typedef struct packing {
    const nl_dmat *layout;
    size_t *start; /* owned; [local_cols] */
    char *packed;
} packing;

static nl_status list_columns(const nl_dmat *layout, void *packed, packing *p)
{
    size_t at = 0;

    *p = (packing){.layout = layout, .packed = packed};
    p->start = nl_calloc((size_t)layout->local_cols, sizeof *p->start);
    if (p->start == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for %d columns", layout->local_cols);
    }
    for (int c = 0; c < layout->local_cols; c++) {
        p->start[c] = at;
        at +=
            (size_t)(layout->local_rows - nl_dmat_first_row(layout, nl_dmat_global_col(layout, c)));
    }
    return NL_OK;
}

static void pack_tile(int row, int rows, int col, int cols, const void *values, void *context)
{
    const packing *p = context;
    const size_t size = nl_precision_bytes(p->layout->precision);

    for (int c = 0; c < cols; c++) {
        const int first = nl_dmat_first_row(p->layout, nl_dmat_global_col(p->layout, col + c));
        const int from = first > row ? first : row;
        const size_t here = (size_t)c * (size_t)rows + (size_t)(from - row);

        if (from < row + rows) {
            memcpy(p->packed + (p->start[col + c] + (size_t)(from - first)) * size,
                   (const char *)values + here * size, (size_t)(row + rows - from) * size);
        }
    }
}

nl_status nl_kernel_pack(const nl_dmat *layout, nl_kernel_spec spec, const nl_kernel_input *input,
                         void *packed)
{
    packing p = {0};
    nl_status status = list_columns(layout, packed, &p);

    if (status == NL_OK) {
        status = nl_kernel_for_each_tile(layout, spec, input, pack_tile, &p);
    }
    free(p.start);
    return status;
}

static void take_packed(const comparison *all, const void *packed)
{
    const nl_dmat *a = all->a;
    const char *next = packed;

    for (int c = 0; c < a->local_cols; c++) {
        const int j = nl_dmat_global_col(a, c);
        const int first = nl_dmat_first_row(a, j);
        const int count = a->local_rows - first;

        if (count > 0) {
            add_run(all, c, first, count, next);
            next += (size_t)count * nl_precision_bytes(a->precision);
        }
    }
}

static nl_status begin(const nl_dmat *a, comparison *all)
{
    *all = (comparison){.a = a};
    all->column = nl_calloc((size_t)a->local_cols, sizeof *all->column);
    return nl_agree(
        a->grid->comm,
        all->column != NULL
            ? NL_OK
            : NL_FAIL(NL_ERR_NOMEM, "out of memory for sums over %d columns", a->local_cols));
}

static nl_status end(comparison *all, nl_kernel_pair *out)
{
    double sums[4] = {0};
    nl_status status = NL_OK;

    for (int c = 0; c < all->a->local_cols; c++) {
        for (int lane = 0; lane < lanes; lane++) {
            sums[0] += 2.0 * all->column[c].aa[lane];
            sums[1] += 2.0 * all->column[c].bb[lane];
            sums[2] += 2.0 * all->column[c].difference2[lane];
            sums[3] += 2.0 * all->column[c].gain[lane];
        }
    }
    status = nl_grid_sum(all->a->grid, sums, 4);
    *out = (nl_kernel_pair){sums[0], sums[1], sums[2], sums[3]};
    free(all->column);
    return status;
}

nl_status nl_kernel_compare(const nl_dmat *a, nl_kernel_spec spec, const nl_kernel_input *other,
                            nl_kernel_pair *out)
{
    comparison all = {0};
    nl_status status = begin(a, &all);

    *out = (nl_kernel_pair){NAN, NAN, NAN, NAN};
    if (status == NL_OK) {
        status = nl_agree(a->grid->comm, nl_kernel_for_each_tile(a, spec, other, take_tile, &all));
    }
    if (status != NL_OK) {
        free(all.column);
        return status;
    }
    return end(&all, out);
}

nl_status nl_kernel_compare_packed(const nl_dmat *a, const void *packed, nl_kernel_pair *out)
{
    comparison all = {0};
    nl_status status = begin(a, &all);

    *out = (nl_kernel_pair){NAN, NAN, NAN, NAN};
    if (status != NL_OK) {
        free(all.column);
        return status;
    }
    take_packed(&all, packed);
    return end(&all, out);
}

double nl_kernel_pair_change(const nl_kernel_pair *pair)
{
    return sqrt(pair->difference2 / pair->bb);
}

double nl_kernel_pair_distance(const nl_kernel_pair *pair)
{
    const double a = sqrt(pair->aa);
    const double b = sqrt(pair->bb);
    const double longer = pair->gain / (a + b); /* |A| - |B| */

    return (pair->difference2 - longer * longer) / (2.0 * a * b);
}
