/** @file kernel_operator.c  Products of a block of vectors with a kernel that is never formed.
 *
 * Of a chain of dense layers, for a sample with activations h and back-signals delta [C x w], and
 * a block U_l [w x fan_in] for each of b vectors: J U is sum_l delta_l (U_l h_l), and J^T y is
 * (delta_l^T y) h_l^T: two products of matrices a layer for a panel of samples, and small ones a
 * sample.  Back-signals are made once for all vectors of the block, or once at all.
 */
#include "ntklens/kernel_operator.h"

#include "ntklens/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_panel = 1024, least_panel = 64, most_columns = nl_kernel_operator_columns };

struct nl_kernel_operator {
    nl_gradients g;
    const nl_net *net;
    bool dense;
    bool of_parameters; /* R^1/2 J^T J R^1/2 */
    int order, rows;    /* rows: of the kernel */
    int first, own;     /* samples of this rank */
    int panel, panels;  /* samples of one; how many */
    bool held;
    nl_factors **factors; /* owned; [panels], or one where they are not held */
    float *packed;        /* owned; [columns x size] a block of vectors, layer by layer */
    float *gradient;      /* owned; the same of a panel's gradients */
    float *signal;        /* owned; [panel x columns x widest] */
    float *output;        /* owned; [panel x columns x outputs] */
    double *sum;          /* owned; [size x columns] where vectors are of the kernel's rows */
};

/* An interruption is noticed between layers of a panel: within a second. */
static const double layer_flops = 1e11;

/* Of what a sample takes: smaller panels are worth it. */
static const double worth_less = 0.98;

/* Bytes of a sample in panels of so many. */
static double sample_bytes(const nl_net *net, int panel)
{
    return nl_factors_closed_bytes(net, NL_SINGLE, panel) / panel;
}

/* Samples of a panel: as many as may be, or a few less, so that the blocks of factors fill the
 * pages they take. */
static int panel_of(const nl_net *net, int own)
{
    double flops = 1.0;
    int most = 0;
    int best = 0;

    for (int l = 0; l < net->layers; l++) {
        flops = fmax(flops, most_columns * nl_layer_forward_flops(&net->layer[l]));
    }
    most = best = (int)fmax(fmin(layer_flops / flops, most_panel), least_panel);
    if (most >= own) {
        return nl_larger(own, 1);
    }
    for (int panel = most - 1; panel >= most / 2; panel--) {
        if (sample_bytes(net, panel) < worth_less * sample_bytes(net, best)) {
            best = panel;
        }
    }
    return best;
}

/* Factors of all samples of a rank. */
static double held_bytes(const nl_net *net, int own, int panel)
{
    return ceil((double)own / panel) * nl_factors_closed_bytes(net, NL_SINGLE, panel);
}

static bool interrupted(const nl_kernel_operator *op)
{
    return nl_interrupted(op->g.input->interrupt);
}

double nl_kernel_operator_size(const nl_net *net, nl_kernel_spec spec, int samples)
{
    const double rows = (double)samples * (spec.kind == NL_KERNEL_FULL ? net->spec.outputs : 1);

    return nl_net_is_dense(net) ? fmin(rows, (double)net->size) : (double)net->size;
}

double nl_kernel_operator_flops(const nl_net *net, nl_kernel_spec spec, int samples)
{
    double flops = 0.0;

    (void)spec;
    for (int l = 0; l < net->layers; l++) {
        flops += 4.0 * nl_layer_forward_flops(&net->layer[l]) / 2.0;
        flops += 4.0 * net->spec.outputs * (double)net->layer[l].fan_out;
    }
    /* others: a pass forward with the tangent's, one backward, in double */
    return samples * flops * (nl_net_is_dense(net) ? 1.0 : 4.0);
}

