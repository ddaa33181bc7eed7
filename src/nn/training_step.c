/** @file training_step.c  A network in training: forward, backward, one step. */
#include "activation.h"
#include "layer.h"
#include "layer_kinds.h"
#include "optimizer.h"

#include "ntklens/blas.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

enum {
    panel_size = 64 * 1024, /* floats of a weight gradient that are made and used up at a time: they
                               stay in the L2 cache */
    least_width = 48,       /* where transposing the samples pays */
    most_transposed = 64    /* rows of samples; more gain nothing */
};

struct nl_model {
    const nl_net *net; /* borrowed */
    nl_train_spec spec;
    int batch;         /* most rows */
    float *theta;      /* owned, [net->size] */
    float *state;      /* owned, [state_size]: momentum v; adam m, then v */
    size_t state_size; /* floats */
    bool pieces;       /* nl_blas_likes_pieces() */
    /* Scratch, owned.  All but the logits lie unit by unit, [units x rows] (see activation.h). */
    size_t *place;         /* [layers]: where a layer's output lies in `hidden`, `slopes` */
    float *hidden;         /* outputs of all layers that activate, each with room for the batch */
    float *slopes;         /* phi' likewise; NULL where it follows from phi */
    float *delta, *below;  /* [widest x batch]: gradient by the z of a layer, and of the layer it
                              takes from in the making */
    float *samples;        /* x, unit by unit: [inputs x rows_transposed()] */
    float *logits, *error; /* [batch x outputs]: f, and the gradient by f */
    float *gradient;       /* [a panel of weights, at least a slice; or the biases] */
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

static size_t slice_size(const nl_layer *layer)
{
    return nl_layer_weights(layer) / (size_t)nl_layer_ops_of(layer)->slices(layer);
}

static size_t largest_slice(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t size = slice_size(&net->layer[l]);

        most = size > most ? size : most;
    }
    return most;
}

double nl_model_row_floats(const nl_net *net)
{
    return (double)hidden_size(net) * (stores_slopes(net) ? 2.0 : 1.0) + 2.0 * nl_net_widest(net) +
           2.0 * net->spec.outputs;
}

/* Rows of samples up to which they are transposed for the first product; 0: never. */
static int rows_transposed(const nl_model *model)
{
    return model->pieces && model->net->layer[0].fan_out >= least_width
               ? nl_smaller(model->batch, most_transposed)
               : 0;
}

static nl_status check_spec(const nl_net *net, const nl_train_spec *spec, int batch)
{
    if (spec->optimizer != net->optimizer) {
        return NL_FAIL(NL_ERR_ARG, "network made for %s, training with %s: expected the same",
                       nl_optimizer_name(net->optimizer), nl_optimizer_name(spec->optimizer));
    }
    if (spec->loss >= NL_LOSS_COUNT || spec->schedule >= NL_SCHEDULE_COUNT) {
        return NL_FAIL(NL_ERR_ARG, "training: unknown loss or schedule");
    }
    if (batch < 1 || !isfinite(spec->learning_rate) || !isfinite(spec->momentum) ||
        !isfinite(spec->weight_decay)) {
        return NL_FAIL(NL_ERR_ARG, "training: expected a positive batch and finite rates");
    }
    if (spec->schedule == NL_COSINE && spec->max_steps < 1) {
        return NL_FAIL(NL_ERR_ARG, "cosine schedule over %ld steps: expected at least one",
                       spec->max_steps);
    }
    return NL_OK;
}

static nl_status allocate(nl_model *model)
{
    const nl_net *net = model->net;
    const size_t batch = (size_t)model->batch;
    const size_t hidden = hidden_size(net) * batch;
    const size_t widest = (size_t)nl_net_widest(net);
    const size_t inputs = (size_t)net->spec.inputs;
    const size_t outputs = (size_t)net->spec.outputs;

    model->theta = nl_calloc(net->size, sizeof *model->theta);
    model->state = nl_calloc(model->state_size, sizeof *model->state);
    model->place = nl_calloc((size_t)net->layers, sizeof *model->place);
    model->hidden = nl_calloc(hidden, sizeof *model->hidden);
    model->slopes = stores_slopes(net) ? nl_calloc(hidden, sizeof *model->slopes) : NULL;
    model->delta = nl_calloc(widest * batch, sizeof *model->delta);
    model->below = nl_calloc(widest * batch, sizeof *model->below);
    model->samples = nl_calloc(inputs * (size_t)rows_transposed(model), sizeof *model->samples);
    model->logits = nl_calloc(outputs * batch, sizeof *model->logits);
    model->error = nl_calloc(outputs * batch, sizeof *model->error);
    model->gradient = nl_calloc(panel_size + largest_slice(net) + widest, sizeof *model->gradient);
    if (model->theta == NULL || model->state == NULL || model->place == NULL ||
        model->hidden == NULL || (stores_slopes(net) && model->slopes == NULL) ||
        model->delta == NULL || model->below == NULL || model->samples == NULL ||
        model->logits == NULL || model->error == NULL || model->gradient == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training on batches of %d",
                       net->size, model->batch);
    }
    return NL_OK;
}

