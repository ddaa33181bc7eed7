/** @file kernel_work.c  Operations of fills of networks that are no chains of dense layers. */
#include "kernel_work.h"
#include "chunks.h"
#include "joined.h"

#include <stdlib.h>

/* Products of gradients, lower half. */
static double products_of(const nl_net *net, const nl_kernel_view *view, int samples)
{
    const double pairs = (double)samples * samples;
    const double n = (double)samples * view->rows_per_sample;
    double flops = 0.0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const double parameters = (double)nl_layer_weights(layer) + layer->fan_out;

        if (layer->kind == NL_DENSE) {
            flops += pairs * layer->fan_in;
            flops +=
                layer->role == NL_ROLE_OUTPUT ? 0.0 : n * n * layer->fan_out * view->outputs_summed;
        } else if (nl_joined_average(net, l) >= 0) {
            flops += pairs * parameters + n * n * layer->fan_out;
        } else if (layer->fan_out > 0) {
            flops += n * n * parameters * view->outputs_summed;
        }
    }
    return flops;
}

/* Rows of J of a sample, from activations and back-signals. */
static double rows_of(const nl_net *net, int seeds)
{
    double flops = 0.0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        if (layer->kind != NL_DENSE && layer->fan_out > 0) {
            flops += (nl_joined_average(net, l) >= 0 ? 1.0 : seeds) * nl_layer_forward_flops(layer);
        }
    }
    return flops;
}

/* Forward and back from the output layer down to `lowest`, of a sample. */
static double pass_of(const nl_net *net, int seeds, int lowest)
{
    double flops = nl_net_forward_flops(net);

    for (int l = net->layers - 1; l >= lowest; l--) {
        flops += seeds * nl_layer_forward_flops(&net->layer[l]);
    }
    return flops;
}

double nl_parts_flops(const nl_net *net, nl_kernel_spec spec, int samples)
{
    const nl_kernel_view view = nl_kernel_view_of(spec, net->spec.outputs);
    const int seeds = nl_kernel_view_seeds(&view);

    return samples * (pass_of(net, seeds, 0) + rows_of(net, seeds)) +
           products_of(net, &view, samples);
}

nl_fill_work nl_parts_work(const nl_net *net, const nl_fill_terms *terms)
{
    const nl_kernel_view view = nl_kernel_view_of(terms->spec, net->spec.outputs);
    const int seeds = nl_kernel_view_seeds(&view);
    const int order = terms->samples * view.rows_per_sample;
    const double numbers =
        terms->panel_bytes / (terms->samples * (double)nl_precision_bytes(terms->precision));
    nl_fill_work work = {.passes = terms->samples * rows_of(net, seeds),
                         .products = products_of(net, &view, terms->samples)};
    nl_chunk *chunk = NULL;
    int chunks = 0;

    if (nl_chunks_create(net, &view, order, &chunk, &chunks) != NL_OK) {
        work.passes += terms->samples * pass_of(net, seeds, 0);
        return work;
    }
    for (int k = 0, held = 0; k < chunks; k += held) {
        held = nl_chunks_that_fit(chunk + k, chunks - k, numbers);
        work.passes += terms->samples * pass_of(net, seeds, nl_chunks_lowest(chunk + k, held));
        work.parts++;
    }
    free(chunk);
    return work;
}
