/** @file build_resnet.c  Stages of residual blocks, pre-activation (He et al. 2016), and head. */
#include "build_resnet.h"
#include "build.h"

#include <math.h>

/* 1 / sqrt(blocks): sums of branches keep their size whatever the depth (Yang et al. 2023,
 * Bordelon et al. 2023). */
static double branch_scale_of(const nl_net_spec *spec)
{
    const double asked = spec->convolutional.branch_scale;

    return asked > 0.0 ? asked : 1.0 / sqrt(nl_net_blocks(spec));
}

/* branch_scale conv(phi(norm(conv(phi(norm(h)))))) + h, or + a 1 x 1 convolution of phi(norm(h)).
 */
static int build_block(nl_builder *builder, int from, int channels, int stride)
{
    const nl_net_spec *spec = &builder->net->spec;
    const int kernel = spec->convolutional.kernel_size;
    const bool changes = stride > 1 || builder->net->layer[from].out.channels != channels;
    const int active = nl_build_preactivation(builder, from);
    int branch = nl_build_convolution(builder, active, channels, kernel, stride);
    int skip = from;

    branch = nl_build_activation(builder, branch);
    branch = nl_build_convolution(builder, branch, channels, kernel, 1);
    if (changes) {
        skip = nl_build_convolution(builder, active, channels, 1, stride);
    }
    return nl_build_sum(builder, branch, skip, branch_scale_of(spec));
}

static int build_stage(nl_builder *builder, int from, int stage)
{
    const nl_convolutional_spec *c = &builder->net->spec.convolutional;
    const int channels = nl_build_channels(&builder->net->spec, stage);
    int layer = from;

    if (stage > 0 && c->downsampling != NL_STRIDE) {
        layer = nl_build_pool(builder, layer, c->downsampling);
    }
    for (int k = 0; k < c->blocks[stage] * builder->net->spec.depth; k++) {
        const bool halves = stage > 0 && k == 0 && c->downsampling == NL_STRIDE;

        layer = build_block(builder, layer, channels, halves ? 2 : 1);
    }
    return layer;
}

nl_status nl_build_resnet(nl_net *net)
{
    const nl_convolutional_spec *c = &net->spec.convolutional;
    nl_builder builder = nl_build_open(net);
    int layer = 0;

    if (builder.status != NL_OK) {
        return builder.status;
    }
    layer = nl_build_convolution(&builder, nl_the_sample, net->spec.width, c->kernel_size, 1);
    for (int stage = 0; builder.status == NL_OK && stage < c->stages; stage++) {
        layer = build_stage(&builder, layer, stage);
    }
    if (builder.status == NL_OK) {
        layer = nl_build_preactivation(&builder, layer);
        layer = c->pool_last ? nl_build_pool(&builder, layer, c->downsampling) : layer;
        nl_build_head(&builder, layer);
    }
    return builder.status;
}
