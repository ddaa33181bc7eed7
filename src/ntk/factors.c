/** @file factors.c  Gradient factors of a set of samples. */
#include "ntklens/factors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Weights are copied to double a few rows at a time: a copy of all would double the memory of wide
 * networks for nothing. */
enum { scratch_elements = 1 << 21 };

static int weight_rows_at_once(const nl_layer *layer)
{
    return layer->fan_in < scratch_elements ? scratch_elements / layer->fan_in : 1;
}

/* Rows first .. first + rows of a layer's weights in double: a copy in scratch. */
static const double *weight_rows_in_double(const nl_factors *f, const nl_layer *layer,
                                           const float *theta, int first, int rows)
{
    const float *from = theta + layer->weights + (size_t)first * (size_t)layer->fan_in;

    for (size_t k = 0; k < (size_t)rows * (size_t)layer->fan_in; k++) {
        f->scratch[k] = (double)from[k];
    }
    return f->scratch;
}

#define TEMPLATE "ntk/factors_real.h"
#include "ntklens/formats.h"

/*---------------------------------------------------------------------------------------------
 * Forward pass: in double whatever the format, so that a unit of relu next to its kink is on the
 * same side in every format, and in what a kernel is checked against.  Rounded, its gradients would
 * be those of another network.
 *-------------------------------------------------------------------------------------------*/

/* z[m x fan_out] = s h[m x fan_in] W^T + t b */
static void preactivations(const nl_factors *f, const nl_layer *layer, const float *theta,
                           const double *h, double *z)
{
    const double s = layer->weight_scale;
    const double zero = 0;

    for (int first = 0; first < layer->fan_out; first += weight_rows_at_once(layer)) {
        int rows = nl_smaller(weight_rows_at_once(layer), layer->fan_out - first);
        const double *w = weight_rows_in_double(f, layer, theta, first, rows);

        dgemm_("T", "N", &rows, &f->samples, &layer->fan_in, &s, w, &layer->fan_in, h,
               &layer->fan_in, &zero, z + first, &layer->fan_out);
    }
    for (int i = 0; i < f->samples; i++) {
        for (int k = 0; k < layer->fan_out; k++) {
            z[(size_t)i * (size_t)layer->fan_out + (size_t)k] +=
                layer->bias_scale * (double)theta[layer->biases + (size_t)k];
        }
    }
}

/* Where what layer l takes is computed: in double it stays there. */
static double *pass_rows(const nl_factors *f, int l)
{
    return f->precision == NL_DOUBLE ? f->activation[l] : f->pass[l % 2];
}

/* h^0 = x */
static void take_samples(nl_factors *f, int l, const float *x, const int *list)
{
    const size_t inputs = (size_t)f->net->spec.inputs;
    double *h = pass_rows(f, l);

    for (int i = 0; i < f->samples; i++) {
        for (size_t k = 0; k < inputs; k++) {
            h[(size_t)i * inputs + k] = (double)x[(size_t)list[i] * inputs + k];
        }
        if (f->precision == NL_SINGLE) {
            memcpy((float *)f->activation[l] + (size_t)i * inputs, x + (size_t)list[i] * inputs,
                   inputs * sizeof *x);
        }
    }
}

/* What layer l takes from another one, h = phi(z), and phi'(z) of that one. */
static void take_activations(nl_factors *f, const float *theta, int l)
{
    const nl_activation activation = f->net->spec.activation;
    const int from = f->net->layer[l].from;
    const size_t size = (size_t)f->samples * (size_t)f->net->layer[from].fan_out;
    double *z = pass_rows(f, l);

    preactivations(f, &f->net->layer[from], theta, pass_rows(f, from), z);
    if (f->precision == NL_DOUBLE) {
        activate_double(activation, size, z, z, f->slope[from]);
    } else {
        activate_single(activation, size, z, f->activation[l], f->slope[from]);
    }
}

static void forward(nl_factors *f, const float *theta, const float *x, const int *list)
{
    for (int l = 0; l < f->net->layers; l++) {
        if (f->net->layer[l].from < 0) {
            take_samples(f, l, x, list);
        } else {
            take_activations(f, theta, l);
        }
    }
}

/* Of all layers' inputs. */
static size_t widest(const nl_net *net)
{
    int most = 0;

    for (int l = 0; l < net->layers; l++) {
        most = nl_larger(most, net->layer[l].fan_in);
    }
    return (size_t)most;
}

double nl_factors_closed_bytes(const nl_net *net, nl_precision precision, int samples)
{
    const double size = samples * (double)nl_precision_bytes(precision);
    double bytes = nl_block_bytes(size * net->layer[nl_net_output(net)].fan_in); /* traced_delta */

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        bytes += nl_block_bytes(size * layer->fan_in);
        if (layer->role != NL_ROLE_OUTPUT) {
            bytes += nl_block_bytes(size * layer->fan_out) +
                     nl_block_bytes(size * net->spec.outputs * layer->fan_out);
        }
    }
    return bytes;
}

double nl_factors_bytes(const nl_net *net, nl_precision precision)
{
    return nl_factors_closed_bytes(net, precision, 1) +
           (precision == NL_SINGLE ? 2.0 * (double)widest(net) * sizeof(double) : 0.0);
}

double nl_factors_flops(const nl_net *net)
{
    const double outputs = net->spec.outputs;
    double flops = 0.0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];

        flops += nl_layer_forward_flops(layer);
        if (layer->role == NL_ROLE_OUTPUT) {
            flops += 2.0 * outputs * layer->fan_in; /* rows of its weights, no product */
        } else if (layer->from >= 0) {
            flops += outputs * nl_layer_forward_flops(layer); /* back through the weights */
        }
    }
    return flops;
}

