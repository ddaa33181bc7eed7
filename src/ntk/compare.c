/** @file compare.c  How far two kernels lie from each other. */
#include "ntklens/ntk.h"
#include "ntklens/par.h"

#include <stdlib.h>

/** A comparison in work.  Sums go down each column, whatever the tiles, then over the columns. */
typedef struct comparison {
    const nl_dmat *a;
    nl_kernel_pair *column; /* owned; [local_cols] */
} comparison;

static void add(nl_kernel_pair *sums, double x, double y, double times)
{
    const double difference = x - y;

    sums->aa += times * x * x;
    sums->bb += times * y * y;
    sums->difference2 += times * difference * difference;
    sums->gain += times * difference * (x + y);
}

static double element(const void *values, size_t at, nl_precision precision)
{
    return precision == NL_DOUBLE ? ((const double *)values)[at] : ((const float *)values)[at];
}

/* Entries off the diagonal stand in the matrix twice. */
static void take_tile(int row, int rows, int col, int cols, const void *values, void *context)
{
    const comparison *all = context;
    const nl_dmat *a = all->a;

    for (int c = 0; c < cols; c++) {
        const int j = nl_dmat_global_col(a, col + c);
        const int first = nl_dmat_first_row(a, j);
        const size_t stored = (size_t)(col + c) * (size_t)a->ld;
        nl_kernel_pair *sums = &all->column[col + c];

        for (int r = first > row ? first : row; r < row + rows; r++) {
            const size_t here = (size_t)c * (size_t)rows + (size_t)(r - row);
            const bool diagonal = r == first && nl_dmat_global_row(a, r) == j;

            add(sums, element(a->local, stored + (size_t)r, a->precision),
                element(values, here, a->precision), diagonal ? 1.0 : 2.0);
        }
    }
}

static void take_entries(const comparison *all, nl_entry_fn *entry, const void *context)
{
    const nl_dmat *a = all->a;

    for (int c = 0; c < a->local_cols; c++) {
        const int j = nl_dmat_global_col(a, c);
        const size_t stored = (size_t)c * (size_t)a->ld;

        for (int r = nl_dmat_first_row(a, j); r < a->local_rows; r++) {
            const int i = nl_dmat_global_row(a, r);

            add(&all->column[c], element(a->local, stored + (size_t)r, a->precision),
                entry(i, j, context), i == j ? 1.0 : 2.0);
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
        sums[0] += all->column[c].aa;
        sums[1] += all->column[c].bb;
        sums[2] += all->column[c].difference2;
        sums[3] += all->column[c].gain;
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
        status = nl_agree(a->grid->comm, nl_kernel_walk(a, spec, other, take_tile, &all));
    }
    if (status != NL_OK) {
        free(all.column);
        return status;
    }
    return end(&all, out);
}

nl_status nl_kernel_compare_entries(const nl_dmat *a, nl_entry_fn *entry, const void *context,
                                    nl_kernel_pair *out)
{
    comparison all = {0};
    nl_status status = begin(a, &all);

    *out = (nl_kernel_pair){NAN, NAN, NAN, NAN};
    if (status != NL_OK) {
        free(all.column);
        return status;
    }
    take_entries(&all, entry, context);
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
