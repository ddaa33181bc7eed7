/** @file dual_blocks.c  Duals by rows of the Jacobian. */
#include "dual_blocks.h"

#include "ntklens/gradients.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of J at a time: enough for products to run at speed, and no more than so many bytes. */
static const double most_rows = 256.0;
static const double most_bytes = 64e6;

struct nl_dual_blocks {
    nl_kernel_input input; /* what it has is borrowed */
    nl_kernel_spec spec;
    nl_precision precision;
    int outputs;   /* rows of a sample */
    int order;     /* trained parameters */
    size_t *place; /* owned; [order] where they lie */
    double *root;  /* owned; [order] roots of the learning rates; NULL: they do not count */
};

/** Rows (columns) that this rank has. */
typedef struct local_rows {
    int count, lead;
    int *global; /* owned; [count] */
    void *j;     /* owned; [lead x rows of J], column-major */
} local_rows;

/** A fill at work. */
typedef struct blocks_fill {
    const nl_dual_blocks *blocks;
    nl_dmat *a;
    bool pieces;
    bool square; /* columns are the rows */
    local_rows rows, cols;
    void *j;   /* owned; [rows of J x net->size] of a panel */
    int depth; /* rows of J that it holds */
} blocks_fill;

static int rows_of_a_sample(const nl_net *net, nl_kernel_spec spec)
{
    return spec.kind == NL_KERNEL_FULL ? net->spec.outputs : 1;
}

/* Samples whose rows of J are held at a time: a function of shapes alone. */
static int panel_of(const nl_net *net, nl_kernel_spec spec, nl_precision precision, int samples)
{
    const double of_sample = rows_of_a_sample(net, spec);
    const double row = (double)net->size * (double)nl_precision_bytes(precision);
    const double fitting = fmin(most_rows, most_bytes / row) / of_sample;

    return nl_larger(nl_smaller((int)fitting, samples), 1);
}

double nl_dual_blocks_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                            int samples)
{
    const int panel = panel_of(net, spec, precision, samples);
    const double rows = (double)panel * rows_of_a_sample(net, spec);
    const double matrix =
        (double)net->trained * (double)net->trained * (double)nl_precision_bytes(precision);

    /* J, and what is local of it: all rows and all columns at most */
    const double fill = 3.0 * rows * (double)net->size * (double)nl_precision_bytes(precision) +
                        nl_gradient_rows_bytes(net, spec, precision, panel);

    /* before it, and before there is a matrix, comes what a check needs of the same samples */
    return fmax(fill, nl_gradients_bytes(net, samples) - matrix) +
           2.0 * (double)net->trained * (double)(sizeof(size_t) + sizeof(double));
}

double nl_dual_blocks_flops(const nl_net *net, nl_kernel_spec spec, int samples)
{
    const double order = (double)net->trained;

    return samples * (nl_gradient_rows_flops(net, spec) +
                      rows_of_a_sample(net, spec) * order * (order + 1.0));
}

/*---------------------------------------------------------------------------------------------
 * Rows of G
 *-------------------------------------------------------------------------------------------*/

/* Parameters place .. + count, with one learning rate. */
static void list_parameters(nl_dual_blocks *blocks, size_t place, size_t count, double rate)
{
    for (size_t k = 0; k < count; k++) {
        if (blocks->root != NULL) {
            blocks->root[blocks->order] = sqrt(rate);
        }
        blocks->place[blocks->order++] = place + k;
    }
}

nl_status nl_dual_blocks_create(const nl_kernel_input *input, nl_kernel_spec spec,
                                nl_precision precision, nl_dual_blocks **out)
{
    const nl_net *net = input->net;
    nl_dual_blocks *blocks = calloc(1, sizeof *blocks);

    *out = blocks;
    if (blocks == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a dual kernel");
    }
    *blocks = (nl_dual_blocks){.input = *input,
                               .spec = spec,
                               .precision = precision,
                               .outputs = rows_of_a_sample(net, spec),
                               .place = nl_calloc(net->trained, sizeof *blocks->place)};
    if (spec.rate_weighted) {
        blocks->root = nl_calloc(net->trained, sizeof *blocks->root);
    }
    if (blocks->place == NULL || (spec.rate_weighted && blocks->root == NULL)) {
        nl_dual_blocks_destroy(out);
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a dual kernel");
    }
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        list_parameters(blocks, layer->weights, nl_layer_weights(layer), layer->weight_rate);
        if (layer->trains_bias) {
            list_parameters(blocks, layer->biases, (size_t)layer->fan_out, layer->bias_rate);
        }
    }
    return NL_OK;
}

void nl_dual_blocks_destroy(nl_dual_blocks **blocks)
{
    if (*blocks != NULL) {
        free((*blocks)->place);
        free((*blocks)->root);
        free(*blocks);
        *blocks = NULL;
    }
}

