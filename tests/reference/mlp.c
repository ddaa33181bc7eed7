/** @file mlp.c  A slow, plain float64 network. */
#include "mlp.h"

#include <math.h>
#include <stdlib.h>

static double *zeros(size_t count)
{
    double *block = calloc(count, sizeof *block);

    if (block == NULL) {
        abort();
    }
    return block;
}

double reference_phi(nl_activation activation, double z)
{
    switch (activation) {
    case NL_RELU:
        return z > 0.0 ? z : 0.0;
    case NL_TANH:
        return tanh(z);
    case NL_ERF:
        return erf(z);
    case NL_GELU:
        return z * 0.5 * (1.0 + erf(z / sqrt(2.0)));
    default:
        abort();
    }
}

static double phi_slope(nl_activation activation, double z)
{
    const double pi = acos(-1.0);

    switch (activation) {
    case NL_RELU:
        return z > 0.0 ? 1.0 : 0.0;
    case NL_TANH:
        return 1.0 / (cosh(z) * cosh(z));
    case NL_ERF:
        return 2.0 / sqrt(pi) * exp(-z * z);
    case NL_GELU:
        return 0.5 * (1.0 + erf(z / sqrt(2.0))) + z * exp(-z * z / 2.0) / sqrt(2.0 * pi);
    default:
        abort();
    }
}

/* Widest layer, inputs included: room for any h, z or delta. */
static size_t widest(const nl_net *net)
{
    int most = net->spec.inputs;

    for (int l = 0; l < net->layers; l++) {
        most = net->layer[l].fan_out > most ? net->layer[l].fan_out : most;
    }
    return (size_t)most;
}

/* z and h hold `stride` numbers a layer: h[0] = x, z[l] and h[l] of layer l = 1 .. L (z[0] unused;
 * the logits are z[L]). */
static void forward_all(const nl_net *net, const double *theta, const double *x, size_t stride,
                        double *z, double *h)
{
    for (int j = 0; j < net->spec.inputs; j++) {
        h[j] = x[j];
    }
    for (int l = 1; l <= net->layers; l++) {
        const nl_layer *layer = &net->layer[l - 1];
        const double *below = h + (size_t)(l - 1) * stride;

        for (int i = 0; i < layer->fan_out; i++) {
            const double *row = theta + layer->weights + (size_t)i * (size_t)layer->fan_in;
            double sum = 0.0;

            for (int j = 0; j < layer->fan_in; j++) {
                sum += row[j] * below[j];
            }
            sum = layer->weight_scale * sum + layer->bias_scale * theta[layer->biases + (size_t)i];
            z[(size_t)l * stride + (size_t)i] = sum;
            h[(size_t)l * stride + (size_t)i] = reference_phi(net->spec.activation, sum);
        }
    }
}

void reference_forward(const nl_net *net, const double *theta, const double *x, double *f)
{
    const size_t stride = widest(net);
    const size_t levels = (size_t)net->layers + 1;
    double *z = zeros(levels * stride);
    double *h = zeros(levels * stride);

    forward_all(net, theta, x, stride, z, h);
    for (int a = 0; a < net->spec.outputs; a++) {
        f[a] = z[(size_t)net->layers * stride + (size_t)a];
    }
    free(h);
    free(z);
}

double reference_margin(const nl_net *net, const double *theta, const double *x)
{
    const size_t stride = widest(net);
    const size_t levels = (size_t)net->layers + 1;
    double *z = zeros(levels * stride);
    double *h = zeros(levels * stride);
    double margin = INFINITY;

    forward_all(net, theta, x, stride, z, h);
    for (int l = 1; l < net->layers; l++) {
        for (int i = 0; i < net->layer[l - 1].fan_out; i++) {
            margin = fmin(margin, fabs(z[(size_t)l * stride + (size_t)i]));
        }
    }
    free(h);
    free(z);
    return margin;
}

