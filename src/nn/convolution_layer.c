/** @file convolution_layer.c  Convolutional layers: forward, backward, gradient, tangent. */
#include "convolution_layer.h"

#include "convolution.h"

#include <string.h>

static nl_convolution convolution_of(const nl_layer *layer, int vector_bytes)
{
    return nl_convolution_of(layer->in, layer->fan_out, layer->kernel, layer->stride, vector_bytes);
}

static size_t positions_of(const nl_layer *layer)
{
    return (size_t)layer->out.height * (size_t)layer->out.width;
}

#define TEMPLATE "nn/convolution_layer_real.h"
#include "ntklens/formats.h"

static int weight_shape(const nl_layer *layer, size_t shape[nl_most_weight_dimensions])
{
    shape[0] = (size_t)layer->fan_out;
    shape[1] = (size_t)layer->in.channels;
    shape[2] = shape[3] = (size_t)layer->kernel;
    return 4;
}

/* (unit, channel, tap) to (tap, channel, unit) */
static size_t place(const nl_layer *layer, size_t k)
{
    const size_t channels = (size_t)layer->in.channels;
    const size_t taps = (size_t)layer->kernel * (size_t)layer->kernel;
    const size_t unit = k / (channels * taps);
    const size_t channel = k / taps % channels;

    return (k % taps * channels + channel) * (size_t)layer->fan_out + unit;
}

static double forward_flops(const nl_layer *layer)
{
    return 2.0 * (double)positions_of(layer) * layer->fan_in * layer->fan_out;
}

static size_t scratch(const nl_layer *layer)
{
    const nl_convolution c = convolution_of(layer, 0);

    return nl_convolution_scratch(&c) + nl_convolution_packed(&c) +
           (size_t)nl_shape_size(layer->out); /* weights and a row of tangent */
}

static size_t packed(const nl_layer *layer)
{
    const nl_convolution c = convolution_of(layer, 0);

    return nl_convolution_packed(&c);
}

#define OPS(format)                                                                                \
    {                                                                                              \
        .pack = pack_##format, .forward = forward_##format, .backward = backward_##format,         \
        .gradient = gradient_##format, .rows = rows_##format, .tangent = tangent_##format,         \
    }

const nl_layer_ops nl_convolution_ops = {
    .by_sample = {OPS(double), OPS(single)},
    .weight_shape = weight_shape,
    .place = place,
    .forward_flops = forward_flops,
    .scratch = scratch,
    .packed = packed,
    .applies_relu = {true, true},
};
