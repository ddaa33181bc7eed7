/** @file gradients.c  Products of a few vectors with the Jacobian of a whole probe. */
#include "ntklens/gradients.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_panel = 1024 }; /* samples whose activations are held at a time */

void nl_gradients_share(const nl_gradients *g, int *first, int *count)
{
    const int ranks = g->grid->rows * g->grid->cols;
    const int rank = g->grid->row * g->grid->cols + g->grid->col;
    const long samples = g->input->samples;

    *first = (int)(samples * rank / ranks);
    *count = (int)(samples * (rank + 1) / ranks) - *first;
}

/** What happens to the Jacobian of a panel of samples. */
typedef nl_status panel_fn(const nl_gradients *g, nl_jacobian *j, int first, int count,
                           void *context);

static nl_status for_each_panel(const nl_gradients *g, panel_fn *work, void *context)
{
    const nl_kernel_input *input = g->input;
    int first = 0;
    int left = 0;
    nl_status status = NL_OK;

    nl_gradients_share(g, &first, &left);
    for (int count = 0; status == NL_OK && left > 0; first += count, left -= count) {
        nl_jacobian *j = NULL;

        count = nl_smaller(most_panel, left);
        status = nl_jacobian_create(input->net, input->theta,
                                    input->probe + (size_t)first * (size_t)input->net->spec.inputs,
                                    count, &j);
        if (status == NL_OK) {
            status = work(g, j, first, count, context);
        }
        nl_jacobian_destroy(&j);
    }
    return status;
}

void nl_gradients_weigh(const nl_gradients *g, double *w)
{
    for (int l = 0; g->spec.rate_weighted && l < g->input->net->layers; l++) {
        const nl_layer *layer = &g->input->net->layer[l];

        for (size_t k = 0; k < nl_layer_weights(layer); k++) {
            w[layer->weights + k] *= sqrt(layer->weight_rate);
        }
        for (size_t k = 0; k < (size_t)layer->fan_out; k++) {
            w[layer->biases + k] *= sqrt(layer->bias_rate);
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * J^T x
 *-------------------------------------------------------------------------------------------*/

/** Columns in work. */
typedef struct transposed_work {
    const nl_net *net;
    int columns;
    const double *x;
    double *w;     /* of all columns */
    double *into;  /* of the one at work */
    double *seeds; /* owned; [panel x outputs] */
} transposed_work;

/* NOLINTNEXTLINE(readability-non-const-parameter): nl_jacobian_piece_fn */
static nl_status add_piece(int layer, int first, int rows, double *weights, double *biases,
                           void *context)
{
    const transposed_work *t = context;
    const nl_layer *l = &t->net->layer[layer];
    const size_t fan_in = nl_layer_weights(l) / (size_t)l->fan_out;
    double *to = t->into + l->weights + (size_t)first * fan_in;

    for (size_t k = 0; k < (size_t)rows * fan_in; k++) {
        to[k] += weights[k];
    }
    for (int k = 0; k < rows; k++) {
        t->into[l->biases + (size_t)(first + k)] += biases[k];
    }
    return NL_OK;
}

/* Rows of a column that belong to these samples, as seeds of all outputs. */
static void set_seeds(const nl_gradients *g, const double *x, int first, int count, double *seeds)
{
    const int outputs = g->input->net->spec.outputs;
    const bool full = g->spec.kind == NL_KERNEL_FULL;

    for (int i = 0; i < count; i++) {
        for (int a = 0; a < outputs; a++) {
            const size_t row = (size_t)first + (size_t)i;
            const size_t at = (size_t)i * (size_t)outputs + (size_t)a;

            seeds[at] = full                  ? x[row * (size_t)outputs + (size_t)a]
                        : a == g->spec.output ? x[row]
                                              : 0.0;
        }
    }
}

static nl_status transpose_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                                 void *context)
{
    transposed_work *t = context;
    const int order = nl_kernel_order(g->spec, g->input->samples, t->net->spec.outputs);
    nl_status status = NL_OK;

    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        set_seeds(g, t->x + (size_t)c * (size_t)order, first, count, t->seeds);
        t->into = t->w + (size_t)c * t->net->size;
        status = nl_jacobian_transposed(j, t->seeds, add_piece, t);
    }
    return status;
}

nl_status nl_gradients_transposed(const nl_gradients *g, int columns, const double *x, double *w)
{
    transposed_work t = {.net = g->input->net, .columns = columns, .x = x, .w = w};
    nl_status status = NL_OK;

    memset(w, 0, (size_t)columns * t.net->size * sizeof *w);
    t.seeds = nl_calloc((size_t)most_panel * (size_t)t.net->spec.outputs, sizeof *t.seeds);
    if (t.seeds == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    }
    if (status == NL_OK) {
        status = for_each_panel(g, transpose_panel, &t);
    }
    free(t.seeds);
    status = nl_agree(g->grid->comm, status);
    for (int c = 0; status == NL_OK && c < columns; c++) {
        status = nl_grid_sum(g->grid, w + (size_t)c * t.net->size, (int)t.net->size);
        nl_gradients_weigh(g, w + (size_t)c * t.net->size);
    }
    return status;
}

/*---------------------------------------------------------------------------------------------
 * |J w|^2
 *-------------------------------------------------------------------------------------------*/

/** Columns in work. */
typedef struct squares_work {
    int columns;
    const double *w; /* weighed */
    double *product; /* owned; [panel x outputs] */
    double *square;
} squares_work;

static nl_status square_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                              void *context)
{
    const squares_work *s = context;
    const int outputs = g->input->net->spec.outputs;

    (void)first;
    for (int c = 0; c < s->columns; c++) {
        nl_jacobian_product(j, s->w + (size_t)c * g->input->net->size, s->product);
        for (int row = 0; row < count * outputs; row++) {
            if (g->spec.kind == NL_KERNEL_FULL || row % outputs == g->spec.output) {
                s->square[c] += s->product[row] * s->product[row];
            }
        }
    }
    return NL_OK;
}