/* One row of the Jacobian: d f_output / d theta.  delta and below hold `stride` numbers. */
static void backward_output(const nl_net *net, const double *theta, int output, size_t stride,
                            const double *z, const double *h, double *delta, double *below,
                            double *row)
{
    for (int i = 0; i < net->spec.outputs; i++) {
        delta[i] = i == output ? 1.0 : 0.0;
    }
    for (int l = net->layers; l >= 1; l--) {
        const nl_layer *layer = &net->layer[l - 1];
        const size_t fan_in = (size_t)layer->fan_in;
        const double *h_below = h + (size_t)(l - 1) * stride;

        for (size_t i = 0; i < (size_t)layer->fan_out; i++) {
            for (size_t j = 0; j < fan_in; j++) {
                row[layer->weights + i * fan_in + j] = layer->weight_scale * delta[i] * h_below[j];
            }
            row[layer->biases + i] = layer->trains_bias ? layer->bias_scale * delta[i] : 0.0;
        }
        for (size_t j = 0; j < fan_in && l > 1; j++) {
            double sum = 0.0;

            for (size_t i = 0; i < (size_t)layer->fan_out; i++) {
                sum += layer->weight_scale * theta[layer->weights + i * fan_in + j] * delta[i];
            }
            below[j] = sum * phi_slope(net->spec.activation, z[(size_t)(l - 1) * stride + j]);
        }
        for (size_t j = 0; j < fan_in && l > 1; j++) {
            delta[j] = below[j];
        }
    }
}

void reference_jacobian(const nl_net *net, const double *theta, const double *x, double *jacobian)
{
    const size_t stride = widest(net);
    const size_t levels = (size_t)net->layers + 1;
    double *z = zeros(levels * stride);
    double *h = zeros(levels * stride);
    double *delta = zeros(stride);
    double *below = zeros(stride);

    forward_all(net, theta, x, stride, z, h);
    for (int a = 0; a < net->spec.outputs; a++) {
        backward_output(net, theta, a, stride, z, h, delta, below,
                        jacobian + (size_t)a * net->size);
    }
    free(below);
    free(delta);
    free(h);
    free(z);
}

double reference_loss(nl_loss loss, int outputs, const double *f, int label)
{
    double sum = 0.0;

    if (loss == NL_MSE) {
        for (int a = 0; a < outputs; a++) {
            double error = f[a] - (a == label ? 1.0 : 0.0);

            sum += error * error / outputs;
        }
        return sum;
    }
    for (int a = 0; a < outputs; a++) {
        sum += exp(f[a] - f[label]);
    }
    return log(sum); /* -log softmax_label; plain: for logits of ordinary size */
}

/* d loss / d f_a of one sample. */
static double loss_slope(nl_loss loss, int outputs, const double *f, int label, int a)
{
    double sum = 0.0;

    if (loss == NL_MSE) {
        return 2.0 * (f[a] - (a == label ? 1.0 : 0.0)) / outputs;
    }
    for (int c = 0; c < outputs; c++) {
        sum += exp(f[c] - f[a]);
    }
    return 1.0 / sum - (a == label ? 1.0 : 0.0);
}

double reference_gradient(const nl_net *net, nl_loss loss, int rows, const double *theta,
                          const double *x, const int *labels, double *gradient)
{
    const int outputs = net->spec.outputs;
    double *jacobian = zeros((size_t)outputs * net->size);
    double *f = zeros((size_t)outputs);
    double mean = 0.0;

    for (size_t k = 0; k < net->size; k++) {
        gradient[k] = 0.0;
    }
    for (int i = 0; i < rows; i++) {
        const double *sample = x + (size_t)i * (size_t)net->spec.inputs;

        reference_forward(net, theta, sample, f);
        reference_jacobian(net, theta, sample, jacobian);
        mean += reference_loss(loss, outputs, f, labels[i]) / rows;
        for (int a = 0; a < outputs; a++) {
            double slope = loss_slope(loss, outputs, f, labels[i], a) / rows;

            for (size_t k = 0; k < net->size; k++) {
                gradient[k] += slope * jacobian[(size_t)a * net->size + k];
            }
        }
    }
    free(f);
    free(jacobian);
    return mean;
}
