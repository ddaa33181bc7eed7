/** @file unit_batch.c  A batch on its way through a network of dense layers alone, unit by unit. */
#include "unit_batch.h"
#include "activation.h"
#include "dense.h"
#include "optimizer.h"

#include <assert.h>
#include <stdlib.h>

enum {
    panel_size = 64 * 1024, /* floats of a weight gradient that are made and used up at a time: they
                               stay in the L2 cache */
    least_width = 48,       /* where transposing the samples pays */
    most_transposed = 64,   /* rows of samples; more gain nothing */
    piece_size = 1 << 21    /* multiplications that are worth another core */
};

struct nl_unit_batch {
    const nl_net *net; /* borrowed */
    nl_optimizer optimizer;
    nl_crew *crew;        /* borrowed; NULL: this thread alone */
    int batch;            /* most rows */
    bool pieces;          /* nl_blas_likes_pieces() */
    size_t *place;        /* owned; [layers]: where a layer's output lies in `hidden`, `slopes` */
    float *hidden;        /* owned; outputs of all layers that activate, each with room for the
                             batch */
    float *slopes;        /* owned; phi' likewise; NULL where it follows from phi */
    float *delta, *below; /* owned; [widest x batch]: gradient by the z of a layer, and of the layer
                             it takes from in the making */
    float *samples;       /* owned; x, unit by unit: [inputs x rows_transposed()] */
    float *turned;        /* owned; what a wide layer takes, row by row: turned_size() */
    float *gradient;      /* owned; [gradient_size] a panel of weights, at least a unit's, or all
                             blocks of some units; then the biases */
    size_t gradient_size;
    float *others; /* owned; [helpers times gradient_size] of those who help with adam */
    int helpers;
};

static bool stores_slopes(const nl_net *net)
{
    return !nl_slope_follows_from_value(net->spec.activation);
}

/* Floats of all outputs that are kept of one sample. */
static size_t hidden_size(const nl_net *net)
{
    size_t size = 0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        size += layer->activates ? (size_t)nl_shape_size(layer->out) : 0;
    }
    return size;
}

/* Weights of the largest unit. */
static size_t largest_unit(const nl_net *net)
{
    int most = 0;

    for (int l = 0; l < net->layers; l++) {
        most = nl_larger(most, net->layer[l].fan_in);
    }
    return (size_t)most;
}

double nl_unit_batch_row_floats(const nl_net *net)
{
    return (double)hidden_size(net) * (stores_slopes(net) ? 2.0 : 1.0) + 2.0 * nl_net_widest(net);
}

/* Floats of a gradient in the making: a panel or all blocks of some units, and biases. */
static size_t gradient_size(const nl_net *net)
{
    const size_t unit = largest_unit(net);
    const size_t panel = unit * nl_block_units > panel_size ? unit * nl_block_units : panel_size;

    return panel + unit + (size_t)nl_net_widest(net);
}

/* Others' gradients go straight into what they change. */
static bool keeps_gradients(const nl_net *net)
{
    return net->optimizer == NL_ADAM;
}

double nl_unit_batch_shared_floats(const nl_net *net, int cores)
{
    return keeps_gradients(net) ? (cores - 1) * (double)gradient_size(net) : 0.0;
}

/* Rows of samples up to which they are transposed for the first product; 0: never. */
static int rows_transposed(const nl_unit_batch *b)
{
    return b->pieces && b->net->layer[0].fan_out >= least_width
               ? nl_smaller(b->batch, most_transposed)
               : 0;
}

/* Floats between rows of `turned`: an odd number of cache lines, so that they do not share the sets
 * of a cache. */
static int turned_ld(int inputs)
{
    const int line = 16;

    return ((inputs + line - 1) / line | 1) * line;
}

