/** @file pool_layer.c  Average and max pools, global average: forward, backward, tangent. */
#include "pool_layer.h"

#include "pool.h"

#include <string.h>

#define TEMPLATE "nn/pool_layer_real.h"
#include "ntklens/formats.h"

static size_t winners(const nl_layer *layer, nl_precision precision)
{
    (void)precision;
    return (size_t)nl_shape_size(layer->out) * sizeof(uint8_t);
}

static void same_winners(const nl_layer *layer, int rows, const void *kept, void *narrowed)
{
    memcpy(narrowed, kept, (size_t)rows * winners(layer, NL_SINGLE));
}

#define OPS(kind, format)                                                                          \
    {                                                                                              \
        .forward = kind##_##format, .backward = kind##_back_##format,                              \
        .tangent = kind##_tangent_##format,                                                        \
    }

const nl_layer_ops nl_average_pool_ops = {
    .by_sample = {OPS(average_pool, double), OPS(average_pool, single)},
    .applies_relu = {false, true},
};

const nl_layer_ops nl_max_pool_ops = {.by_sample = {OPS(max_pool, double), OPS(max_pool, single)},
                                      .narrow = same_winners,
                                      .kept = winners};

const nl_layer_ops nl_global_average_ops = {
    .by_sample = {OPS(global_average, double), OPS(global_average, single)}};
