/** @file dual_parts.c  What a dual is filled from: activations, back-signals, and which of them are
 * alive. */
#include "dual_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { most_panel = 1024 }; /* samples whose factors are made at a time */

static int kernel_outputs(const nl_net *net, nl_kernel_spec spec)
{
    return spec.kind == NL_KERNEL_FULL ? net->spec.outputs : 1;
}

int nl_dual_units(const nl_layer *layer, nl_kernel_spec spec)
{
    return layer->role == NL_ROLE_OUTPUT && spec.kind != NL_KERNEL_FULL ? 1 : layer->fan_out;
}

bool nl_dual_is_known(const nl_net *net, nl_kernel_spec spec)
{
    (void)net;
    return spec.kind != NL_KERNEL_TRACED;
}

double nl_dual_most(const nl_net *net, nl_kernel_spec spec)
{
    double order = 0.0;

    if (!nl_net_is_dense(net)) {
        return (double)net->trained;
    }
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        order += (layer->fan_in + 1.0) * nl_dual_units(layer, spec);
    }
    return order;
}

double nl_dual_flops(const nl_net *net, nl_kernel_spec spec, int samples)
{
    double flops = 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_dual_blocks_flops(net, spec, samples);
    }
    flops = samples * nl_factors_flops(net);
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const double inputs = layer->fan_in + 1.0;
        const double units = nl_dual_units(layer, spec);
        /* the output layer's blocks are equal, or zero */
        const double pairs = layer->role == NL_ROLE_OUTPUT ? 1.0 : units * (units + 1.0) / 2.0;

        flops += samples * inputs * inputs * pairs;
        for (int m = 0; m < l; m++) {
            const nl_layer *lower = &net->layer[m];

            flops += 2.0 * samples * inputs * units * (lower->fan_in + 1.0) * lower->fan_out;
        }
    }
    return flops;
}

/* Of a layer, a sample. */
static double layer_elements(const nl_layer *layer, int outputs)
{
    return (layer->from < 0 ? 0.0 : layer->fan_in) +
           (layer->role == NL_ROLE_OUTPUT ? 0.0 : (double)outputs * layer->fan_out);
}

double nl_dual_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision, int samples)
{
    const int outputs = kernel_outputs(net, spec);
    double elements = 0.0;

    if (!nl_net_is_dense(net)) {
        return nl_dual_blocks_bytes(net, spec, precision, samples);
    }
    for (int l = 0; l < net->layers; l++) {
        elements += layer_elements(&net->layer[l], outputs);
    }
    return elements * samples * (double)nl_precision_bytes(precision) +
           nl_factors_bytes(net, precision) * nl_smaller(samples, most_panel) +
           nl_factors_fixed_bytes(net);
}

int nl_dual_block(const nl_net *net, int wanted)
{
    const int units = nl_net_is_dense(net) ? net->layer[0].fan_out : 1;

    return (wanted + units - 1) / units * units;
}

int nl_dual_order(const nl_dual *dual)
{
    return dual->order;
}

/*---------------------------------------------------------------------------------------------
 * Activations and back-signals
 *-------------------------------------------------------------------------------------------*/

static nl_status allocate_layer(const nl_dual *dual, nl_dual_layer *d)
{
    const size_t samples = (size_t)dual->samples;
    const size_t size = nl_precision_bytes(dual->precision);
    const size_t fan_in = (size_t)d->layer->fan_in;
    const size_t fan_out = (size_t)d->layer->fan_out;

    d->column = nl_calloc(fan_in, sizeof *d->column);
    d->fixed = nl_calloc(fan_in, sizeof *d->fixed);
    d->unit = nl_calloc(fan_out, sizeof *d->unit);
    d->h = d->x != NULL ? NULL : nl_calloc(samples * fan_in, size);
    d->delta = d->layer->role == NL_ROLE_OUTPUT
                   ? NULL
                   : nl_calloc(samples * fan_out * (size_t)dual->outputs, size);
    if (d->column == NULL || d->fixed == NULL || d->unit == NULL ||
        (d->x == NULL && d->h == NULL) || (d->layer->role != NL_ROLE_OUTPUT && d->delta == NULL)) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for back-signals of %d samples", dual->samples);
    }
    return NL_OK;
}

/* A layer's part of the factors of samples first .. : units outermost, as pairs of them are taken.
 */
