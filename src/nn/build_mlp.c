/** @file build_mlp.c  inputs - width - ... - width - outputs: depth hidden layers and the output.
 */
#include "build_mlp.h"

#include <stdlib.h>

static nl_shape units(int count)
{
    return (nl_shape){.height = 1, .width = 1, .channels = count};
}

nl_status nl_build_mlp(nl_net *net)
{
    const nl_net_spec *spec = &net->spec;

    net->layers = spec->depth + 1;
    net->layer = calloc((size_t)net->layers, sizeof *net->layer);
    if (net->layer == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "network of %d layers", net->layers);
    }
    for (int l = 0; l <= spec->depth; l++) {
        const bool output = l == spec->depth;
        const nl_role role = l == 0 ? NL_ROLE_INPUT : output ? NL_ROLE_OUTPUT : NL_ROLE_HIDDEN;
        const int fan_in = l == 0 ? spec->inputs : spec->width;
        const int fan_out = output ? spec->outputs : spec->width;

        net->layer[l] = (nl_layer){.kind = NL_DENSE,
                                   .role = role,
                                   .from = l - 1,
                                   .plus = -1,
                                   .in = units(fan_in),
                                   .out = units(fan_out),
                                   .activates = !output,
                                   .fan_in = fan_in,
                                   .fan_out = fan_out};
    }
    return NL_OK;
}
