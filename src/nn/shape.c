/** @file shape.c  Sizes of what layers take and have. */
#include "ntklens/nn.h"

int nl_shape_size(nl_shape shape)
{
    return shape.height * shape.width * shape.channels;
}

size_t nl_layer_weights(const nl_layer *layer)
{
    return layer->biases - layer->weights;
}

int nl_net_blocks(const nl_net_spec *spec)
{
    int blocks = 0;

    for (int stage = 0; stage < spec->convolutional.stages; stage++) {
        blocks += spec->convolutional.blocks[stage] * spec->depth;
    }
    return blocks;
}
