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
    most_transposed = 64    /* rows of samples; more gain nothing */
};

struct nl_unit_batch {
    const nl_net *net; /* borrowed */
    nl_optimizer optimizer;
    int batch;            /* most rows */
    bool pieces;          /* nl_blas_likes_pieces() */
    size_t *place;        /* owned; [layers]: where a layer's output lies in `hidden`, `slopes` */
    float *hidden;        /* owned; outputs of all layers that activate, each with room for the
                             batch */
    float *slopes;        /* owned; phi' likewise; NULL where it follows from phi */
    float *delta, *below; /* owned; [widest x batch]: gradient by the z of a layer, and of the layer
                             it takes from in the making */
    float *samples;       /* owned; x, unit by unit: [inputs x rows_transposed()] */
    float *gradient;      /* owned; [a panel of weights, at least a unit's; or the biases] */
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

/* Rows of samples up to which they are transposed for the first product; 0: never. */
static int rows_transposed(const nl_unit_batch *b)
{
    return b->pieces && b->net->layer[0].fan_out >= least_width
               ? nl_smaller(b->batch, most_transposed)
               : 0;
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
    b->gradient = nl_calloc(panel_size + largest_unit(net) + widest, sizeof *b->gradient);
    if (b->place == NULL || b->hidden == NULL || (stores_slopes(net) && b->slopes == NULL) ||
        b->delta == NULL || b->below == NULL || b->samples == NULL || b->gradient == NULL) {
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
        free(b->gradient);
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

void nl_unit_batch_forward(nl_unit_batch *b, const float *theta, int rows, const float *x,
                           bool with_slopes, float *logits)
{
    const nl_net *net = b->net;

    assert(rows >= 1 && rows <= b->batch);
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const nl_pass pass = pass_of(b, theta, layer, rows);
        const nl_activations in = forward_input_of(b, l, rows, x);
        float *out = layer->activates ? b->hidden + b->place[l] : b->delta;

        nl_dense_forward(layer, &pass, in, out, with_slopes ? slopes_of(b, l) : NULL);
        if (layer->role == NL_ROLE_OUTPUT) {
            nl_transpose_single(layer->fan_out, rows, out, rows, logits, layer->fan_out);
        }
    }
}

/* Units of a panel of weights. */
static int panel_units(const nl_unit_batch *b, const nl_layer *layer)
{
    const int units = layer->fan_out;
    const int fitting = panel_size / layer->fan_in;

    return b->optimizer == NL_SGD ? units : nl_even_part(units, nl_larger(fitting / 8 * 8, 1));
}

/* W -= rate dL/dW and its kin.  The gradient of momentum and adam is made and used panel by panel,
 * a panel being as many units as fit; sgd's goes straight into W. */
static void update_weights(nl_unit_batch *b, nl_trained *trained, const nl_layer *layer,
                           const nl_update *update, int rows, nl_activations in)
{
    const nl_pass pass = pass_of(b, trained->theta, layer, rows);
    const int panel = panel_units(b, layer);

    for (int first = 0; first < layer->fan_out; first += panel) {
        nl_unit_range part = {
            .first = first, .count = nl_smaller(layer->fan_out - first, panel), .alpha = 1.0};
        const size_t count = (size_t)part.count * (size_t)layer->fan_in;
        const size_t at = layer->weights + (size_t)first * (size_t)layer->fan_in;
        float *w = trained->theta + at;

        switch (trained->spec.optimizer) {
        case NL_SGD: /* W = (1 - rate decay) W - rate dL/dW */
            part.alpha = -update->rate;
            part.beta = 1.0 - update->rate * update->decay;
            nl_dense_weight_gradient(layer, &pass, &part, in, b->delta, w);
            break;
        case NL_MOMENTUM: /* v = momentum v + dL/dW */
            part.beta = update->momentum;
            nl_dense_weight_gradient(layer, &pass, &part, in, b->delta, trained->state + at);
            nl_update_momentum(update, count, trained->state + at, w);
            break;
        default:
            nl_dense_weight_gradient(layer, &pass, &part, in, b->delta, b->gradient);
            nl_update_adam(update, count, b->gradient, trained->state + at,
                           trained->state + trained->net->size + at, w);
            break;
        }
    }
}

static void update_biases(nl_unit_batch *b, nl_trained *trained, const nl_layer *layer,
                          const nl_update *update, int rows)
{
    const nl_pass pass = pass_of(b, trained->theta, layer, rows);
    const size_t count = (size_t)layer->fan_out;
    float *biases = trained->theta + layer->biases;
    float *v = NULL;

    nl_dense_bias_gradient(layer, &pass, b->delta, b->gradient);
    switch (trained->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, b->gradient, biases);
        break;
    case NL_MOMENTUM:
        v = trained->state + layer->biases;
        nl_add_momentum(update, count, b->gradient, v);
        nl_update_momentum(update, count, v, biases);
        break;
    default:
        nl_update_adam(update, count, b->gradient, trained->state + layer->biases,
                       trained->state + trained->net->size + layer->biases, biases);
        break;
    }
}

/* From delta of a layer to that of the layer it takes from, in `below`. */
static void propagate(nl_unit_batch *b, const float *theta, const nl_layer *layer, int rows)
{
    const nl_pass pass = pass_of(b, theta, layer, rows);

    nl_dense_backward(layer, &pass, b->delta, b->below);
    nl_activate_backward(b->net->spec.activation, (size_t)nl_shape_size(layer->in) * (size_t)rows,
                         b->hidden + b->place[layer->from], slopes_of(b, layer->from), b->below);
}

/* From delta of the output layer down, each layer updated as soon as its old W has been used.  Each
 * takes from the one before it: one delta is alive at a time. */
void nl_unit_batch_backward(nl_unit_batch *b, nl_trained *trained, long step, int rows,
                            const float *x, const float *error)
{
    nl_transpose_single(rows, b->net->spec.outputs, error, b->net->spec.outputs, b->delta, rows);
    for (int l = nl_net_output(b->net); l >= 0; l--) {
        const nl_layer *layer = &b->net->layer[l];
        const nl_update weights = nl_update_of(&trained->spec, step, layer->weight_rate);
        const nl_update biases = nl_update_of(&trained->spec, step, layer->bias_rate);
        float *used = b->delta;

        if (layer->from >= 0) {
            propagate(b, trained->theta, layer, rows);
        }
        update_weights(b, trained, layer, &weights, rows, input_of(b, l, rows, x));
        if (layer->trains_bias) {
            update_biases(b, trained, layer, &biases, rows);
        }
        b->delta = b->below;
        b->below = used;
    }
}
