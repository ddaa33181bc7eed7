/** @file dual_blocks.c  Duals by rows of the Jacobian. */
#include "dual_blocks.h"

#include "ntklens/gradients.h"
#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of J at a time: enough for products to run at speed, and no more than so many bytes. */
static const double most_rows = 256.0;
static const double most_bytes = 64e6;

enum { inner_block = 32 }; /* of a product that is not solved */

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

/** A fill at work: J^T J, or J^T K with the rows K of another state. */
typedef struct blocks_fill {
    const nl_dual_blocks *blocks, *other; /* other: of K, the same where there is none */
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

    f->square = f->other == f->blocks && a->grid->rows * a->grid->cols == 1;
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

static void pick(const blocks_fill *f, const nl_dual_blocks *of, const local_rows *list)
{
    if (f->a->precision == NL_DOUBLE) {
        pick_double(f, of, list);
    } else {
        pick_single(f, of, list);
    }
}

/* J^T K is not symmetric. */
static void add_all_tiles(blocks_fill *f)
{
    for (int j = 0; j < f->cols.count; j += nl_tile_rows) {
        for (int i = 0; i < f->rows.count; i += nl_tile_rows) {
            add_tile(i, nl_smaller(nl_tile_rows, f->rows.count - i), j,
                     nl_smaller(nl_tile_rows, f->cols.count - j), f);
        }
    }
}

/* G += J^T K of the rows of a panel. */
static void add_panel(blocks_fill *f)
{
    const nl_tile_walk walk = {.rows = f->rows.global,
                               .m = f->rows.count,
                               .cols = f->cols.global,
                               .n = f->cols.count,
                               .unit = 1};

    if (f->other == f->blocks) {
        nl_for_each_lower_tile(&walk, add_tile, f);
    } else {
        add_all_tiles(f);
    }
}

/** Rows of J, and of K where that is another state's.  Both NULL before they are created. */
typedef struct row_makers {
    nl_gradient_rows *of, *other; /* owned; other: NULL where K is J */
} row_makers;

static nl_status create_makers(const blocks_fill *f, int panel, row_makers *out)
{
    const nl_dual_blocks *b = f->blocks;
    const nl_dual_blocks *o = f->other;
    nl_status status = nl_gradient_rows_create(&b->input, b->spec, b->precision, panel, &out->of);

    if (status == NL_OK && o != b) {
        status = nl_gradient_rows_create(&o->input, o->spec, o->precision, panel, &out->other);
    }
    return status;
}

static void destroy_makers(row_makers *makers)
{
    nl_gradient_rows_destroy(&makers->of);
    nl_gradient_rows_destroy(&makers->other);
}

/* What is local of the rows of J and of K.  They are made one after the other in one place. */
static void make_panel(blocks_fill *f, const row_makers *makers, int first, int count)
{
    f->depth = count * f->blocks->outputs;
    nl_gradient_rows_make(makers->of, first, count, f->j);
    pick(f, f->blocks, &f->rows);
    if (makers->other != NULL) {
        nl_gradient_rows_make(makers->other, first, count, f->j);
    }
    pick(f, f->other, f->square ? NULL : &f->cols);
}

/* A panel is added whole or not at all. */
static nl_status add_all(blocks_fill *f, int panel, nl_fill_watch *watch)
{
    const nl_dual_blocks *blocks = f->blocks;
    const int samples = blocks->input.samples;
    row_makers makers = {0};
    nl_status status = create_makers(f, panel, &makers);

    for (int p = (int)watch->done; status == NL_OK && p * panel < samples; p++) {
        const int count = nl_smaller(panel, samples - p * panel);

        if (nl_interrupted(watch->interrupt)) {
            status = NL_STOPPED;
            break;
        }
        make_panel(f, &makers, p * panel, count);
        add_panel(f);
        watch->done = p + 1L;
        status = watch->keep != NULL ? watch->keep(f->a, watch->done, watch->context) : NL_OK;
    }
    destroy_makers(&makers);
    return status;
}

/* Of two states, or of one. */
static nl_status fill(nl_dmat *a, const nl_dual_blocks *blocks, const nl_dual_blocks *other,
                      nl_fill_watch *watch)
{
    const int panel =
        panel_of(blocks->input.net, blocks->spec, blocks->precision, blocks->input.samples);
    blocks_fill f = {.blocks = blocks, .other = other, .a = a, .pieces = nl_blas_likes_pieces()};
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

nl_status nl_dual_blocks_fill(nl_dmat *a, const nl_dual_blocks *blocks, nl_fill_watch *watch)
{
    return fill(a, blocks, blocks, watch);
}

/*---------------------------------------------------------------------------------------------
 * Inner products
 *-------------------------------------------------------------------------------------------*/

/* |A|_F^2 of a matrix that is not symmetric: column by column, then over the columns. */
static nl_status squares_of(const nl_dmat *a, double *sum)
{
    *sum = 0.0;
    for (int c = 0; c < a->local_cols; c++) {
        double squares = 0.0;

        for (int r = 0; r < a->local_rows; r++) {
            const double x =
                nl_element(a->local, (size_t)c * (size_t)a->ld + (size_t)r, a->precision);

            squares += x * x;
        }
        *sum += squares;
    }
    return nl_grid_sum(a->grid, sum, 1);
}

nl_status nl_dual_blocks_inner(const nl_grid *grid, const nl_dual_blocks *a,
                               const nl_dual_blocks *b, const nl_interrupt *interrupt,
                               double *inner)
{
    nl_fill_watch watch = {.interrupt = interrupt};
    nl_dmat *product = NULL;
    double trace = 0.0;
    nl_status status = nl_dmat_create(grid, a->order, inner_block, a->precision, &product);

    *inner = 0.0;
    if (status != NL_OK) {
        return status;
    }
    status = nl_agree(grid->comm, fill(product, a, b, &watch));
    if (status == NL_OK) {
        status = a == b ? nl_dmat_moments(product, &trace, inner) : squares_of(product, inner);
    }
    nl_dmat_destroy(&product);
    return status;
}

double nl_dual_blocks_inner_bytes(const nl_net *net, nl_precision precision, int ranks)
{
    const double blocks = ceil((double)net->trained / inner_block);
    int rows = 1;
    int cols = 1;

    nl_grid_shape(ranks, &rows, &cols);
    return ceil(blocks / rows) * ceil(blocks / cols) * inner_block * inner_block *
           (double)nl_precision_bytes(precision);
}

double nl_dual_blocks_inner_flops(const nl_net *net, nl_kernel_spec spec, int samples, bool same)
{
    return (same ? 1.0 : 2.0) * nl_dual_blocks_flops(net, spec, samples);
}
