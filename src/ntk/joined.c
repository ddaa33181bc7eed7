/** @file joined.c  Layers whose back-signals are products. */
#include "joined.h"

/* The only layer that takes the output of layer l; -1: there are several. */
static int taken_by(const nl_net *net, int l)
{
    int found = -1;

    for (int k = l + 1; k < net->layers; k++) {
        const nl_layer *layer = &net->layer[k];

        if (layer->from == l || (layer->kind == NL_ADD && layer->plus == l)) {
            if (found >= 0) {
                return -1;
            }
            found = k;
        }
    }
    return found;
}

/* Does a layer do no more to each number than multiply its back-signal? */
static bool is_elementwise(const nl_layer *layer)
{
    return layer->kind == NL_ADD || layer->kind == NL_APPLY;
}

int nl_joined_average(const nl_net *net, int l)
{
    int next = net->layer[l].kind == NL_CONVOLUTION ? taken_by(net, l) : -1;

    while (next >= 0 && is_elementwise(&net->layer[next])) {
        next = taken_by(net, next);
    }
    return next >= 0 && net->layer[next].kind == NL_GLOBAL_AVERAGE ? next : -1;
}

void nl_joined_mask(const nl_passes *passes, const nl_net *net, int l, int sample, double *mask)
{
    const size_t size = (size_t)nl_shape_size(net->layer[l].out);

    for (size_t k = 0; k < size; k++) {
        mask[k] = 1.0;
    }
    for (int at = l, before = l; at >= 0 && net->layer[at].kind != NL_GLOBAL_AVERAGE;
         before = at, at = taken_by(net, at)) {
        const nl_layer *layer = &net->layer[at];
        const double *slope = nl_passes_slope(passes, at);
        const double scale =
            layer->kind == NL_ADD && layer->from == before ? layer->branch_scale : 1.0;

        for (size_t k = 0; k < size; k++) {
            mask[k] *= scale * (layer->activates ? slope[(size_t)sample * size + k] : 1.0);
        }
    }
}