/* Of the widest input of a layer that goes by blocks. */
static size_t turned_size(const nl_unit_batch *b)
{
    const int rows = nl_smaller(b->batch, nl_block_rows);
    int most = 0;

    for (int l = 0; l < b->net->layers; l++) {
        const nl_layer *layer = &b->net->layer[l];

        if (layer->from >= 0 &&
            nl_dense_by_blocks(layer, &(nl_pass){.rows = rows, .pieces = b->pieces})) {
            most = nl_larger(most, turned_ld(layer->fan_in));
        }
    }
    return (size_t)most * (size_t)rows;
}

static nl_status allocate(nl_unit_batch *b)
{
    const nl_net *net = b->net;
    const size_t batch = (size_t)b->batch;
    const size_t hidden = hidden_size(net) * batch;
    const size_t widest = (size_t)nl_net_widest(net);
    const size_t inputs = (size_t)net->spec.inputs;

    b->place = nl_calloc((size_t)net->layers, sizeof *b->place);
    b->hidden = nl_calloc(hidden, sizeof *b->hidden);
    b->slopes = stores_slopes(net) ? nl_calloc(hidden, sizeof *b->slopes) : NULL;
    b->delta = nl_calloc(widest * batch, sizeof *b->delta);
    b->below = nl_calloc(widest * batch, sizeof *b->below);
    b->samples = nl_calloc(inputs * (size_t)rows_transposed(b), sizeof *b->samples);
    b->turned = nl_calloc(turned_size(b), sizeof *b->turned);
    b->gradient_size = gradient_size(net);
    b->gradient = nl_calloc(b->gradient_size, sizeof *b->gradient);
    if (b->place == NULL || b->hidden == NULL || (stores_slopes(net) && b->slopes == NULL) ||
        b->delta == NULL || b->below == NULL || b->samples == NULL || b->turned == NULL ||
        b->gradient == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training on batches of %d",
                       net->size, b->batch);
    }
    return NL_OK;
}

static void place_outputs(nl_unit_batch *b)
{
    size_t place = 0;

    for (int l = 0; l < b->net->layers; l++) {
        const nl_layer *layer = &b->net->layer[l];

        b->place[l] = place;
        place += layer->activates ? (size_t)nl_shape_size(layer->out) * (size_t)b->batch : 0;
    }
}

nl_status nl_unit_batch_create(const nl_net *net, nl_optimizer optimizer, int batch,
                               nl_unit_batch **out)
{
    nl_unit_batch *b = calloc(1, sizeof *b);
    nl_status status = NL_OK;

    *out = b;
    if (b == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network in training");
    }
    *b = (nl_unit_batch){
        .net = net, .optimizer = optimizer, .batch = batch, .pieces = nl_blas_likes_pieces()};
    status = allocate(b);
    if (status != NL_OK) {
        nl_unit_batch_destroy(out);
        return status;
    }
    place_outputs(b);
    return NL_OK;
}

void nl_unit_batch_destroy(nl_unit_batch **batch)
{
    nl_unit_batch *b = *batch;

    if (b != NULL) {
        free(b->others);
        free(b->gradient);
        free(b->turned);
        free(b->samples);
        free(b->below);
        free(b->delta);
        free(b->slopes);
        free(b->hidden);
        free(b->place);
        free(b);
        *batch = NULL;
    }
}

nl_status nl_unit_batch_set_crew(nl_unit_batch *b, nl_crew *crew)
{
    const int helpers = nl_crew_most(crew) - 1;

    if (keeps_gradients(b->net) && helpers > b->helpers) {
        free(b->others);
        b->helpers = 0;
        b->others = nl_calloc((size_t)helpers * b->gradient_size, sizeof *b->others);
        if (b->others == NULL) {
            return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradients of several threads");
        }
        b->helpers = helpers;
    }
    b->crew = crew;
    return NL_OK;
}

/* phi' of a layer; NULL where it follows from phi. */
static float *slopes_of(const nl_unit_batch *b, int l)
{
    return b->slopes != NULL ? b->slopes + b->place[l] : NULL;
}

