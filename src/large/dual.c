/** @file dual.c  The dual of a kernel into block-cyclic storage, by pairs of units. */
#include "dual_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    chunk_samples = 128,   /* of a product: their inputs stay in cache */
    small_tile = 48,       /* inputs of a strip, where the BLAS likes small products */
    large_tile = 192,      /* else */
    most_cross_rows = 1024 /* of layers against each other at a time */
};

/** Which inputs of a layer this rank has rows (columns) of, and where they lie. */
typedef struct local_inputs {
    int count, varying; /* of which vary: the merged one is the last of its layer */
    int *input;         /* owned; [count] ascending */
    int *column;        /* owned; [varying] of what the layer takes */
    int *place;         /* owned; [count x units] local row (column); -1: another rank's */
} local_inputs;

/** Some local rows of a layer, one by one: index in local_inputs, index of the unit, local row. */
typedef struct row_list {
    int count;
    int input[most_cross_rows], unit[most_cross_rows], place[most_cross_rows];
} row_list;

/** A fill, and a layer of it in work.  Owns its arrays, but for the matrix. */
typedef struct dual_fill {
    const nl_dual *dual;       /* borrowed */
    nl_dmat *a;                /* borrowed */
    local_inputs *rows, *cols; /* [layers] */
    int *sample;               /* [samples] those that count */
    void *weight;              /* [samples] s_i of these */
    int tile, lead;            /* inputs of a strip; from one sample's to the next's */
    void *left, *right;        /* factors of a product, a chunk of samples each, in strips */
    int *reach;                /* columns that a strip of rows has products with */
    void *product;
    int product_lead;
    void *signal;         /* [chunk x units] s_i of a layer's units with one of a lower layer */
    void *inputs;         /* [inputs] of one sample */
    nl_fill_watch *watch; /* borrowed */
    long unit;            /* of work, from 1 */
    nl_status status;
} dual_fill;

/* The next unit of work; false: the matrix holds it, or the fill is to end. */
static bool begin_unit(dual_fill *f)
{
    f->unit++;
    return f->status == NL_OK && f->unit > f->watch->done;
}

/* Before what it made is written: is it to be?  A unit that was left is not. */
static bool goes_on(dual_fill *f)
{
    if (f->status == NL_OK && nl_interrupted(f->watch->interrupt)) {
        f->status = NL_STOPPED;
    }
    return f->status == NL_OK;
}

static void end_unit(dual_fill *f)
{
    if (f->status == NL_OK) {
        f->watch->done = f->unit;
        if (f->watch->keep != NULL) {
            f->status = f->watch->keep(f->a, f->unit, f->watch->context);
        }
    }
}

/** Some of a layer's local inputs. */
typedef struct input_range {
    int first, count;
} input_range;

/** The i-th sample of a chunk. */
typedef struct chunk_sample {
    int i, sample;
} chunk_sample;

/* Columns on or left of the diagonal. */
static void set_reach(const dual_fill *f, const local_inputs *rows, const local_inputs *cols)
{
    int reach = 0;

    for (int first = 0; first < rows->count; first += f->tile) {
        const int last = nl_smaller(first + f->tile, rows->count) - 1;

        while (reach < cols->count && cols->input[reach] <= rows->input[last]) {
            reach++;
        }
        f->reach[first / f->tile] = reach;
    }
}

/* The next rows of a layer, from the input and unit *next on; false: there are no more. */
static bool next_rows(const dual_fill *f, int l, int *next, row_list *list)
{
    const local_inputs *rows = &f->rows[l];
    const int units = f->dual->layer[l].units;

    list->count = 0;
    for (; *next < rows->count * units && list->count < most_cross_rows; (*next)++) {
        if (rows->place[*next] >= 0) {
            list->input[list->count] = *next / units;
            list->unit[list->count] = *next % units;
            list->place[list->count++] = rows->place[*next];
        }
    }
    return list->count > 0;
}

#define TEMPLATE "large/dual_real.h"
#include "ntklens/formats.h"

static void free_inputs(local_inputs *list)
{
    free(list->input);
    free(list->column);
    free(list->place);
}

typedef int global_fn(const nl_dmat *a, int local);

/* The inputs of which local rows (columns) hold anything.  Rows of an input lie side by side. */
static nl_status list_inputs(const nl_dmat *a, const nl_dual_layer *d, int extent,
                             global_fn *global, local_inputs *out)
{
    const size_t inputs = (size_t)d->inputs;
    const size_t units = (size_t)d->units;
    const int end = d->first + d->inputs * d->units;

    out->input = nl_calloc(inputs, sizeof *out->input);
    out->column = nl_calloc(inputs, sizeof *out->column);
    out->place = nl_calloc(inputs * units, sizeof *out->place);
    if (out->input == NULL || out->column == NULL || out->place == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the rows of a dual kernel");
    }
    for (int local = 0; local < extent; local++) {
        const int row = global(a, local);
        const int input = units > 0 && row < end ? (row - d->first) / d->units : 0;

        if (row < d->first || row >= end) {
            continue;
        }
        if (out->count == 0 || out->input[out->count - 1] != input) {
            for (size_t k = 0; k < units; k++) {
                out->place[(size_t)out->count * units + k] = -1;
            }
            if (input < d->varying) {
                out->column[out->varying++] = d->column[input];
            }
            out->input[out->count++] = input;
        }
        out->place[(size_t)(out->count - 1) * units + (size_t)((row - d->first) % d->units)] =
            local;
    }
    return NL_OK;
}