static void place_outputs(nl_model *model)
{
    size_t place = 0;

    for (int l = 0; l < model->net->layers; l++) {
        const nl_layer *layer = &model->net->layer[l];

        model->place[l] = place;
        place += layer->activates ? (size_t)nl_shape_size(layer->out) * (size_t)model->batch : 0;
    }
}

nl_status nl_model_create(const nl_net *net, const nl_train_spec *spec, int batch, nl_model **out)
{
    static const size_t states[NL_OPTIMIZER_COUNT] = {
        [NL_SGD] = 0, [NL_MOMENTUM] = 1, [NL_ADAM] = 2};
    nl_status status = check_spec(net, spec, batch);
    nl_model *model = NULL;

    *out = NULL;
    if (status != NL_OK) {
        return status;
    }
    model = calloc(1, sizeof *model);
    if (model == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network in training");
    }
    *model =
        (nl_model){.net = net, .spec = *spec, .batch = batch, .pieces = nl_blas_likes_pieces()};
    model->state_size = states[spec->optimizer] * net->size;
    status = allocate(model);
    if (status != NL_OK) {
        nl_model_destroy(&model);
        return status;
    }
    place_outputs(model);
    *out = model;
    return NL_OK;
}

void nl_model_destroy(nl_model **model)
{
    nl_model *m = *model;

    if (m != NULL) {
        free(m->gradient);
        free(m->error);
        free(m->logits);
        free(m->samples);
        free(m->below);
        free(m->delta);
        free(m->slopes);
        free(m->hidden);
        free(m->place);
        free(m->state);
        free(m->theta);
        free(m);
        *model = NULL;
    }
}

float *nl_model_parameters(nl_model *model)
{
    return model->theta;
}

float *nl_model_optimizer_state(nl_model *model, size_t *size)
{
    *size = model->state_size;
    return model->state;
}

/* phi' of a layer; NULL where it follows from phi. */
static float *slopes_of(const nl_model *model, int l)
{
    return model->slopes != NULL ? model->slopes + model->place[l] : NULL;
}

/* What layer l takes: the samples, or the output of another layer. */
static nl_activations input_of(const nl_model *model, int l, int rows, const float *x)
{
    const int from = model->net->layer[l].from;

    if (from < 0) {
        return (nl_activations){.data = x, .op = 'T', .ld = model->net->spec.inputs};
    }
    return (nl_activations){.data = model->hidden + model->place[from], .op = 'N', .ld = rows};
}

/* The same in the forward pass: few samples are transposed, the product is quicker with them. */
static nl_activations forward_input_of(nl_model *model, int l, int rows, const float *x)
{
    const int inputs = model->net->spec.inputs;

    if (model->net->layer[l].from >= 0 || rows > rows_transposed(model)) {
        return input_of(model, l, rows, x);
    }
    nl_transpose_single(rows, inputs, x, inputs, model->samples, rows);
    return (nl_activations){.data = model->samples, .op = 'N', .ld = rows};
}

static nl_pass pass_of(const nl_model *model, const nl_layer *layer, int rows)
{
    return (nl_pass){.weights = model->theta + layer->weights,
                     .biases = model->theta + layer->biases,
                     .activation = model->net->spec.activation,
                     .rows = rows,
                     .pieces = model->pieces};
}

/* Fill hidden activations and logits, and slopes where asked for. */
static void forward(nl_model *model, int rows, const float *x, bool with_slopes)
{
    const nl_net *net = model->net;

    assert(rows >= 1 && rows <= model->batch);
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const nl_pass pass = pass_of(model, layer, rows);
        const nl_activations in = forward_input_of(model, l, rows, x);
        float *out = layer->activates ? model->hidden + model->place[l] : model->delta;

        nl_layer_ops_of(layer)->forward(layer, &pass, in, out,
                                        with_slopes ? slopes_of(model, l) : NULL);
        if (layer->role == NL_ROLE_OUTPUT) {
            nl_transpose_single(layer->fan_out, rows, out, rows, model->logits, layer->fan_out);
        }
    }
}

const float *nl_model_forward(nl_model *model, int rows, const float *x)
{
    forward(model, rows, x, false);
    return model->logits;
}

/* Slices of a panel of weights. */
static int panel_slices(const nl_model *model, const nl_layer *layer)
{
    const int slices = nl_layer_ops_of(layer)->slices(layer);
    const int fitting = panel_size / (int)slice_size(layer);

    return model->spec.optimizer == NL_SGD ? slices
                                           : nl_even_part(slices, nl_larger(fitting / 8 * 8, 1));
}

