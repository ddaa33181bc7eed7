/** @file layer_kinds.c  The kinds of layers. */
#include "layer_kinds.h"
#include "convolution_layer.h"
#include "dense.h"
#include "norm.h"
#include "pool_layer.h"
#include "skip.h"

const nl_layer_ops *nl_layer_ops_of(const nl_layer *layer)
{
    static const nl_layer_ops *const ops[NL_LAYER_KIND_COUNT] = {
        [NL_DENSE] = &nl_dense_ops,       [NL_CONVOLUTION] = &nl_convolution_ops,
        [NL_APPLY] = &nl_apply_ops,       [NL_AVERAGE_POOL] = &nl_average_pool_ops,
        [NL_MAX_POOL] = &nl_max_pool_ops, [NL_GLOBAL_AVERAGE] = &nl_global_average_ops,
        [NL_LAYER_NORM] = &nl_norm_ops,   [NL_ADD] = &nl_add_ops,
    };

    return ops[layer->kind];
}

int nl_layer_weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions])
{
    const nl_layer_ops *ops = nl_layer_ops_of(layer);

    return ops->weight_shape != NULL ? ops->weight_shape(layer, shape) : 0;
}

size_t nl_layer_place(const nl_layer *layer, size_t k)
{
    return nl_layer_ops_of(layer)->place(layer, k);
}

double nl_layer_forward_flops(const nl_layer *layer)
{
    const nl_layer_ops *ops = nl_layer_ops_of(layer);

    return ops->forward_flops != NULL ? ops->forward_flops(layer) : 0.0;
}
