/** @file gradients.c  Products of a few vectors with the Jacobian of a whole probe. */
#include "ntklens/gradients.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_panel = 1024, panel_bytes = 256 << 20 };

int nl_gradients_panel(const nl_net *net, int samples)
{
    const double fitting = panel_bytes / nl_jacobian_bytes(net);

    return nl_larger(nl_smaller((int)fmin(fitting, most_panel), samples), 1);
}

/* A rank that is asked to leave does so; the others meet it where they agree. */
static nl_status go_on(const nl_gradients *g)
{
    return nl_interrupted(g->input->interrupt) ? NL_STOPPED : NL_OK;
}

void nl_gradients_share(const nl_gradients *g, int *first, int *count)
{
    const int ranks = g->grid->rows * g->grid->cols;
    const int rank = g->grid->row * g->grid->cols + g->grid->col;

    *first = nl_share_begin(g->input->samples, rank, ranks);
    *count = nl_share_begin(g->input->samples, rank + 1, ranks) - *first;
}

double nl_gradients_bytes(const nl_net *net, int share)
{
    const int panel = nl_gradients_panel(net, share);

    return panel * nl_jacobian_bytes(net) + nl_jacobian_fixed_bytes(net, panel);
}

/** What happens to the Jacobian of a panel of samples. */
typedef nl_status panel_fn(const nl_gradients *g, nl_jacobian *j, int first, int count,
                           void *context);

static nl_status for_each_panel(const nl_gradients *g, panel_fn *work, void *context)
{
    const nl_kernel_input *input = g->input;
    const int panel = nl_gradients_panel(input->net, input->samples);
    int first = 0;
    int left = 0;
    nl_status status = go_on(g);

    nl_gradients_share(g, &first, &left);
    for (int count = 0; status == NL_OK && left > 0; first += count, left -= count) {
        nl_jacobian *j = NULL;

        count = nl_smaller(panel, left);
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

/** Columns in work. */
typedef struct columns_work {
    const nl_net *net;
    int columns;
    const double *x; /* [columns] of what is multiplied */
    double *rows;    /* [panel x outputs] rows of J, of one column */
    double *y;       /* [columns] of what comes out */
    double *into;    /* the column of y at work */
} columns_work;

/* Over all panels, with what is multiplied weighed where it is laid out as the parameters. */
static nl_status walk(const nl_gradients *g, columns_work *t, bool of_parameters, panel_fn *work)
{
    const size_t size = (size_t)t->columns * t->net->size;
    double *weighed = nl_alloc(of_parameters ? size : 0, sizeof *weighed);
    nl_status status = NL_OK;

    t->rows = nl_alloc((size_t)nl_gradients_panel(t->net, g->input->samples) *
                           (size_t)t->net->spec.outputs,
                       sizeof *t->rows);
    if (weighed == NULL || t->rows == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of a probe");
    } else {
        if (of_parameters) {
            memcpy(weighed, t->x, size * sizeof *weighed);
            t->x = weighed;
        }
        for (int c = 0; of_parameters && c < t->columns; c++) {
            nl_gradients_weigh(g, weighed + (size_t)c * t->net->size);
        }
        status = for_each_panel(g, work, t);
    }
    free(weighed);
    free(t->rows);
    return nl_agree(g->grid->comm, status);
}

static bool has_row(const nl_gradients *g, int output)
{
    return g->spec.kind == NL_KERNEL_FULL || output == g->spec.output;
}

/*---------------------------------------------------------------------------------------------
 * J^T x
 *-------------------------------------------------------------------------------------------*/

/* NOLINTNEXTLINE(readability-non-const-parameter): nl_jacobian_piece_fn */
static nl_status add_piece(int layer, int first, int rows, double *weights, double *biases,
                           void *context)
{
    const columns_work *t = context;
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

/* w of column c += J^T rows. */
static nl_status add_transposed(columns_work *t, nl_jacobian *j, int c)
{
    t->into = t->y + (size_t)c * t->net->size;
    return nl_jacobian_transposed(j, t->rows, add_piece, t);
}

/* Of all ranks, weighed. */
static nl_status sum_transposed(const nl_gradients *g, const columns_work *t)
{
    nl_status status = NL_OK;

    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        status = nl_grid_sum(g->grid, t->y + (size_t)c * t->net->size, (int)t->net->size);
        nl_gradients_weigh(g, t->y + (size_t)c * t->net->size);
    }
    return status;
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

            seeds[at] = full ? x[row * (size_t)outputs + (size_t)a] : has_row(g, a) ? x[row] : 0.0;
        }
    }
}

