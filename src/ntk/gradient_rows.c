/** @file gradient_rows.c  Rows of the Jacobian of any network. */
#include "output_passes.h"

#include "ntklens/ntk.h"

#include <stdlib.h>
#include <string.h>

struct nl_gradient_rows {
    const nl_kernel_input *input; /* borrowed */
    nl_precision precision;
    int seeds;               /* rows of a sample */
    nl_output_passes passes; /* owned */
    int *list;               /* owned; [batch] samples that go through */
    int count;               /* of these */
    char *out;               /* borrowed; their rows */
};

nl_status nl_gradient_rows_create(const nl_kernel_input *input, nl_kernel_spec spec,
                                  nl_precision precision, int samples, nl_gradient_rows **out)
{
    const nl_kernel_view view = nl_kernel_view_of(spec, input->net->spec.outputs);
    nl_gradient_rows *rows = calloc(1, sizeof *rows);
    nl_status status = NL_OK;

    *out = rows;
    if (rows == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for rows of a Jacobian");
    }
    *rows = (nl_gradient_rows){
        .input = input, .precision = precision, .seeds = nl_kernel_view_seeds(&view)};
    status = nl_output_passes_create(input, precision, &view, samples, &rows->passes);
    if (status == NL_OK) {
        rows->list = nl_calloc((size_t)rows->passes.batch, sizeof *rows->list);
        status = rows->list != NULL ? NL_OK
                                    : NL_FAIL(NL_ERR_NOMEM, "out of memory for rows of a Jacobian");
    }
    if (status != NL_OK) {
        nl_gradient_rows_destroy(out);
    }
    return status;
}

void nl_gradient_rows_destroy(nl_gradient_rows **rows)
{
    nl_gradient_rows *r = *rows;

    if (r == NULL) {
        return;
    }
    nl_output_passes_free(&r->passes);
    free(r->list);
    free(r);
    *rows = NULL;
}

/* Of a dense layer, one back-signal after the other. */
static void take_dense(const nl_gradient_rows *r, int l, int sample, const char *delta, char *to)
{
    const nl_net *net = r->input->net;
    const nl_layer *layer = &net->layer[l];
    const size_t element = nl_precision_bytes(r->precision);

    for (int a = 0; a < r->seeds; a++) {
        char *row = to + (size_t)a * net->size * element;

        nl_passes_gradient(r->passes.passes, l, sample, 1,
                           delta + (size_t)a * (size_t)layer->fan_out * element,
                           row + layer->weights * element, row + layer->biases * element);
        if (!layer->trains_bias) {
            memset(row + layer->biases * element, 0, (size_t)layer->fan_out * element);
        }
    }
}

/* Weights and biases of a layer lie side by side in the parameters, as they do in its rows. */
static void take_layer(int l, const void *delta, void *context)
{
    const nl_gradient_rows *r = context;
    const nl_net *net = r->input->net;
    const nl_layer *layer = &net->layer[l];
    const size_t element = nl_precision_bytes(r->precision);
    const size_t signals = (size_t)r->seeds * (size_t)nl_shape_size(layer->out);
    const nl_row_range all = {.deltas = r->seeds, .count = layer->fan_out, .apart = net->size};

    for (int at = 0; layer->fan_out > 0 && at < r->count; at++) {
        const char *of_sample = (const char *)delta + (size_t)at * signals * element;
        char *to = r->out + (size_t)at * (size_t)r->seeds * net->size * element;

        if (layer->kind == NL_DENSE) {
            take_dense(r, l, at, of_sample, to);
        } else {
            nl_passes_rows(r->passes.passes, l, at, &all, of_sample, to + layer->weights * element);
        }
    }
}

void nl_gradient_rows_make(nl_gradient_rows *rows, int first, int count, void *out)
{
    const size_t sample = (size_t)rows->seeds * rows->input->net->size;

    for (int at = 0; at < count; at += rows->passes.batch) {
        rows->count = nl_smaller(rows->passes.batch, count - at);
        rows->out = (char *)out + (size_t)at * sample * nl_precision_bytes(rows->precision);
        for (int k = 0; k < rows->count; k++) {
            rows->list[k] = first + at + k;
        }
        nl_passes_forward(rows->passes.passes, rows->count, rows->input->probe, rows->list);
        nl_passes_backward(rows->passes.passes, rows->passes.signal, 0, take_layer, rows);
    }
}

double nl_gradient_rows_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                              int samples)
{
    const nl_kernel_view view = nl_kernel_view_of(spec, net->spec.outputs);

    return nl_output_passes_bytes(net, precision, &view, samples);
}

/* Forward; for each row back, and through the weights again. */
double nl_gradient_rows_flops(const nl_net *net, nl_kernel_spec spec)
{
    const nl_kernel_view view = nl_kernel_view_of(spec, net->spec.outputs);

    return (1.0 + 2.0 * nl_kernel_view_seeds(&view)) * nl_net_forward_flops(net);
}