/* What layer l takes: the samples, or the output of another layer. */
static nl_activations input_of(const nl_unit_batch *b, int l, int rows, const float *x)
{
    const int from = b->net->layer[l].from;

    if (from < 0) {
        return (nl_activations){.data = x, .op = 'T', .ld = b->net->spec.inputs};
    }
    return (nl_activations){.data = b->hidden + b->place[from], .op = 'N', .ld = rows};
}

/* The same in the forward pass: few samples are transposed, the product is quicker with them. */
static nl_activations forward_input_of(nl_unit_batch *b, int l, int rows, const float *x)
{
    const int inputs = b->net->spec.inputs;

    if (b->net->layer[l].from >= 0 || rows > rows_transposed(b)) {
        return input_of(b, l, rows, x);
    }
    nl_transpose_single(rows, inputs, x, inputs, b->samples, rows);
    return (nl_activations){.data = b->samples, .op = 'N', .ld = rows};
}

static nl_pass pass_of(const nl_unit_batch *b, const float *theta, const nl_layer *layer, int rows)
{
    return (nl_pass){.weights = theta + layer->weights,
                     .biases = theta + layer->biases,
                     .activation = b->net->spec.activation,
                     .rows = rows,
                     .pieces = b->pieces};
}

/* Columns of a product that are a piece of work, where each takes so many multiplications. */
static int piece_columns(int columns, double multiplications)
{
    const double worth = piece_size / multiplications;

    return worth < columns
               ? nl_even_part(columns, ((int)worth / nl_block_units + 1) * nl_block_units)
               : columns;
}

static int count_pieces(int columns, int step)
{
    return (columns + step - 1) / step;
}

/** The forward pass of one layer. */
typedef struct layer_forward {
    const nl_layer *layer;
    nl_pass pass;
    nl_activations in;
    float *out, *slopes;
    int step; /* units of a piece */
} layer_forward;

static void forward_units(void *context, int piece, int worker)
{
    const layer_forward *f = context;
    const int first = piece * f->step;
    const nl_unit_range units = {first, nl_smaller(f->step, f->layer->fan_out - first)};

    (void)worker;
    nl_dense_forward(f->layer, &f->pass, units, f->in, f->out, f->slopes);
}

void nl_unit_batch_forward(nl_unit_batch *b, const float *theta, int rows, const float *x,
                           bool with_slopes, float *logits)
{
    const nl_net *net = b->net;

    assert(rows >= 1 && rows <= b->batch);
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        float *out = layer->activates ? b->hidden + b->place[l] : b->delta;
        layer_forward f = {.layer = layer,
                           .pass = pass_of(b, theta, layer, rows),
                           .in = forward_input_of(b, l, rows, x),
                           .out = out,
                           .slopes = with_slopes ? slopes_of(b, l) : NULL,
                           .step = piece_columns(layer->fan_out, (double)layer->fan_in * rows)};

        nl_crew_run(b->crew, forward_units, &f, count_pieces(layer->fan_out, f.step));
        if (layer->role == NL_ROLE_OUTPUT) {
            nl_transpose_single(layer->fan_out, rows, out, rows, logits, layer->fan_out);
        }
    }
}

/* What one layer's turn on the way back takes. */
typedef struct layer_step {
    nl_unit_batch *batch;
    nl_trained *trained;
    const nl_layer *layer;
    nl_pass pass;
    nl_update weights, biases;
    nl_activations in; /* what the layer takes */
    int step;          /* units or inputs of a piece */
} layer_step;

/* W -= rate dL/dW and its kin, of a block.  The gradient of momentum and adam is made and used
 * while it is in the L2 cache; sgd's goes straight into W. */