static nl_status transpose_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                                 void *context)
{
    columns_work *t = context;
    const int order = nl_kernel_order(g->spec, g->input->samples, t->net->spec.outputs);
    nl_status status = NL_OK;

    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        set_seeds(g, t->x + (size_t)c * (size_t)order, first, count, t->rows);
        status = add_transposed(t, j, c);
        status = status == NL_OK ? go_on(g) : status;
    }
    return status;
}

nl_status nl_gradients_transposed(const nl_gradients *g, int columns, const double *x, double *w)
{
    columns_work t = {.net = g->input->net, .columns = columns, .x = x, .y = w};
    nl_status status = NL_OK;

    memset(w, 0, (size_t)columns * t.net->size * sizeof *w);
    status = walk(g, &t, false, transpose_panel);
    return status == NL_OK ? sum_transposed(g, &t) : status;
}

/*---------------------------------------------------------------------------------------------
 * |J w|^2 and J^T J x
 *-------------------------------------------------------------------------------------------*/

/* rows = J x of a column, zeros where the kernel has none. */
static void multiply(const nl_gradients *g, nl_jacobian *j, const columns_work *t, int c, int count)
{
    const int outputs = t->net->spec.outputs;

    nl_jacobian_product(j, t->x + (size_t)c * t->net->size, t->rows);
    for (int row = 0; row < count * outputs; row++) {
        t->rows[row] = has_row(g, row % outputs) ? t->rows[row] : 0.0;
    }
}

/* Panel by panel: rows of samples that no unit sees are alike, and rounding of one long sum of them
 * always goes the same way. */
static nl_status square_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                              void *context)
{
    const columns_work *t = context;
    nl_status status = NL_OK;

    (void)first;
    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        multiply(g, j, t, c, count);
        t->y[c] += nl_squares_double((size_t)count * (size_t)t->net->spec.outputs, t->rows);
        status = go_on(g);
    }
    return status;
}

nl_status nl_gradients_squares(const nl_gradients *g, int columns, const double *w, double *square)
{
    columns_work t = {.net = g->input->net, .columns = columns, .x = w, .y = square};
    nl_status status = NL_OK;

    memset(square, 0, (size_t)columns * sizeof *square);
    status = walk(g, &t, true, square_panel);
    return status == NL_OK ? nl_grid_sum(g->grid, square, columns) : status;
}

static nl_status normal_panel(const nl_gradients *g, nl_jacobian *j, int first, int count,
                              void *context)
{
    columns_work *t = context;
    nl_status status = NL_OK;

    (void)first;
    for (int c = 0; status == NL_OK && c < t->columns; c++) {
        multiply(g, j, t, c, count);
        status = add_transposed(t, j, c);
        status = status == NL_OK ? go_on(g) : status;
    }
    return status;
}

nl_status nl_gradients_normal(const nl_gradients *g, int columns, const double *x, double *y)
{
    columns_work t = {.net = g->input->net, .columns = columns, .x = x, .y = y};
    nl_status status = NL_OK;

    memset(y, 0, (size_t)columns * t.net->size * sizeof *y);
    status = walk(g, &t, true, normal_panel);
    return status == NL_OK ? sum_transposed(g, &t) : status;
}
