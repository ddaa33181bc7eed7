/** @file network.c  Any network by the definition of its layers. */
#include "network.h"
#include "convolution.h"
#include "mlp.h"
#include "pool.h"

#include <math.h>
#include <stdlib.h>

static void dense(const nl_layer *l, const double *w, const double *h, double *z)
{
    for (int o = 0; o < l->fan_out; o++) {
        z[o] = 0.0;
        for (int q = 0; q < l->fan_in; q++) {
            z[o] += w[o * l->fan_in + q] * h[q];
        }
    }
}

static void pool(const nl_layer *l, const double *h, double *z)
{
    double *unused = calloc((size_t)(nl_shape_size(l->in) + nl_shape_size(l->out)), sizeof *unused);

    reference_pool(l->kind == NL_MAX_POOL, l->in, l->kernel, 1, h, z, unused,
                   unused + nl_shape_size(l->out));
    free(unused);
}

static void mean_of_positions(nl_shape in, const double *h, double *z)
{
    const int positions = in.height * in.width;

    for (int k = 0; k < in.channels; k++) {
        z[k] = 0.0;
        for (int p = 0; p < positions; p++) {
            z[k] += h[p * in.channels + k] / positions;
        }
    }
}

static void norm(nl_shape in, const double *gain, const double *h, double *z)
{
    const int m = nl_shape_size(in);
    double mean = 0.0;
    double variance = 0.0;

    for (int k = 0; k < m; k++) {
        mean += h[k] / m;
    }
    for (int k = 0; k < m; k++) {
        variance += (h[k] - mean) * (h[k] - mean) / m;
    }
    for (int k = 0; k < m; k++) {
        z[k] = gain[k % in.channels] * (h[k] - mean) / sqrt(variance + 1e-5);
    }
}

/* z of a layer, scales and biases included. */
static void layer_output(const nl_layer *l, const double *theta, const double *h,
                         const double *plus, double *z)
{
    const reference_convolution c = {
        .in = l->in, .out = l->out, .kernel = l->kernel, .stride = l->stride};
    const double *w = theta + l->weights;
    const int size = nl_shape_size(l->out);

    switch (l->kind) {
    case NL_DENSE:
        dense(l, w, h, z);
        break;
    case NL_CONVOLUTION:
        reference_convolve(&c, 1, w, h, z);
        break;
    case NL_AVERAGE_POOL:
    case NL_MAX_POOL:
        pool(l, h, z);
        break;
    case NL_GLOBAL_AVERAGE:
        mean_of_positions(l->in, h, z);
        break;
    case NL_LAYER_NORM:
        norm(l->in, w, h, z);
        break;
    default: /* phi alone, sums */
        for (int k = 0; k < size; k++) {
            z[k] = l->kind == NL_ADD ? l->branch_scale * h[k] + plus[k] : h[k];
        }
        return;
    }
    for (int k = 0; l->fan_out > 0 && k < size; k++) {
        z[k] = l->weight_scale * z[k] + l->bias_scale * theta[l->biases + (size_t)(k % l->fan_out)];
    }
}

void reference_outputs(const nl_net *net, const double *theta, const float *x, double *f)
{
    const nl_shape image = net->layer[0].in;
    const int positions = image.height * image.width;
    double **out = calloc((size_t)net->layers + 1, sizeof *out);

    out++; /* out[-1]: the sample */
    out[-1] = calloc((size_t)nl_shape_size(image), sizeof **out);
    for (int k = 0; k < nl_shape_size(image); k++) {
        out[-1][k] = (double)x[k % image.channels * positions + k / image.channels];
    }
    for (int l = 0; l < net->layers; l++) {
        const nl_layer *layer = &net->layer[l];
        const int size = nl_shape_size(layer->out);

        out[l] = calloc((size_t)size, sizeof **out);
        layer_output(layer, theta, out[layer->from],
                     layer->kind == NL_ADD ? out[layer->plus] : NULL, out[l]);
        for (int k = 0; layer->activates && k < size; k++) {
            out[l][k] = reference_phi(net->spec.activation, out[l][k]);
        }
    }
    for (int a = 0; a < net->spec.outputs; a++) {
        f[a] = out[net->layers - 1][a];
    }
    for (int l = -1; l < net->layers; l++) {
        free(out[l]);
    }
    free(out - 1);
}

void reference_network_jacobian(const nl_net *net, const double *theta, const float *x,
                                double *jacobian)
{
    const double step = 1e-5;
    const size_t outputs = (size_t)net->spec.outputs;
    double *moved = calloc(net->size, sizeof *moved);
    double *f = calloc(2 * outputs, sizeof *f);

    for (size_t k = 0; k < net->size; k++) {
        moved[k] = theta[k];
    }
    for (size_t k = 0; k < net->size; k++) {
        moved[k] = theta[k] + step;
        reference_outputs(net, moved, x, f);
        moved[k] = theta[k] - step;
        reference_outputs(net, moved, x, f + outputs);
        moved[k] = theta[k];
        for (size_t a = 0; a < outputs; a++) {
            jacobian[a * net->size + k] = (f[a] - f[outputs + a]) / (2.0 * step);
        }
    }
    free(moved);
    free(f);
}
