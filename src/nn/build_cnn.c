/** @file build_cnn.c  Stages of convolutions, downsampling between them, head. */
#include "build_cnn.h"
#include "build.h"

nl_status nl_build_cnn(nl_net *net)
{
    const nl_net_spec *spec = &net->spec;
    const nl_convolutional_spec *c = &spec->convolutional;
    nl_builder builder = nl_build_open(net);
    int layer = nl_the_sample;

    for (int stage = 0; builder.status == NL_OK && stage < c->stages; stage++) {
        const int channels = nl_build_channels(spec, stage);

        for (int k = 0; k < c->blocks[stage] * spec->depth; k++) {
            const bool halves = c->downsampling == NL_STRIDE && stage > 0 && k == 0;

            layer = nl_build_convolution(&builder, layer, channels, c->kernel_size, halves ? 2 : 1);
            layer = nl_build_activation(&builder, layer);
        }
        if (c->downsampling != NL_STRIDE && (stage + 1 < c->stages || c->pool_last)) {
            layer = nl_build_pool(&builder, layer, c->downsampling);
        }
    }
    if (builder.status == NL_OK) {
        nl_build_head(&builder, layer);
    }
    return builder.status;
}