static void update_block(const layer_step *s, const nl_weight_block *block, nl_activations in,
                         float *gradient)
{
    const nl_unit_batch *b = s->batch;
    const int fan_in = s->layer->fan_in;
    const size_t at =
        s->layer->weights + (size_t)block->unit * (size_t)fan_in + (size_t)block->input;
    const int runs = block->inputs < fan_in ? block->units : 1; /* weights that lie side by side */
    const size_t run = (size_t)block->inputs * (size_t)(block->units / runs);
    const nl_update *update = &s->weights;
    float *w = s->trained->theta + at;
    float *v = NULL;
    nl_weight_sum sum = {.data = w, .ld = fan_in, .alpha = 1.0};

    switch (s->trained->spec.optimizer) {
    case NL_SGD: /* W = (1 - rate decay) W - rate dL/dW */
        sum.alpha = -update->rate;
        sum.beta = 1.0 - update->rate * update->decay;
        nl_dense_weight_gradient(s->layer, &s->pass, block, in, b->delta, sum);
        break;
    case NL_MOMENTUM: /* v = momentum v + dL/dW */
        v = s->trained->state + at;
        sum.data = v;
        sum.beta = update->momentum;
        nl_dense_weight_gradient(s->layer, &s->pass, block, in, b->delta, sum);
        for (size_t r = 0, k = 0; r < (size_t)runs; r++, k += (size_t)fan_in) {
            nl_update_momentum(update, run, v + k, w + k);
        }
        break;
    default:
        v = s->trained->state + at;
        sum.data = gradient;
        sum.ld = block->inputs;
        nl_dense_weight_gradient(s->layer, &s->pass, block, in, b->delta, sum);
        for (size_t r = 0, k = 0; r < (size_t)runs; r++, k += (size_t)fan_in) {
            nl_update_adam(update, run, gradient + r * run, v + k, v + s->trained->net->size + k,
                           w + k);
        }
        break;
    }
}

/* Room for the gradient of a panel or block that this thread computes. */
static float *gradient_of(const nl_unit_batch *b, int worker)
{
    return worker > 0 && b->others != NULL ? b->others + (size_t)(worker - 1) * b->gradient_size
                                           : b->gradient;
}

/* Units of a panel of weights. */
static int panel_units(const layer_step *s)
{
    const nl_layer *layer = s->layer;
    const int units = layer->fan_out;
    const int fitting = panel_size / layer->fan_in;

    return s->batch->optimizer == NL_SGD
               ? piece_columns(units, (double)layer->fan_in * s->pass.rows)
               : nl_even_part(units, nl_larger(fitting / 8 * 8, 1));
}

static void update_panel(void *context, int piece, int worker)
{
    const layer_step *s = context;
    const int unit = piece * s->step;
    const nl_weight_block block = {.unit = unit,
                                   .units = nl_smaller(s->step, s->layer->fan_out - unit),
                                   .inputs = s->layer->fan_in};

    update_block(s, &block, s->in, gradient_of(s->batch, worker));
}

/* phi' of the layer below, into `below` of some inputs. */
static void through_activation(const layer_step *s, int input, int inputs)
{
    const nl_unit_batch *b = s->batch;
    const size_t first = (size_t)input * (size_t)s->pass.rows;
    const float *slopes = slopes_of(b, s->layer->from);

    nl_activate_backward(b->net->spec.activation, (size_t)inputs * (size_t)s->pass.rows,
                         b->hidden + b->place[s->layer->from] + first,
                         slopes != NULL ? slopes + first : NULL, b->below + first);
}

static void propagate_inputs(void *context, int piece, int worker)
{
    const layer_step *s = context;
    const int input = piece * s->step;
    const nl_weight_block block = {.units = s->layer->fan_out,
                                   .input = input,
                                   .inputs = nl_smaller(s->step, s->layer->fan_in - input)};

    (void)worker;
    nl_dense_backward(s->layer, &s->pass, &block, s->batch->delta, s->batch->below);
    through_activation(s, input, block.inputs);
}