int nl_dual_blocks_order(const nl_dual_blocks *blocks)
{
    return blocks->order;
}

void nl_dual_blocks_coordinates(const nl_dual_blocks *blocks, const double *w, double *u)
{
    for (int k = 0; k < blocks->order; k++) {
        u[k] = w[blocks->place[k]];
    }
}

/*---------------------------------------------------------------------------------------------
 * The fill
 *-------------------------------------------------------------------------------------------*/

#define TEMPLATE "large/dual_blocks_real.h"
#include "ntklens/formats.h"

typedef int global_fn(const nl_dmat *a, int local);

static nl_status list_rows(const blocks_fill *f, int count, global_fn *global, int depth,
                           local_rows *out)
{
    const nl_dmat *a = f->a;

    out->count = count;
    out->lead = nl_leading_dimension(nl_larger(count, 1), a->precision);
    out->global = nl_calloc((size_t)count, sizeof *out->global);
    out->j = nl_alloc((size_t)out->lead * (size_t)depth, nl_precision_bytes(a->precision));
    if (out->global == NULL || out->j == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a dual kernel");
    }
    for (int k = 0; k < count; k++) {
        out->global[k] = global(a, k);
    }
    return NL_OK;
}

static void free_rows(local_rows *rows)
{
    free(rows->global);
    free(rows->j);
}

static nl_status allocate(blocks_fill *f, int panel)
{
    const nl_dmat *a = f->a;
    const int depth = panel * f->blocks->outputs;
    nl_status status = list_rows(f, a->local_rows, nl_dmat_global_row, depth, &f->rows);

    f->square = a->grid->rows * a->grid->cols == 1;
    if (f->square) {
        f->cols = f->rows;
    } else if (status == NL_OK) {
        status = list_rows(f, a->local_cols, nl_dmat_global_col, depth, &f->cols);
    }
    f->j = nl_alloc((size_t)depth * f->blocks->input.net->size, nl_precision_bytes(a->precision));
    return status == NL_OK && f->j == NULL
               ? NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a dual kernel")
               : status;
}

static void add_tile(int i, int m, int j, int n, void *context)
{
    const blocks_fill *f = context;

    if (f->a->precision == NL_DOUBLE) {
        add_tile_double(f, i, m, j, n);
    } else {
        add_tile_single(f, i, m, j, n);
    }
}

/* G += J^T J of the rows of a panel. */
static void add_panel(blocks_fill *f)
{
    const nl_tile_walk walk = {.rows = f->rows.global,
                               .m = f->rows.count,
                               .cols = f->cols.global,
                               .n = f->cols.count,
                               .unit = 1};

    if (f->a->precision == NL_DOUBLE) {
        pick_double(f, &f->rows);
        pick_double(f, f->square ? NULL : &f->cols);
    } else {
        pick_single(f, &f->rows);
        pick_single(f, f->square ? NULL : &f->cols);
    }
    nl_for_each_lower_tile(&walk, add_tile, f);
}

/* A panel is added whole or not at all. */
static nl_status add_all(blocks_fill *f, int panel, nl_fill_watch *watch)
{
    const nl_dual_blocks *blocks = f->blocks;
    const int samples = blocks->input.samples;
    nl_gradient_rows *rows = NULL;
    nl_status status =
        nl_gradient_rows_create(&blocks->input, blocks->spec, blocks->precision, panel, &rows);

    for (int p = (int)watch->done; status == NL_OK && p * panel < samples; p++) {
        const int count = nl_smaller(panel, samples - p * panel);

        if (nl_interrupted(watch->interrupt)) {
            status = NL_STOPPED;
            break;
        }
        nl_gradient_rows_make(rows, p * panel, count, f->j);
        f->depth = count * blocks->outputs;
        add_panel(f);
        watch->done = p + 1L;
        status = watch->keep != NULL ? watch->keep(f->a, watch->done, watch->context) : NL_OK;
    }
    nl_gradient_rows_destroy(&rows);
    return status;
}

nl_status nl_dual_blocks_fill(nl_dmat *a, const nl_dual_blocks *blocks, nl_fill_watch *watch)
{
    const int panel =
        panel_of(blocks->input.net, blocks->spec, blocks->precision, blocks->input.samples);
    blocks_fill f = {.blocks = blocks, .a = a, .pieces = nl_blas_likes_pieces()};
    nl_status status = NL_OK;

    if (a->local_rows == 0 || a->local_cols == 0) {
        return NL_OK;
    }
    status = allocate(&f, panel);
    if (status == NL_OK) {
        status = add_all(&f, panel, watch);
    }
    free_rows(&f.rows);
    if (!f.square) {
        free_rows(&f.cols);
    }
    free(f.j);
    return status;
}