double nl_kernel_operator_bytes(const nl_net *net, int samples, int ranks, double held)
{
    const int own = (int)ceil((double)samples / ranks);
    const int panel = panel_of(net, own);
    const double all = held_bytes(net, own, panel);
    const double element = (double)sizeof(float) * most_columns;

    if (!nl_net_is_dense(net)) {
        return nl_gradients_bytes(net, own);
    }
    return (all <= held ? all : nl_factors_closed_bytes(net, NL_SINGLE, panel)) +
           panel * (nl_factors_bytes(net, NL_SINGLE) - sample_bytes(net, 1)) +
           nl_factors_fixed_bytes(net) + 2.0 * nl_block_bytes(element * (double)net->size) +
           nl_block_bytes(element * panel * nl_net_widest(net)) +
           nl_block_bytes(element * panel * net->spec.outputs) +
           nl_block_bytes((double)sizeof(double) * most_columns * (double)net->size);
}

/*---------------------------------------------------------------------------------------------
 * A panel of samples
 *-------------------------------------------------------------------------------------------*/

static nl_status make_factors(const nl_kernel_operator *op, int panel, nl_factors *factors)
{
    int list[most_panel];
    const int first = op->first + panel * op->panel;
    const int count = nl_smaller(op->panel, op->first + op->own - first);

    if (interrupted(op)) {
        return NL_STOPPED;
    }
    for (int k = 0; k < count; k++) {
        list[k] = first + k;
    }
    nl_factors_compute(factors, op->g.input->theta, op->g.input->probe, count, list);
    return NL_OK;
}

static nl_status factors_of(const nl_kernel_operator *op, int panel, const nl_factors **out)
{
    *out = op->factors[op->held ? panel : 0];
    return op->held ? NL_OK : make_factors(op, panel, op->factors[0]);
}

static const float *delta_of(const nl_factors *f, int l, int i, int outputs)
{
    return (const float *)f->delta[l] +
           (size_t)i * (size_t)outputs * (size_t)f->net->layer[l].fan_out;
}

/* output = J U of a panel, sample by sample [columns x outputs]. */
static nl_status multiply_panel(const nl_kernel_operator *op, const nl_factors *f, int columns)
{
    const int outputs = op->net->spec.outputs;
    const size_t block = (size_t)columns * (size_t)outputs;
    const float one = 1.0F;
    const float zero = 0.0F;

    memset(op->output, 0, (size_t)f->samples * block * sizeof *op->output);
    for (int l = 0; l < op->net->layers; l++) {
        const nl_layer *layer = &op->net->layer[l];
        const int units = columns * layer->fan_out;
        const float *biases = op->packed + (size_t)columns * layer->biases;

        if (interrupted(op)) {
            return NL_STOPPED;
        }
        sgemm_("T", "N", &units, &f->samples, &layer->fan_in, &one,
               op->packed + (size_t)columns * layer->weights, &layer->fan_in, f->activation[l],
               &layer->fan_in, &zero, op->signal, &units);
        for (int i = 0; i < f->samples; i++) {
            float *e = op->signal + (size_t)i * (size_t)units;
            float *y = op->output + (size_t)i * block;

            for (int k = 0; k < units; k++) {
                e[k] += biases[k];
            }
            if (f->delta[l] != NULL) {
                sgemm_("T", "N", &outputs, &columns, &layer->fan_out, &one,
                       delta_of(f, l, i, outputs), &layer->fan_out, e, &layer->fan_out, &one, y,
                       &outputs);
            } else {
                for (int k = 0; k < units; k++) {
                    y[k] += e[k];
                }
            }
        }
    }
    return NL_OK;
}

