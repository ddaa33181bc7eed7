/** @file layer_kinds.c  The kinds of layers. */
#include "layer_kinds.h"
#include "dense.h"
#include "layer.h"

const nl_layer_ops *nl_layer_ops_of(const nl_layer *layer)
{
    static const nl_layer_ops *const ops[NL_LAYER_KIND_COUNT] = {[NL_DENSE] = &nl_dense_ops};

    return ops[layer->kind];
}

int nl_shape_size(nl_shape shape)
{
    return shape.height * shape.width * shape.channels;
}

size_t nl_layer_weights(const nl_layer *layer)
{
    return layer->biases - layer->weights;
}

int nl_layer_weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions])
{
    return nl_layer_ops_of(layer)->weight_shape(layer, shape);
}

double nl_layer_forward_flops(const nl_layer *layer)
{
    return nl_layer_ops_of(layer)->forward_flops(layer);
}
