/** @file build.c  A network's list of layers in the making. */
#include "build.h"

#include "convolution.h"
#include "pool.h"

#include <limits.h>
#include <stdlib.h>

/* What layer `from` puts out. */
static nl_shape shape_of(const nl_builder *builder, int from)
{
    return from == nl_the_sample ? builder->net->spec.convolutional.image
                                 : builder->net->layer[from].out;
}

static int append(nl_builder *builder, nl_layer layer)
{
    builder->net->layer[builder->net->layers] = layer;
    return builder->net->layers++;
}

nl_builder nl_build_open(nl_net *net)
{
    const int of_a_block = 7; /* two norms, three convolutions, sum, pool */
    const int of_the_rest = 6;
    const int most = nl_net_blocks(&net->spec) * of_a_block + of_the_rest;
    nl_builder builder = {.net = net};

    net->layer = calloc((size_t)most, sizeof *net->layer);
    if (net->layer == NULL) {
        builder.status = NL_FAIL(NL_ERR_NOMEM, "network of %d layers", most);
    }
    return builder;
}

/* The first layer with parameters is that of the sample. */
static nl_role role_of(int from)
{
    return from == nl_the_sample ? NL_ROLE_INPUT : NL_ROLE_HIDDEN;
}

int nl_build_convolution(nl_builder *builder, int from, int channels, int kernel, int stride)
{
    const nl_shape in = shape_of(builder, from);

    return append(builder, (nl_layer){.kind = NL_CONVOLUTION,
                                      .role = role_of(from),
                                      .from = from,
                                      .plus = -1,
                                      .in = in,
                                      .out = nl_convolution_of(in, channels, kernel, stride, 0).out,
                                      .kernel = kernel,
                                      .stride = stride,
                                      .fan_in = kernel * kernel * in.channels,
                                      .fan_out = channels});
}

int nl_build_norm(nl_builder *builder, int from)
{
    const nl_shape shape = shape_of(builder, from);

    return append(builder, (nl_layer){.kind = NL_LAYER_NORM,
                                      .role = NL_ROLE_HIDDEN,
                                      .from = from,
                                      .plus = -1,
                                      .in = shape,
                                      .out = shape,
                                      .fan_in = 1,
                                      .fan_out = shape.channels});
}

static int append_plain(nl_builder *builder, nl_layer_kind kind, int from, nl_shape out)
{
    return append(builder, (nl_layer){.kind = kind,
                                      .role = NL_ROLE_NONE,
                                      .from = from,
                                      .plus = -1,
                                      .in = shape_of(builder, from),
                                      .out = out});
}

int nl_build_pool(nl_builder *builder, int from, nl_downsampling kind)
{
    const int side = 2;
    const nl_shape in = shape_of(builder, from);
    const nl_shape out = nl_pool_shape(in, side);
    int layer = 0;

    if (nl_shape_size(out) == 0 && builder->status == NL_OK) {
        builder->status =
            NL_FAIL(NL_ERR_ARG,
                    "stages: images of %d x %d cannot be halved once more, from %d x %d: "
                    "expected fewer stages",
                    builder->net->spec.convolutional.image.height,
                    builder->net->spec.convolutional.image.width, in.height, in.width);
    }
    layer =
        append_plain(builder, kind == NL_MAX_POOLING ? NL_MAX_POOL : NL_AVERAGE_POOL, from, out);
    builder->net->layer[layer].kernel = side;
    builder->net->layer[layer].stride = side;
    return layer;
}

int nl_build_dense(nl_builder *builder, int from, int units)
{
    const nl_shape in = shape_of(builder, from);

    return append(builder, (nl_layer){.kind = NL_DENSE,
                                      .role = role_of(from),
                                      .from = from,
                                      .plus = -1,
                                      .in = in,
                                      .out = {.height = 1, .width = 1, .channels = units},
                                      .fan_in = nl_shape_size(in),
                                      .fan_out = units});
}

int nl_build_sum(nl_builder *builder, int branch, int skip, double branch_scale)
{
    const int layer = append_plain(builder, NL_ADD, branch, shape_of(builder, branch));

    builder->net->layer[layer].plus = skip;
    builder->net->layer[layer].branch_scale = branch_scale;
    return layer;
}

static bool has_norm(const nl_builder *builder)
{
    return builder->net->spec.convolutional.normalization == NL_LAYER_NORMALIZATION;
}

int nl_build_activation(nl_builder *builder, int convolution)
{
    const int layer = has_norm(builder) ? nl_build_norm(builder, convolution) : convolution;

    builder->net->layer[layer].activates = true;
    return layer;
}

int nl_build_preactivation(nl_builder *builder, int from)
{
    const int layer = has_norm(builder)
                          ? nl_build_norm(builder, from)
                          : append_plain(builder, NL_APPLY, from, shape_of(builder, from));

    builder->net->layer[layer].activates = true;
    return layer;
}

void nl_build_head(nl_builder *builder, int from)
{
    const nl_net_spec *spec = &builder->net->spec;
    nl_shape in = {0};
    int layer = from;

    if (spec->convolutional.head == NL_GLOBAL_AVERAGE_HEAD) {
        in = shape_of(builder, layer);
        layer = append_plain(builder, NL_GLOBAL_AVERAGE, layer,
                             (nl_shape){.height = 1, .width = 1, .channels = in.channels});
    }
    if (spec->convolutional.dense_multiple > 0) {
        layer = nl_build_dense(builder, layer, spec->width * spec->convolutional.dense_multiple);
        builder->net->layer[layer].activates = true;
    }
    layer = nl_build_dense(builder, layer, spec->outputs);
    builder->net->layer[layer].role = NL_ROLE_OUTPUT;
}

int nl_build_channels(const nl_net_spec *spec, int stage)
{
    int channels = spec->width;

    for (int k = 0; k < stage; k++) {
        channels *= spec->convolutional.channel_growth;
    }
    return channels;
}