/* gradient = J^T output of a panel. */
static nl_status transpose_panel(const nl_kernel_operator *op, const nl_factors *f, int columns)
{
    const int outputs = op->net->spec.outputs;
    const size_t block = (size_t)columns * (size_t)outputs;
    const float one = 1.0F;
    const float zero = 0.0F;

    for (int l = 0; l < op->net->layers; l++) {
        const nl_layer *layer = &op->net->layer[l];
        const int units = columns * layer->fan_out;
        float *biases = op->gradient + (size_t)columns * layer->biases;
        const float *signal = f->delta[l] != NULL ? op->signal : op->output;

        if (interrupted(op)) {
            return NL_STOPPED;
        }
        for (int i = 0; f->delta[l] != NULL && i < f->samples; i++) {
            sgemm_("N", "N", &layer->fan_out, &columns, &outputs, &one, delta_of(f, l, i, outputs),
                   &layer->fan_out, op->output + (size_t)i * block, &outputs, &zero,
                   op->signal + (size_t)i * (size_t)units, &layer->fan_out);
        }
        sgemm_("N", "T", &layer->fan_in, &units, &f->samples, &one, f->activation[l],
               &layer->fan_in, signal, &units, &zero,
               op->gradient + (size_t)columns * layer->weights, &layer->fan_in);
        memset(biases, 0, (size_t)units * sizeof *biases);
        for (int i = 0; i < f->samples; i++) {
            for (int k = 0; k < units; k++) {
                biases[k] += signal[(size_t)i * (size_t)units + (size_t)k];
            }
        }
    }
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * Vectors of parameters: layer by layer, all columns of a layer together
 *-------------------------------------------------------------------------------------------*/

/** What a layer's weights and biases are multiplied with. */
typedef struct layer_scale {
    double weights, biases;
} layer_scale;

static layer_scale scale_of(const nl_kernel_operator *op, const nl_layer *layer)
{
    const bool weighted = op->g.spec.rate_weighted;

    return (layer_scale){
        layer->weight_scale * sqrt(weighted ? layer->weight_rate : 1.0),
        layer->trains_bias ? layer->bias_scale * sqrt(weighted ? layer->bias_rate : 1.0) : 0.0};
}

/* packed = scaled x [size x columns] */
static void pack(const nl_kernel_operator *op, int columns, const double *x)
{
    for (int l = 0; l < op->net->layers; l++) {
        const nl_layer *layer = &op->net->layer[l];
        const layer_scale scale = scale_of(op, layer);
        const size_t weights = nl_layer_weights(layer);
        const size_t biases = (size_t)layer->fan_out;

        for (size_t c = 0; c < (size_t)columns; c++) {
            const double *from = x + c * op->net->size;
            float *to = op->packed + (size_t)columns * layer->weights + c * weights;

            for (size_t k = 0; k < weights; k++) {
                to[k] = (float)(scale.weights * from[layer->weights + k]);
            }
            to = op->packed + (size_t)columns * layer->biases + c * biases;
            for (size_t k = 0; k < biases; k++) {
                to[k] = (float)(scale.biases * from[layer->biases + k]);
            }
        }
    }
}

/* y [size x columns] += scaled gradient */
static void add_gradient(const nl_kernel_operator *op, int columns, double *y)
{
    for (int l = 0; l < op->net->layers; l++) {
        const nl_layer *layer = &op->net->layer[l];
        const layer_scale scale = scale_of(op, layer);
        const size_t weights = nl_layer_weights(layer);
        const size_t biases = (size_t)layer->fan_out;

        for (size_t c = 0; c < (size_t)columns; c++) {
            double *to = y + c * op->net->size;
            const float *from = op->gradient + (size_t)columns * layer->weights + c * weights;

            for (size_t k = 0; k < weights; k++) {
                to[layer->weights + k] += scale.weights * (double)from[k];
            }
            from = op->gradient + (size_t)columns * layer->biases + c * biases;
            for (size_t k = 0; k < biases; k++) {
                to[layer->biases + k] += scale.biases * (double)from[k];
            }
        }
    }
}

/* Rows of the kernel that belong to a panel, as outputs; and the other way round. */
static double *row_of(const nl_kernel_operator *op, double *x, int column, int sample, int output)
{
    const size_t outputs = (size_t)op->net->spec.outputs;
    const bool full = op->g.spec.kind == NL_KERNEL_FULL;

    return x + (size_t)column * (size_t)op->rows +
           (full ? (size_t)sample * outputs + (size_t)output : (size_t)sample);
}

static bool has_row(const nl_kernel_operator *op, int output)
{
    return op->g.spec.kind == NL_KERNEL_FULL || output == op->g.spec.output;
}

static void take_rows(const nl_kernel_operator *op, int columns, int first, int count,
                      const double *x)
{
    const int outputs = op->net->spec.outputs;
    float *to = op->output;

    for (int i = 0; i < count; i++) {
        for (int c = 0; c < columns; c++) {
            for (int a = 0; a < outputs; a++) {
                *to++ = has_row(op, a) ? (float)*row_of(op, (double *)(uintptr_t)x, c, first + i, a)
                                       : 0.0F;
            }
        }
    }
}

static void give_rows(const nl_kernel_operator *op, int columns, int first, int count, double *y)
{
    const int outputs = op->net->spec.outputs;
    const float *from = op->output;

    for (int i = 0; i < count; i++) {
        for (int c = 0; c < columns; c++) {
            for (int a = 0; a < outputs; a++, from++) {
                if (has_row(op, a)) {
                    *row_of(op, y, c, first + i, a) = (double)*from;
                }
            }
        }
    }
}

/* Outputs that the kernel has no rows of. */
static void mask_outputs(const nl_kernel_operator *op, int columns, int count)
{
    const int outputs = op->net->spec.outputs;

    for (int k = 0; op->g.spec.kind != NL_KERNEL_FULL && k < count * columns; k++) {
        for (int a = 0; a < outputs; a++) {
            op->output[k * outputs + a] *= has_row(op, a) ? 1.0F : 0.0F;
        }
    }
}

/*---------------------------------------------------------------------------------------------
 * Products
 *-------------------------------------------------------------------------------------------*/

static nl_status sum_columns(const nl_kernel_operator *op, int columns, int rows, double *y)
{
    nl_status status = NL_OK;

    for (int c = 0; status == NL_OK && c < columns; c++) {
        status = nl_grid_sum(op->g.grid, y + (size_t)c * (size_t)rows, rows);
    }
    return status;
}

/* R^1/2 J^T (J R^1/2 x), in one walk over the samples. */
static nl_status apply_to_parameters(const nl_kernel_operator *op, int columns, const double *x,
                                     double *y)
{
    nl_status status = NL_OK;

    pack(op, columns, x);
    memset(y, 0, (size_t)columns * op->net->size * sizeof *y);
    for (int p = 0; status == NL_OK && p < op->panels; p++) {
        const nl_factors *f = NULL;

        status = factors_of(op, p, &f);
        if (status == NL_OK) {
            status = multiply_panel(op, f, columns);
        }
        if (status == NL_OK) {
            mask_outputs(op, columns, f->samples);
            status = transpose_panel(op, f, columns);
        }
        if (status == NL_OK) {
            add_gradient(op, columns, y);
        }
    }
    status = nl_agree(op->g.grid->comm, status);
    return status == NL_OK ? sum_columns(op, columns, (int)op->net->size, y) : status;
}

/* J R (J^T x), in two. */
static nl_status apply_to_rows(const nl_kernel_operator *op, int columns, const double *x,
                               double *y)
{
    nl_status status = NL_OK;

    memset(op->sum, 0, (size_t)columns * op->net->size * sizeof *op->sum);
    memset(y, 0, (size_t)columns * (size_t)op->rows * sizeof *y);
    for (int walk = 0; status == NL_OK && walk < 2; walk++) {
        for (int p = 0; status == NL_OK && p < op->panels; p++) {
            const int first = op->first + p * op->panel;
            const nl_factors *f = NULL;

            status = factors_of(op, p, &f);
            if (status == NL_OK && walk == 0) {
                take_rows(op, columns, first, f->samples, x);
                status = transpose_panel(op, f, columns);
                add_gradient(op, columns, op->sum);
            } else if (status == NL_OK) {
                status = multiply_panel(op, f, columns);
                give_rows(op, columns, first, f->samples, y);
            }
        }
        status = nl_agree(op->g.grid->comm, status);
        if (status == NL_OK && walk == 0) {
            status = sum_columns(op, columns, (int)op->net->size, op->sum);
            pack(op, columns, op->sum);
        }
    }
    return status == NL_OK ? sum_columns(op, columns, op->rows, y) : status;
}

nl_status nl_kernel_operator_apply(int columns, const double *x, double *y, void *context)
{
    const nl_kernel_operator *op = context;

    if (!op->dense) {
        return nl_gradients_normal(&op->g, columns, x, y);
    }
    return op->of_parameters ? apply_to_parameters(op, columns, x, y)
                             : apply_to_rows(op, columns, x, y);
}

int nl_kernel_operator_order(const nl_kernel_operator *op)
{
    return op->order;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

static nl_status create_factors(nl_kernel_operator *op)
{
    const int count = op->held ? op->panels : nl_smaller(op->panels, 1);
    nl_status status = NL_OK;

    op->factors = nl_calloc((size_t)count, sizeof(void *));
    if (op->factors == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel's factors");
    }
    for (int p = 0; status == NL_OK && p < count; p++) {
        status = nl_factors_create(op->net, NL_SINGLE, op->panel, &op->factors[p]);
        if (status == NL_OK && op->held) {
            status = make_factors(op, p, op->factors[p]);
            nl_factors_close(op->factors[p]);
        }
    }
    return status;
}

static nl_status create_scratch(nl_kernel_operator *op)
{
    const size_t vectors = (size_t)most_columns * op->net->size;
    const size_t panel = (size_t)op->panel * most_columns;

    op->packed = nl_calloc(vectors, sizeof *op->packed);
    op->gradient = nl_calloc(vectors, sizeof *op->gradient);
    op->signal = nl_calloc(panel * (size_t)nl_net_widest(op->net), sizeof *op->signal);
    op->output = nl_calloc(panel * (size_t)op->net->spec.outputs, sizeof *op->output);
    op->sum = nl_calloc(op->of_parameters ? 0 : vectors, sizeof *op->sum);
    return op->packed != NULL && op->gradient != NULL && op->signal != NULL && op->output != NULL &&
                   op->sum != NULL
               ? NL_OK
               : NL_FAIL(NL_ERR_NOMEM, "out of memory for products with a kernel");
}

nl_status nl_kernel_operator_create(const nl_gradients *g, double held, nl_kernel_operator **out)
{
    nl_kernel_operator *op = calloc(1, sizeof *op);
    const nl_net *net = g->input->net;
    nl_status status = NL_OK;

    *out = op;
    if (op == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a kernel as an operator");
    } else {
        *op = (nl_kernel_operator){
            .g = *g,
            .net = net,
            .dense = nl_net_is_dense(net),
            .rows = nl_kernel_order(g->spec, g->input->samples, net->spec.outputs)};
        op->order = (int)nl_kernel_operator_size(net, g->spec, g->input->samples);
        op->of_parameters = (size_t)op->order == net->size;
        nl_gradients_share(g, &op->first, &op->own);
        op->panel = panel_of(net, op->own);
        op->panels = (op->own + op->panel - 1) / op->panel;
        op->held = held_bytes(net, op->own, op->panel) <= held;
    }
    if (status == NL_OK && op->dense) {
        status = create_factors(op);
        if (status == NL_OK) {
            status = create_scratch(op);
        }
    }
    status = nl_agree(g->grid->comm, status);
    if (status != NL_OK) {
        nl_kernel_operator_destroy(out);
    }
    return status;
}

void nl_kernel_operator_destroy(nl_kernel_operator **op)
{
    nl_kernel_operator *o = *op;

    if (o == NULL) {
        return;
    }
    for (int p = 0; o->factors != NULL && p < (o->held ? o->panels : nl_smaller(o->panels, 1));
         p++) {
        nl_factors_destroy(&o->factors[p]);
    }
    free(o->factors);
    free(o->packed);
    free(o->gradient);
    free(o->signal);
    free(o->output);
    free(o->sum);
    free(o);
    *op = NULL;
}