/* What the layer takes, of some inputs, row by row: products with it are quicker. */
static nl_activations turned_input(const layer_step *s, const nl_weight_block *block)
{
    const int rows = s->pass.rows;
    const int ld = turned_ld(s->layer->fan_in);

    nl_transpose_single(block->inputs, rows, s->in.data + (size_t)block->input * (size_t)rows, rows,
                        s->batch->turned + block->input, ld);
    return (nl_activations){.data = s->batch->turned, .op = 'T', .ld = ld};
}

/* Backward product and update of a wide layer: each block of W is read once from memory, for both.
 * Inputs are independent of each other. */
static void step_inputs(void *context, int piece, int worker)
{
    const layer_step *s = context;
    const int input = piece * s->step;
    nl_weight_block block = {.input = input,
                             .inputs = nl_smaller(s->step, s->layer->fan_in - input)};
    const nl_activations in = turned_input(s, &block);

    for (; block.unit < s->layer->fan_out; block.unit += nl_block_units) {
        block.units = nl_smaller(s->layer->fan_out - block.unit, nl_block_units);
        nl_dense_backward(s->layer, &s->pass, &block, s->batch->delta, s->batch->below);
        update_block(s, &block, in, gradient_of(s->batch, worker));
    }
    through_activation(s, input, block.inputs);
}

static void step_weights(nl_unit_batch *b, layer_step *s)
{
    const nl_layer *layer = s->layer;

    if (layer->from >= 0 && nl_dense_by_blocks(layer, &s->pass)) {
        s->step = nl_block_inputs;
        nl_crew_run(b->crew, step_inputs, s, count_pieces(layer->fan_in, s->step));
        return;
    }
    if (layer->from >= 0) {
        s->step = piece_columns(layer->fan_in, (double)layer->fan_out * s->pass.rows);
        nl_crew_run(b->crew, propagate_inputs, s, count_pieces(layer->fan_in, s->step));
    }
    s->step = panel_units(s);
    nl_crew_run(b->crew, update_panel, s, count_pieces(layer->fan_out, s->step));
}

static void update_biases(nl_unit_batch *b, const layer_step *s)
{
    const nl_layer *layer = s->layer;
    const nl_update *update = &s->biases;
    const size_t count = (size_t)layer->fan_out;
    float *biases = s->trained->theta + layer->biases;
    float *v = NULL;

    nl_dense_bias_gradient(layer, &s->pass, b->delta, b->gradient);
    switch (s->trained->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, b->gradient, biases);
        break;
    case NL_MOMENTUM:
        v = s->trained->state + layer->biases;
        nl_add_momentum(update, count, b->gradient, v);
        nl_update_momentum(update, count, v, biases);
        break;
    default:
        v = s->trained->state + layer->biases;
        nl_update_adam(update, count, b->gradient, v, v + s->trained->net->size, biases);
        break;
    }
}

/* From delta of the output layer down, each layer updated as soon as its old W has been used.  Each
 * takes from the one before it: one delta is alive at a time. */
void nl_unit_batch_backward(nl_unit_batch *b, nl_trained *trained, long step, int rows,
                            const float *x, const float *error)
{
    nl_transpose_single(rows, b->net->spec.outputs, error, b->net->spec.outputs, b->delta, rows);
    for (int l = nl_net_output(b->net); l >= 0; l--) {
        const nl_layer *layer = &b->net->layer[l];
        layer_step s = {.batch = b,
                        .trained = trained,
                        .layer = layer,
                        .pass = pass_of(b, trained->theta, layer, rows),
                        .weights = nl_update_of(&trained->spec, step, layer->weight_rate),
                        .biases = nl_update_of(&trained->spec, step, layer->bias_rate),
                        .in = input_of(b, l, rows, x)};
        float *used = b->delta;

        step_weights(b, &s);
        if (layer->trains_bias) {
            update_biases(b, &s);
        }
        b->delta = b->below;
        b->below = used;
    }
}