static nl_status list_all(dual_fill *f)
{
    const nl_dmat *a = f->a;
    nl_status status = NL_OK;

    f->rows = calloc((size_t)f->dual->layers, sizeof *f->rows);
    f->cols = calloc((size_t)f->dual->layers, sizeof *f->cols);
    if (f->rows == NULL || f->cols == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for the rows of a dual kernel");
    }
    for (int l = 0; status == NL_OK && l < f->dual->layers; l++) {
        const nl_dual_layer *d = &f->dual->layer[l];

        status = list_inputs(a, d, a->local_rows, nl_dmat_global_row, &f->rows[l]);
        if (status == NL_OK) {
            status = list_inputs(a, d, a->local_cols, nl_dmat_global_col, &f->cols[l]);
        }
    }
    return status;
}

/* Scratch for the largest of all products. */
static nl_status allocate(dual_fill *f)
{
    const nl_dual *dual = f->dual;
    const size_t size = nl_precision_bytes(dual->precision);
    int rows = 1;
    int cols = 1;
    int units = 1;
    size_t strip = 0;

    for (int l = 0; l < dual->layers; l++) {
        const int products = nl_smaller(most_cross_rows, f->rows[l].count * dual->layer[l].units);

        rows = nl_larger(rows, nl_larger(f->rows[l].count, products));
        cols = nl_larger(cols, f->cols[l].count);
        units = nl_larger(units, dual->layer[l].units);
    }
    f->tile = dual->pieces ? small_tile : large_tile;
    f->lead = nl_leading_dimension(f->tile, dual->precision);
    f->product_lead = nl_leading_dimension(rows, dual->precision);
    strip = (size_t)f->lead * chunk_samples;
    f->sample = nl_calloc((size_t)dual->samples, sizeof *f->sample);
    f->weight = nl_calloc((size_t)dual->samples, size);
    f->left = nl_calloc(strip * (size_t)((rows + f->tile - 1) / f->tile), size);
    f->right = nl_calloc(strip * (size_t)((cols + f->tile - 1) / f->tile), size);
    f->reach = nl_calloc((size_t)rows, sizeof *f->reach);
    f->product = nl_calloc((size_t)f->product_lead * (size_t)cols, size);
    f->signal = nl_calloc((size_t)units * chunk_samples, size);
    f->inputs = nl_calloc((size_t)rows, size);
    return f->sample != NULL && f->weight != NULL && f->left != NULL && f->right != NULL &&
                   f->reach != NULL && f->product != NULL && f->signal != NULL && f->inputs != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for products of a dual kernel");
}

static void release(dual_fill *f)
{
    for (int l = 0; l < f->dual->layers; l++) {
        if (f->rows != NULL) {
            free_inputs(&f->rows[l]);
        }
        if (f->cols != NULL) {
            free_inputs(&f->cols[l]);
        }
    }
    free(f->rows);
    free(f->cols);
    free(f->sample);
    free(f->weight);
    free(f->left);
    free(f->right);
    free(f->reach);
    free(f->product);
    free(f->signal);
    free(f->inputs);
}

nl_status nl_dual_fill(nl_dmat *a, const nl_dual *dual, nl_fill_watch *watch)
{
    nl_fill_watch nobody = {0};
    dual_fill f = {.dual = dual, .a = a, .watch = watch != NULL ? watch : &nobody};
    row_list list = {0};
    nl_status status = NL_OK;

    if (a->n != dual->order || a->precision != dual->precision) {
        return NL_FAIL(NL_ERR_ARG, "dual kernel of order %d: a matrix of order %d does not fit",
                       dual->order, a->n);
    }
    if (f.watch->done == 0) {
        memset(a->local, 0,
               (size_t)a->ld * (size_t)a->local_cols * nl_precision_bytes(a->precision));
    }
    if (dual->blocks != NULL) {
        return nl_dual_blocks_fill(a, dual->blocks, f.watch);
    }
    status = list_all(&f);
    if (status == NL_OK) {
        status = allocate(&f);
    }
    if (status == NL_OK) {
        if (a->precision == NL_DOUBLE) {
            fill_double(&f, &list);
        } else {
            fill_single(&f, &list);
        }
        status = f.status;
    }
    release(&f);
    return status;
}