/* Of the largest piece of weights that is copied at once: small networks are measured often, and
 * clearing more than they need took longer than their kernels. */
static size_t scratch_size(const nl_net *net)
{
    size_t most = 0;

    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const size_t rows = (size_t)nl_smaller(weight_rows_at_once(layer), layer->fan_out);
        const size_t piece = rows * (size_t)layer->fan_in;

        most = piece > most ? piece : most;
    }
    return most;
}

double nl_factors_fixed_bytes(const nl_net *net)
{
    return (double)scratch_size(net) * sizeof(double);
}

static nl_status allocate(nl_factors *f, nl_precision precision)
{
    const size_t samples = (size_t)f->capacity;
    const size_t size = nl_precision_bytes(precision);
    const size_t outputs = (size_t)f->net->spec.outputs;
    const int layers = f->net->layers;
    bool complete = true;

    f->activation = nl_calloc((size_t)layers, sizeof *f->activation);
    f->delta = nl_calloc((size_t)layers, sizeof *f->delta);
    f->slope = nl_calloc((size_t)layers, sizeof *f->slope);
    complete = f->activation != NULL && f->delta != NULL && f->slope != NULL;
    for (int l = 0; complete && l < layers; l++) {
        const nl_layer *layer = &f->net->layer[l];
        const size_t fan_out = (size_t)layer->fan_out;

        f->activation[l] = nl_calloc(samples * (size_t)layer->fan_in, size);
        complete = f->activation[l] != NULL;
        if (complete && layer->role != NL_ROLE_OUTPUT) {
            f->delta[l] = nl_calloc(samples * outputs * fan_out, size);
            f->slope[l] = nl_calloc(samples * fan_out, size);
            complete = f->delta[l] != NULL && f->slope[l] != NULL;
        }
    }
    if (complete) {
        f->traced_delta =
            nl_calloc(samples * (size_t)f->net->layer[nl_net_output(f->net)].fan_in, size);
        complete = f->traced_delta != NULL;
    }
    if (complete) {
        f->scratch = nl_calloc(scratch_size(f->net), sizeof *f->scratch);
        complete = f->scratch != NULL;
    }
    for (int k = 0; complete && precision == NL_SINGLE && k < 2; k++) {
        f->pass[k] = nl_calloc(samples * widest(f->net), sizeof *f->pass[k]);
        complete = f->pass[k] != NULL;
    }
    return complete ? NL_OK
                    : NL_FAIL(NL_ERR_NOMEM, "out of memory for gradient factors of %d samples",
                              f->capacity);
}

nl_status nl_factors_create(const nl_net *net, nl_precision precision, int capacity,
                            nl_factors **out)
{
    nl_factors *f = calloc(1, sizeof *f);
    nl_status status = NL_OK;

    *out = NULL;
    if (f == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for gradient factors");
    }
    *f = (nl_factors){.net = net,
                      .layers = net->layers,
                      .precision = precision,
                      .pieces = nl_blas_likes_pieces(),
                      .capacity = capacity};
    status = allocate(f, precision);
    if (status != NL_OK) {
        nl_factors_destroy(&f);
        return status;
    }
    *out = f;
    return NL_OK;
}

void nl_factors_close(nl_factors *f)
{
    free(f->scratch);
    free(f->pass[0]);
    free(f->pass[1]);
    f->scratch = f->pass[0] = f->pass[1] = NULL;
}

void nl_factors_destroy(nl_factors **factors)
{
    nl_factors *f = *factors;

    if (f == NULL) {
        return;
    }
    for (int l = 0; l < f->layers; l++) {
        free(f->activation != NULL ? f->activation[l] : NULL);
        free(f->delta != NULL ? f->delta[l] : NULL);
        free(f->slope != NULL ? f->slope[l] : NULL);
    }
    free(f->activation);
    free(f->delta);
    free(f->slope);
    free(f->traced_delta);
    nl_factors_close(f);
    free(f);
    *factors = NULL;
}

void nl_factors_compute(nl_factors *factors, const float *theta, const float *x, int samples,
                        const int *list)
{
    factors->samples = samples;
    if (samples == 0) {
        return;
    }
    forward(factors, theta, x, list);
    if (factors->precision == NL_DOUBLE) {
        backward_double(factors, theta);
    } else {
        backward_single(factors, theta);
    }
}

void nl_factors_outputs(const nl_factors *f, const float *theta, double *outputs)
{
    if (f->precision == NL_DOUBLE) {
        outputs_double(f, theta, outputs);
    } else {
        outputs_single(f, theta, outputs);
    }
}

/* Squared length of a row of factors of `size` columns. */
static double row_square(const nl_factors *f, const void *rows, size_t row, size_t size)
{
    return f->precision == NL_DOUBLE ? nl_squares_double(size, (const double *)rows + row * size)
                                     : nl_squares_single(size, (const float *)rows + row * size);
}

void nl_factors_add_layer_traces(const nl_factors *f, double *weights, double *biases)
{
    const size_t outputs = (size_t)f->net->spec.outputs;

    for (int l = 0; l < f->net->layers; l++) {
        const nl_layer *layer = &f->net->layer[l];

        for (size_t i = 0; i < (size_t)f->samples; i++) {
            const double h = row_square(f, f->activation[l], i, (size_t)layer->fan_in);

            for (size_t a = 0; a < outputs; a++) {
                const size_t at = (size_t)l * outputs + a;
                double d = 1.0; /* delta^L is the identity */

                if (f->delta[l] != NULL) {
                    d = row_square(f, f->delta[l], i * outputs + a, (size_t)layer->fan_out);
                }
                weights[at] += layer->weight_scale * layer->weight_scale * h * d;
                biases[at] += layer->bias_scale * layer->bias_scale * d;
            }
        }
    }
}