nl_status nl_gradients_squares(const nl_gradients *g, int columns, const double *w, double *square)
{
    const nl_net *net = g->input->net;
    const size_t count = (size_t)columns * net->size;
    double *weighed = nl_calloc(count, sizeof *weighed);
    squares_work s = {.columns = columns, .w = weighed, .square = square};
    nl_status status = NL_OK;

    s.product = nl_calloc((size_t)most_panel * (size_t)net->spec.outputs, sizeof *s.product);
    if (weighed == NULL || s.product == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    } else {
        memset(square, 0, (size_t)columns * sizeof *square);
        memcpy(weighed, w, count * sizeof *weighed);
        for (int c = 0; c < columns; c++) {
            nl_gradients_weigh(g, weighed + (size_t)c * net->size);
        }
        status = for_each_panel(g, square_panel, &s);
    }
    free(weighed);
    free(s.product);
    status = nl_agree(g->grid->comm, status);
    return status == NL_OK ? nl_grid_sum(g->grid, square, columns) : status;
}

/*---------------------------------------------------------------------------------------------
 * J^T J x
 *-------------------------------------------------------------------------------------------*/

static nl_status normal_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                              void *context)
{
    transposed_work *t = context;
    const int outputs = t->net->spec.outputs;
    nl_status status = NL_OK;

    (void)first;
    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        nl_jacobian_product(j, t->x + (size_t)c * t->net->size, t->seeds);
        for (int row = 0; g->spec.kind != NL_KERNEL_FULL && row < count * outputs; row++) {
            t->seeds[row] *= row % outputs == g->spec.output ? 1.0 : 0.0;
        }
        t->into = t->w + (size_t)c * t->net->size;
        status = nl_jacobian_transposed(j, t->seeds, add_piece, t);
    }
    return status;
}

nl_status nl_gradients_normal(const nl_gradients *g, int columns, const double *x, double *y)
{
    const nl_net *net = g->input->net;
    const size_t count = (size_t)columns * net->size;
    double *weighed = nl_calloc(count, sizeof *weighed);
    transposed_work t = {.net = net, .columns = columns, .x = weighed, .w = y};
    nl_status status = NL_OK;

    memset(y, 0, count * sizeof *y);
    t.seeds = nl_calloc((size_t)most_panel * (size_t)net->spec.outputs, sizeof *t.seeds);
    if (weighed == NULL || t.seeds == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    } else {
        memcpy(weighed, x, count * sizeof *weighed);
        for (int c = 0; c < columns; c++) {
            nl_gradients_weigh(g, weighed + (size_t)c * net->size);
        }
        status = for_each_panel(g, normal_panel, &t);
    }
    free(weighed);
    free(t.seeds);
    status = nl_agree(g->grid->comm, status);
    for (int c = 0; status == NL_OK && c < columns; c++) {
        status = nl_grid_sum(g->grid, y + (size_t)c * net->size, (int)net->size);
        nl_gradients_weigh(g, y + (size_t)c * net->size);
    }
    return status;
}