/* W -= rate dL/dW and its kin.  The gradient of momentum and adam is made and used panel by panel,
 * a panel being as many slices as fit; sgd's goes straight into W. */
static void update_weights(nl_model *model, const nl_layer *layer, const nl_update *update,
                           int rows, nl_activations in)
{
    const nl_layer_ops *ops = nl_layer_ops_of(layer);
    const nl_pass pass = pass_of(model, layer, rows);
    const int slices = ops->slices(layer);
    const int panel = panel_slices(model, layer);

    for (int first = 0; first < slices; first += panel) {
        nl_slices part = {.first = first, .count = nl_smaller(slices - first, panel), .alpha = 1.0};
        const size_t count = (size_t)part.count * slice_size(layer);
        const size_t at = layer->weights + (size_t)first * slice_size(layer);
        float *w = model->theta + at;

        switch (model->spec.optimizer) {
        case NL_SGD: /* W = (1 - rate decay) W - rate dL/dW */
            part.alpha = -update->rate;
            part.beta = 1.0 - update->rate * update->decay;
            ops->weight_gradient(layer, &pass, &part, in, model->delta, w);
            break;
        case NL_MOMENTUM: /* v = momentum v + dL/dW */
            part.beta = update->momentum;
            ops->weight_gradient(layer, &pass, &part, in, model->delta, model->state + at);
            nl_update_momentum(update, count, model->state + at, w);
            break;
        default:
            ops->weight_gradient(layer, &pass, &part, in, model->delta, model->gradient);
            nl_update_adam(update, count, model->gradient, model->state + at,
                           model->state + model->net->size + at, w);
            break;
        }
    }
}

static void update_biases(nl_model *model, const nl_layer *layer, const nl_update *update, int rows)
{
    const nl_pass pass = pass_of(model, layer, rows);
    const size_t count = (size_t)layer->fan_out;
    float *b = model->theta + layer->biases;
    float *v = NULL;

    nl_layer_ops_of(layer)->bias_gradient(layer, &pass, model->delta, model->gradient);
    switch (model->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, model->gradient, b);
        break;
    case NL_MOMENTUM:
        v = model->state + layer->biases;
        for (size_t k = 0; k < count; k++) {
            v[k] = update->momentum * v[k] + model->gradient[k];
        }
        nl_update_momentum(update, count, v, b);
        break;
    default:
        nl_update_adam(update, count, model->gradient, model->state + layer->biases,
                       model->state + model->net->size + layer->biases, b);
        break;
    }
}

/* From delta of a layer to that of the layer it takes from, in `below`. */
static void propagate(nl_model *model, const nl_layer *layer, int rows)
{
    const nl_pass pass = pass_of(model, layer, rows);

    nl_layer_ops_of(layer)->backward(layer, &pass, model->delta, model->below);
    nl_activate_backward(
        model->net->spec.activation, (size_t)nl_shape_size(layer->in) * (size_t)rows,
        model->hidden + model->place[layer->from], slopes_of(model, layer->from), model->below);
}

/* From delta of the output layer down, each layer updated as soon as its old W has been used.  Each
 * takes from the one before it: one delta is alive at a time. */
static void backward(nl_model *model, long step, int rows, const float *x)
{
    for (int l = nl_net_output(model->net); l >= 0; l--) {
        const nl_layer *layer = &model->net->layer[l];
        const nl_update weights = nl_update_of(&model->spec, step, layer->weight_rate);
        const nl_update biases = nl_update_of(&model->spec, step, layer->bias_rate);
        float *used = model->delta;

        if (layer->from >= 0) {
            propagate(model, layer, rows);
        }
        update_weights(model, layer, &weights, rows, input_of(model, l, rows, x));
        if (layer->trains_bias) {
            update_biases(model, layer, &biases, rows);
        }
        model->delta = model->below;
        model->below = used;
    }
}

/* The moments of dead units decay into subnormal numbers and stay there, on which some CPUs are a
 * hundred times slower.  Round those to zero during a step; returns what restores the old mode. */
static unsigned flush_subnormals(void)
{
#ifdef __SSE2__
    const unsigned flush_results_and_operands = 0x8040;
    const unsigned mode = _mm_getcsr();

    _mm_setcsr(mode | flush_results_and_operands);
    return mode;
#else
    return 0;
#endif
}

static void restore_subnormals(unsigned mode)
{
#ifdef __SSE2__
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

double nl_model_step(nl_model *model, long step, int rows, const float *x, const int *labels)
{
    const int outputs = model->net->spec.outputs;
    const unsigned mode = flush_subnormals();
    double loss = 0.0;

    forward(model, rows, x, true);
    loss = nl_loss_gradient(model->spec.loss, rows, outputs, model->logits, labels, model->error);
    nl_transpose_single(rows, outputs, model->error, outputs, model->delta, rows);
    backward(model, step, rows, x);
    restore_subnormals(mode);
    return loss;
}
