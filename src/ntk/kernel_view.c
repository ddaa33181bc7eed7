/** @file kernel_view.c  How a kernel looks at the outputs of a network. */
#include "kernel_view.h"

nl_kernel_view nl_kernel_view_of(nl_kernel_spec spec, int outputs)
{
    nl_kernel_view view = {
        .outputs = outputs, .rows_per_sample = 1, .outputs_summed = 1, .scale = 1.0};

    switch (spec.kind) {
    case NL_KERNEL_FULL:
        view.rows_per_sample = outputs;
        break;
    case NL_KERNEL_TRACED:
        view.outputs_summed = outputs;
        view.scale = 1.0 / outputs;
        break;
    case NL_KERNEL_CLASS:
    default:
        view.output = spec.output;
        break;
    }
    return view;
}

int nl_kernel_view_seeds(const nl_kernel_view *view)
{
    return view->rows_per_sample * view->outputs_summed;
}
