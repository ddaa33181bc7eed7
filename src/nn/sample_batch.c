/** @file sample_batch.c  A batch on its way through any network, sample by sample. */
#include "sample_batch.h"
#include "optimizer.h"

#include "ntklens/passes.h"

#include <stdlib.h>
#include <string.h>

struct nl_sample_batch {
    const nl_net *net; /* borrowed */
    nl_passes *passes; /* owned */
    float *gradient;   /* owned; [parameters of the largest layer] */
};

/** A step in the making. */
typedef struct step_job {
    nl_sample_batch *batch;
    nl_trained *trained;
    long step;
    int rows;
} step_job;

static nl_passes_spec passes_spec(int batch)
{
    return (nl_passes_spec){.precision = NL_SINGLE, .rows = batch, .seeds = 1};
}

static size_t largest_layer(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const size_t size = nl_layer_weights(&net->layer[l]) + (size_t)net->layer[l].fan_out;

        most = size > most ? size : most;
    }
    return most;
}

double nl_sample_batch_row_floats(const nl_net *net)
{
    const nl_passes_spec spec = passes_spec(1);

    return nl_passes_bytes(net, &spec) / sizeof(float);
}

nl_status nl_sample_batch_create(const nl_net *net, int rows, nl_sample_batch **out)
{
    const nl_passes_spec spec = passes_spec(rows);
    nl_sample_batch *batch = calloc(1, sizeof *batch);
    nl_status status = NL_OK;

    *out = batch;
    if (batch != NULL) {
        batch->net = net;
        batch->gradient = nl_calloc(largest_layer(net), sizeof *batch->gradient);
    }
    if (batch == NULL || batch->gradient == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "network in training on batches of %d", rows);
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
        free(*batch);
        *batch = NULL;
    }
}

void nl_sample_batch_forward(nl_sample_batch *batch, const float *theta, int rows, const float *x,
                             float *logits)
{
    const float *outputs = NULL;
    const size_t count = (size_t)rows * (size_t)batch->net->spec.outputs;

    nl_passes_set_parameters(batch->passes, theta);
    nl_passes_forward(batch->passes, rows, x, NULL);
    outputs = nl_passes_outputs(batch->passes);
    memcpy(logits, outputs, count * sizeof *logits);
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

static void update_layer(int l, const void *delta, void *context)
{
    const step_job *job = context;
    nl_trained *trained = job->trained;
    const nl_layer *layer = &trained->net->layer[l];
    const nl_update weights = nl_update_of(&trained->spec, job->step, layer->weight_rate);
    const nl_update biases = nl_update_of(&trained->spec, job->step, layer->bias_rate);
    float *gradient = job->batch->gradient;
    float *of_biases = gradient + nl_layer_weights(layer);

    nl_passes_gradient(job->batch->passes, l, 0, job->rows, delta, gradient, of_biases);
    update_group(trained, &weights, layer->weights, nl_layer_weights(layer), gradient);
    if (layer->trains_bias) {
        update_group(trained, &biases, layer->biases, (size_t)layer->fan_out, of_biases);
    }
}

void nl_sample_batch_backward(nl_sample_batch *batch, nl_trained *trained, long step, int rows,
                              const float *error)
{
    step_job job = {.batch = batch, .trained = trained, .step = step, .rows = rows};

    nl_passes_backward(batch->passes, error, 0, update_layer, &job);
}
