/** @file norm.c  Layer norm: forward, backward, gradient, tangent. */
#include "norm.h"

#include <math.h>
#include <string.h>

#define TEMPLATE "nn/norm_real.h"
#include "ntklens/formats.h"

static int weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions])
{
    shape[0] = (size_t)layer->fan_out;
    return 1;
}

static size_t place(const nl_layer *layer, size_t k)
{
    (void)layer;
    return k;
}

static size_t kept(const nl_layer *layer, nl_precision precision)
{
    (void)layer;
    return 2 * (precision == NL_DOUBLE ? sizeof(double) : sizeof(float));
}

static void narrow(const nl_layer *layer, int rows, const void *kept, void *narrowed)
{
    const moments_double *from = kept;
    moments_single *to = narrowed;

    (void)layer;
    for (int i = 0; i < rows; i++) {
        to[i] = (moments_single){.mean = (float)from[i].mean, .r = (float)from[i].r};
    }
}

const nl_layer_ops nl_norm_ops = {
    .by_sample = {NL_SAMPLE_OPS(double), NL_SAMPLE_OPS(single)},
    .weight_shape = weight_shape,
    .place = place,
    .narrow = narrow,
    .kept = kept,
};
