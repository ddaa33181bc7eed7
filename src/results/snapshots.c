/** @file snapshots.c  Parameters in a cell's file, as PyTorch has them, and what they are of. */
#include "snapshots.h"
#include "cell_file.h"

#include <stdlib.h>

static bool has_parameters(const nl_layer *layer)
{
    return layer->fan_out > 0;
}

/*---------------------------------------------------------------------------------------------
 * Layers as text
 *-------------------------------------------------------------------------------------------*/

static void append_kind(const nl_layer *layer, nl_text *out)
{
    char number[32];

    switch (layer->kind) {
    case NL_DENSE:
        nl_text_append(out, "dense %d->%d", layer->fan_in, layer->fan_out);
        break;
    case NL_CONVOLUTION:
        nl_text_append(out, "conv %dx%d %d->%d stride %d padding %d", layer->kernel, layer->kernel,
                       layer->in.channels, layer->fan_out, layer->stride, layer->kernel / 2);
        break;
    case NL_APPLY:
        nl_text_append(out, "apply");
        break;
    case NL_AVERAGE_POOL:
    case NL_MAX_POOL:
        nl_text_append(out, "%s-pool %dx%d stride %d",
                       layer->kind == NL_MAX_POOL ? "max" : "average", layer->kernel, layer->kernel,
                       layer->stride);
        break;
    case NL_GLOBAL_AVERAGE:
        nl_text_append(out, "global-average");
        break;
    case NL_LAYER_NORM:
        nl_text_append(out, "layer-norm %d eps %s", layer->fan_out,
                       nl_format_double(nl_norm_epsilon, number));
        break;
    case NL_ADD:
    default:
        nl_text_append(out, "add %s", nl_format_double(layer->branch_scale, number));
        break;
    }
}

static void append_source(int from, nl_text *out)
{
    if (from < 0) {
        nl_text_append(out, "input");
    } else {
        nl_text_append(out, "%d", from);
    }
}

static void append_layer(const nl_net *net, int l, int parameters, nl_text *out)
{
    const nl_layer *layer = &net->layer[l];
    char number[2][32];

    nl_text_append(out, "%d ", l);
    append_kind(layer, out);
    nl_text_append(out, " from ");
    append_source(layer->from, out);
    if (layer->kind == NL_ADD) {
        nl_text_append(out, " plus ");
        append_source(layer->plus, out);
    }
    if (has_parameters(layer)) {
        nl_text_append(out, " parameters %d s %s t %s", parameters,
                       nl_format_double(layer->weight_scale, number[0]),
                       nl_format_double(layer->bias_scale, number[1]));
    }
    if (layer->activates) {
        nl_text_append(out, " then %s", nl_activation_name(net->spec.activation));
    }
    nl_text_append(out, "\n");
}

void nl_net_append_layers(const nl_net *net, nl_text *out)
{
    const nl_shape image = net->spec.convolutional.image;
    int parameters = 0;

    if (net->spec.kind == NL_MLP) {
        nl_text_append(out, "input %d\n", net->spec.inputs);
    } else {
        nl_text_append(out, "input %dx%dx%d\n", image.channels, image.height, image.width);
    }
    for (int l = 0; l < net->layers; l++) {
        append_layer(net, l, parameters, out);
        parameters += has_parameters(&net->layer[l]);
    }
}

nl_status nl_snapshots_describe(nl_h5 *file, const nl_net *net)
{
    nl_text text = {0};
    nl_status status = NL_OK;

    nl_net_append_layers(net, &text);
    status = text.failed ? NL_FAIL(NL_ERR_NOMEM, "out of memory for %d layers", net->layers)
                         : nl_h5_put_text(file, "/snapshots", "layers", text.data);
    nl_text_free(&text);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * Parameters
 *-------------------------------------------------------------------------------------------*/

static const char *path_of(long step, const char *name, int parameters, char out[64])
{
    snprintf(out, 64, "/snapshots/%ld/%s%d", step, name, parameters);
    return out;
}

/* Scratch for the weights of a layer in PyTorch's order; NULL where ours is the same, or there is
 * no memory. */
static nl_status create_scratch(const nl_net *net, float **out)
{
    const size_t most = nl_net_largest_layer(net);

    *out = NULL;
    if (nl_net_is_dense(net)) {
        return NL_OK;
    }
    *out = nl_calloc(most, sizeof **out);
    return *out != NULL ? NL_OK
                        : NL_FAIL(NL_ERR_NOMEM, "out of memory for %zu weights of a layer", most);
}

nl_status nl_snapshot_put(nl_h5 *file, const nl_net *net, long step, const float *theta)
{
    float *scratch = NULL;
    nl_status status = create_scratch(net, &scratch);
    int parameters = 0;
    char path[64];

    for (int l = 0; status == NL_OK && l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const float *weights = theta + layer->weights;
        size_t shape[nl_most_weight_dimensions] = {0};
        const size_t bias_shape = (size_t)layer->fan_out;
        const int dimensions = nl_layer_weight_shape(layer, shape);

        if (!has_parameters(layer)) {
            continue;
        }
        for (size_t k = 0; scratch != NULL && k < nl_layer_weights(layer); k++) {
            scratch[k] = weights[nl_layer_place(layer, k)];
        }
        status = nl_h5_put(file, path_of(step, "weight", parameters, path), NL_H5_FLOAT, dimensions,
                           shape, scratch != NULL ? scratch : weights);
        THEN(status, nl_h5_put(file, path_of(step, "bias", parameters, path), NL_H5_FLOAT, 1,
                               &bias_shape, theta + layer->biases));
        parameters++;
    }
    free(scratch);
    return status;
}

/* Of the shape that the layer has, not only of its size. */
static nl_status check_shape(const nl_h5_reader *file, const char *path, const nl_layer *layer)
{
    size_t wanted[nl_most_weight_dimensions] = {0};
    size_t found[nl_most_weight_dimensions] = {0};
    const int dimensions = nl_layer_weight_shape(layer, wanted);
    nl_status status = nl_h5_shape(file, path, dimensions, found);

    for (int d = 0; status == NL_OK && d < dimensions; d++) {
        if (found[d] != wanted[d]) {
            status = NL_FAIL(NL_ERR_DAMAGED, "%s: %s has %zu entries along dimension %d, not %zu",
                             file->name, path, found[d], d, wanted[d]);
        }
    }
    return status;
}

nl_status nl_snapshot_get(const nl_h5_reader *file, const nl_net *net, long step, float *theta)
{
    float *scratch = NULL;
    nl_status status = create_scratch(net, &scratch);
    int parameters = 0;
    char path[64];

    for (int l = 0; status == NL_OK && l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const size_t count = nl_layer_weights(layer);
        float *weights = theta + layer->weights;

        if (!has_parameters(layer)) {
            continue;
        }
        path_of(step, "weight", parameters, path);
        status = check_shape(file, path, layer);
        THEN(status,
             nl_h5_get(file, path, NL_H5_FLOAT, count, scratch != NULL ? scratch : weights));
        for (size_t k = 0; status == NL_OK && scratch != NULL && k < count; k++) {
            weights[nl_layer_place(layer, k)] = scratch[k];
        }
        THEN(status, nl_h5_get(file, path_of(step, "bias", parameters, path), NL_H5_FLOAT,
                               (size_t)layer->fan_out, theta + layer->biases));
        parameters++;
    }
    free(scratch);
    return status;
}
