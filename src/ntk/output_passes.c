/** @file output_passes.c  Passes over a probe with a back-signal for each output. */
#include "output_passes.h"

#include <math.h>
#include <stdlib.h>

static nl_passes_spec spec_of(nl_precision precision, const nl_kernel_view *view, int rows)
{
    return (nl_passes_spec){.precision = precision,
                            .rows = rows,
                            .seeds = nl_kernel_view_seeds(view),
                            .double_forward = precision == NL_SINGLE};
}

double nl_output_passes_bytes(const nl_net *net, nl_precision precision, const nl_kernel_view *view,
                              double samples)
{
    const nl_passes_spec spec = spec_of(precision, view, 1);
    const double row = nl_passes_bytes(net, &spec);

    return fmax(fmin(nl_passes_batch_bytes, row * samples), row) +
           nl_passes_fixed_bytes(net, &spec);
}

/* One for each output, or that of the class alone. */
static void set_signals(const nl_kernel_view *view, nl_precision precision, nl_output_passes *p)
{
    const int seeds = nl_kernel_view_seeds(view);

    for (int row = 0; row < p->batch * seeds; row++) {
        const int output = seeds > 1 ? row % seeds : view->output;
        const size_t at = (size_t)row * (size_t)view->outputs + (size_t)output;

        if (precision == NL_DOUBLE) {
            ((double *)p->signal)[at] = 1.0;
        } else {
            ((float *)p->signal)[at] = 1.0F;
        }
    }
}

nl_status nl_output_passes_create(const nl_kernel_input *input, nl_precision precision,
                                  const nl_kernel_view *view, int samples, nl_output_passes *out)
{
    nl_passes_spec spec = spec_of(precision, view, samples);
    nl_status status = NL_OK;

    *out = (nl_output_passes){.batch =
                                  nl_passes_rows_within(input->net, &spec, nl_passes_batch_bytes)};
    spec.rows = out->batch;
    out->signal = nl_calloc((size_t)spec.rows * (size_t)spec.seeds * (size_t)view->outputs,
                            nl_precision_bytes(precision));
    if (out->signal == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for back-signals");
    }
    set_signals(view, precision, out);
    status = nl_passes_create(input->net, &spec, &out->passes);
    if (status == NL_OK) {
        nl_passes_set_parameters(out->passes, input->theta);
    }
    return status;
}

void nl_output_passes_free(nl_output_passes *passes)
{
    nl_passes_destroy(&passes->passes);
    free(passes->signal);
    *passes = (nl_output_passes){0};
}