static void take_layer(const nl_dual *dual, const nl_dual_layer *d, const nl_factors *f, int l,
                       int first)
{
    const size_t size = nl_precision_bytes(dual->precision);
    const int fan_out = d->layer->fan_out;
    const bool whole = dual->outputs == dual->net->spec.outputs;
    const int lead = whole ? fan_out : fan_out * dual->net->spec.outputs;
    const int rows = f->samples * dual->outputs;
    const size_t at = (size_t)first * (size_t)dual->outputs;
    const size_t from = whole ? 0 : (size_t)dual->first_output * (size_t)fan_out;

    if (d->h != NULL) {
        const size_t fan_in = (size_t)d->layer->fan_in;

        memcpy((char *)d->h + (size_t)first * fan_in * size, f->activation[l],
               (size_t)f->samples * fan_in * size);
    }
    if (d->delta == NULL) {
        return;
    }
    if (dual->precision == NL_DOUBLE) {
        nl_transpose_double(rows, fan_out, (const double *)f->delta[l] + from, lead,
                            (double *)d->delta + at, dual->samples * dual->outputs);
    } else {
        nl_transpose_single(rows, fan_out, (const float *)f->delta[l] + from, lead,
                            (float *)d->delta + at, dual->samples * dual->outputs);
    }
}

static nl_status take_factors(const nl_dual *dual, const nl_kernel_input *input)
{
    const int panel = nl_smaller(dual->samples, most_panel);
    int list[most_panel] = {0};
    nl_factors *factors = NULL;
    nl_status status = nl_factors_create(dual->net, dual->precision, panel, &factors);

    for (int first = 0; status == NL_OK && first < dual->samples; first += panel) {
        const int count = nl_smaller(panel, dual->samples - first);

        status = nl_interrupted(input->interrupt) ? NL_STOPPED : NL_OK;
        for (int k = 0; k < count; k++) {
            list[k] = first + k;
        }
        nl_factors_compute(factors, input->theta, input->probe, count, list);
        for (int l = 0; l < dual->layers; l++) {
            take_layer(dual, &dual->layer[l], factors, l, first);
        }
    }
    nl_factors_destroy(&factors);
    return status;
}

/*---------------------------------------------------------------------------------------------
 * What of it is alive
 *-------------------------------------------------------------------------------------------*/

static double taken(const nl_dual *dual, const nl_dual_layer *d, size_t at)
{
    return d->x != NULL ? (double)d->x[at] : nl_element(d->h, at, dual->precision);
}

/* Columns that vary, and the values of the others. */
static void list_inputs(const nl_dual *dual, nl_dual_layer *d)
{
    const size_t fan_in = (size_t)d->layer->fan_in;
    double squares = d->bias * d->bias;

    for (size_t p = 0; p < fan_in; p++) {
        const double value = taken(dual, d, p);
        size_t i = 1;

        while (i < (size_t)dual->samples && taken(dual, d, i * fan_in + p) == value) {
            i++;
        }
        if (i < (size_t)dual->samples) {
            d->fixed[p] = NAN;
            d->column[d->varying++] = (int)p;
        } else {
            d->fixed[p] = value;
            squares += d->scale * value * d->scale * value;
        }
    }
    d->constant = sqrt(squares);
    d->inputs = d->varying + (squares > 0.0 ? 1 : 0);
}

static bool has_signal(const nl_dual *dual, const nl_dual_layer *d, int unit)
{
    const size_t count = (size_t)dual->samples * (size_t)dual->outputs;

    for (size_t k = 0; k < count; k++) {
        if (nl_element(d->delta, (size_t)unit * count + k, dual->precision) != 0.0) {
            return true;
        }
    }
    return false;
}

static void list_units(const nl_dual *dual, nl_dual_layer *d)
{
    const int most = d->delta != NULL ? d->layer->fan_out : dual->outputs;

    for (int k = 0; k < most; k++) {
        if (d->delta == NULL) {
            d->unit[d->units++] = dual->first_output + k;
        } else if (has_signal(dual, d, k)) {
            d->unit[d->units++] = k;
        }
    }
}

static nl_status list_living(nl_dual *dual)
{
    double order = 0.0;

    for (int l = 0; l < dual->layers; l++) {
        nl_dual_layer *d = &dual->layer[l];

        list_inputs(dual, d);
        list_units(dual, d);
        d->first = (int)order;
        order += (double)d->inputs * d->units;
        if (order > INT32_MAX) {
            return NL_FAIL(NL_ERR_ARG, "a dual kernel of more than 2^31 - 1 rows");
        }
    }
    dual->order = nl_larger((int)order, 1);
    return NL_OK;
}

/*---------------------------------------------------------------------------------------------
 * The whole
 *-------------------------------------------------------------------------------------------*/

