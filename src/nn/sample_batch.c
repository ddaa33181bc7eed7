/** @file sample_batch.c  A batch on its way through any network, sample by sample. */
#include "sample_batch.h"
#include "optimizer.h"

#include "ntklens/passes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { least_rows = 4, most_rows = 64 };

static const double cached_bytes = 1.5e6; /* of the samples that go through together */
static const double per_parameter = 6.0;  /* or so many times those of all parameters */

struct nl_sample_batch {
    const nl_net *net; /* borrowed */
    int rows;          /* samples that go through together */
    nl_passes *passes; /* owned */
    float *gradient;   /* owned; [net->size] of the loss, summed so far */
    float *piece;      /* owned; [parameters of the largest layer] of some samples */
    float *error;      /* owned; [rows x outputs] */
};

/** Some samples of a step. */
typedef struct step_part {
    nl_sample_batch *batch;
    int rows;
    bool first;
} step_part;

static nl_passes_spec passes_spec(int rows)
{
    return (nl_passes_spec){.precision = NL_SINGLE, .rows = rows, .seeds = 1};
}

/* As many as the caches hold, but enough that adding up gradients costs little.  A function of
 * shapes, for gradients are summed part by part. */
static int rows_together(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(most_rows);
    const double of_parameters = per_parameter * (double)net->size * sizeof(float);

    return nl_larger(nl_passes_rows_within(net, &spec, fmax(cached_bytes, of_parameters)),
                     least_rows);
}

double nl_sample_batch_floats(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(rows_together(net));
    const double bytes =
        nl_passes_bytes(net, &spec) * spec.rows + nl_passes_fixed_bytes(net, &spec);

    return bytes / sizeof(float) + (double)net->size + (double)nl_net_largest_layer(net) +
           (double)spec.rows * net->spec.outputs;
}

nl_status nl_sample_batch_create(const nl_net *net, nl_sample_batch **out)
{
    const nl_passes_spec spec = passes_spec(rows_together(net));
    nl_sample_batch *batch = calloc(1, sizeof *batch);
    nl_status status = NL_OK;

    *out = batch;
    if (batch != NULL) {
        batch->net = net;
        batch->rows = spec.rows;
        batch->gradient = nl_calloc(net->size, sizeof *batch->gradient);
        batch->piece = nl_calloc(nl_net_largest_layer(net), sizeof *batch->piece);
        batch->error =
            nl_calloc((size_t)spec.rows * (size_t)net->spec.outputs, sizeof *batch->error);
    }
    if (batch == NULL || batch->gradient == NULL || batch->piece == NULL || batch->error == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "network of %zu parameters in training", net->size);
    } else {
        status = nl_passes_create(net, &spec, &batch->passes);
    }
    if (status != NL_OK) {
        nl_sample_batch_destroy(out);
    }
    return status;
}

void nl_sample_batch_destroy(nl_sample_batch **batch)
{
    if (*batch != NULL) {
        nl_passes_destroy(&(*batch)->passes);
        free((*batch)->gradient);
        free((*batch)->piece);
        free((*batch)->error);
        free(*batch);
        *batch = NULL;
    }
}

void nl_sample_batch_forward(nl_sample_batch *batch, const float *theta, int rows, const float *x,
                             float *logits)
{
    const size_t inputs = (size_t)batch->net->spec.inputs;
    const size_t outputs = (size_t)batch->net->spec.outputs;

    nl_passes_set_parameters(batch->passes, theta);
    for (int first = 0; first < rows; first += batch->rows) {
        const int part = nl_smaller(batch->rows, rows - first);

        nl_passes_forward(batch->passes, part, x + (size_t)first * inputs, NULL);
        memcpy(logits + (size_t)first * outputs, nl_passes_outputs(batch->passes),
               (size_t)part * outputs * sizeof *logits);
    }
}

NL_VECTOR_CLONES
static void add(size_t n, const float *restrict from, float *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += from[k];
    }
}

/* The gradient by a layer's parameters, of some samples more. */
static void add_layer(int l, const void *delta, void *context)
{
    const step_part *part = context;
    nl_sample_batch *batch = part->batch;
    const nl_layer *layer = &batch->net->layer[l];
    const size_t weights = nl_layer_weights(layer);
    float *sum = batch->gradient + layer->weights;
    float *piece = part->first ? sum : batch->piece;

    if (layer->fan_out == 0) {
        return;
    }
    nl_passes_gradient(batch->passes, l, 0, part->rows, delta, piece, piece + weights);
    if (!part->first) {
        add(weights + (size_t)layer->fan_out, piece, sum);
    }
}

static void update_group(nl_trained *trained, const nl_update *update, size_t first, size_t count,
                         const float *gradient)
{
    float *w = trained->theta + first;
    float *v = trained->state + first;

    switch (trained->spec.optimizer) {
    case NL_SGD:
        nl_update_sgd(update, count, gradient, w);
        break;
    case NL_MOMENTUM:
        nl_add_momentum(update, count, gradient, v);
        nl_update_momentum(update, count, v, w);
        break;
    default:
        nl_update_adam(update, count, gradient, v, v + trained->net->size, w);
        break;
    }
}

static void update(nl_trained *trained, long step, const float *gradient)
{
    for (int l = 0; l < trained->net->layers; l++) {
        const nl_layer *layer = &trained->net->layer[l];
        const nl_update weights = nl_update_of(&trained->spec, step, layer->weight_rate);
        const nl_update biases = nl_update_of(&trained->spec, step, layer->bias_rate);

        update_group(trained, &weights, layer->weights, nl_layer_weights(layer),
                     gradient + layer->weights);
        if (layer->trains_bias) {
            update_group(trained, &biases, layer->biases, (size_t)layer->fan_out,
                         gradient + layer->biases);
        }
    }
}

double nl_sample_batch_step(nl_sample_batch *batch, nl_trained *trained, long step, int rows,
                            const float *x, const int *labels)
{
    const int outputs = batch->net->spec.outputs;
    double loss = 0.0;

    nl_passes_set_parameters(batch->passes, trained->theta);
    for (int first = 0; first < rows; first += batch->rows) {
        step_part part = {
            .batch = batch, .rows = nl_smaller(batch->rows, rows - first), .first = first == 0};
        const double share = (double)part.rows / rows;

        nl_passes_forward(batch->passes, part.rows,
                          x + (size_t)first * (size_t)batch->net->spec.inputs, NULL);
        loss += share * nl_loss_gradient(trained->spec.loss, part.rows, outputs,
                                         nl_passes_outputs(batch->passes), labels + first,
                                         batch->error);
        for (int k = 0; k < part.rows * outputs; k++) {
            batch->error[k] = (float)(share * (double)batch->error[k]);
        }
        nl_passes_backward(batch->passes, batch->error, 0, add_layer, &part);
    }
    update(trained, step, batch->gradient);
    return loss;
}