static nl_status create_layers(nl_dual *dual, const nl_kernel_input *input, nl_kernel_spec spec)
{
    nl_status status = NL_OK;

    for (int l = 0; status == NL_OK && l < dual->layers; l++) {
        const nl_layer *layer = &dual->net->layer[l];
        const double bias = layer->trains_bias ? layer->bias_scale : 0.0;
        nl_dual_layer *d = &dual->layer[l];

        d->layer = layer;
        d->scale = layer->weight_scale * sqrt(spec.rate_weighted ? layer->weight_rate : 1.0);
        d->bias = bias * sqrt(spec.rate_weighted ? layer->bias_rate : 1.0);
        d->x = layer->from < 0 ? input->probe : NULL;
        status = allocate_layer(dual, d);
    }
    return status;
}

static nl_status create_parts(nl_dual *dual, const nl_kernel_input *input, nl_kernel_spec spec)
{
    nl_status status = create_layers(dual, input, spec);

    if (status == NL_OK) {
        status = take_factors(dual, input);
    }
    return status == NL_OK ? list_living(dual) : status;
}

static nl_status create_blocks(nl_dual *dual, const nl_kernel_input *input, nl_kernel_spec spec)
{
    const nl_status status = nl_dual_blocks_create(input, spec, dual->precision, &dual->blocks);

    dual->order = status == NL_OK ? nl_dual_blocks_order(dual->blocks) : 0;
    return status;
}

nl_status nl_dual_create(const nl_kernel_input *input, nl_kernel_spec spec, nl_precision precision,
                         nl_dual **out)
{
    nl_dual *dual = calloc(1, sizeof *dual);
    nl_status status = NL_OK;

    *out = dual;
    if (dual == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for a dual kernel");
    }
    *dual = (nl_dual){.net = input->net,
                      .precision = precision,
                      .pieces = nl_blas_likes_pieces(),
                      .samples = input->samples,
                      .outputs = kernel_outputs(input->net, spec),
                      .first_output = spec.kind == NL_KERNEL_CLASS ? spec.output : 0,
                      .layers = input->net->layers,
                      .layer = calloc((size_t)input->net->layers, sizeof *dual->layer)};
    if (dual->layer == NULL) {
        status = NL_FAIL(NL_ERR_NOMEM, "out of memory for a dual kernel");
    }
    if (status == NL_OK && !nl_net_is_dense(input->net)) {
        status = create_blocks(dual, input, spec);
    } else if (status == NL_OK) {
        status = create_parts(dual, input, spec);
    }
    if (status != NL_OK) {
        nl_dual_destroy(out);
    }
    return status;
}

void nl_dual_destroy(nl_dual **dual)
{
    nl_dual *d = *dual;

    if (d == NULL) {
        return;
    }
    for (int l = 0; d->layer != NULL && l < d->layers; l++) {
        free(d->layer[l].column);
        free(d->layer[l].unit);
        free(d->layer[l].h);
        free(d->layer[l].delta);
        free(d->layer[l].fixed);
    }
    nl_dual_blocks_destroy(&d->blocks);
    free(d->layer);
    free(d);
    *dual = NULL;
}

/* Of unit k the weights behind constant inputs, and the bias, along the direction that is kept. */
static double merged_coordinate(const nl_dual_layer *d, const double *w, int unit)
{
    const double *weights = w + d->layer->weights + (size_t)unit * (size_t)d->layer->fan_in;
    double sum = d->bias * w[d->layer->biases + (size_t)unit];

    for (int p = 0; p < d->layer->fan_in; p++) {
        sum += isnan(d->fixed[p]) ? 0.0 : d->scale * d->fixed[p] * weights[p];
    }
    return sum / d->constant;
}

void nl_dual_coordinates(const nl_dual *dual, const double *w, double *u)
{
    if (dual->blocks != NULL) {
        nl_dual_blocks_coordinates(dual->blocks, w, u);
        return;
    }
    u[0] = 0.0;
    for (int l = 0; l < dual->layers; l++) {
        const nl_dual_layer *d = &dual->layer[l];

        for (int k = 0; k < d->units; k++) {
            const double *weights =
                w + d->layer->weights + (size_t)d->unit[k] * (size_t)d->layer->fan_in;
            double *to = u + d->first + k;

            for (int p = 0; p < d->varying; p++) {
                to[(size_t)p * (size_t)d->units] = weights[d->column[p]];
            }
            if (d->inputs > d->varying) {
                to[(size_t)d->varying * (size_t)d->units] = merged_coordinate(d, w, d->unit[k]);
            }
        }
    }
}
