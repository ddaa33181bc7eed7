/** @file activation.c  Activations: the definitions, and the float loops of training. */
#include "activation.h"

#include <math.h>

const char *nl_activation_name(nl_activation activation)
{
    static const char *const names[NL_ACTIVATION_COUNT] = {"relu", "tanh", "erf", "gelu"};

    return activation < NL_ACTIVATION_COUNT ? names[activation] : "unknown";
}

double nl_activation_value(nl_activation activation, double z)
{
    switch (activation) {
    case NL_RELU:
        return z < 0.0 ? 0.0 : z; /* this way round a NaN stays one */
    case NL_TANH:
        return tanh(z);
    case NL_ERF:
        return erf(z);
    case NL_GELU:
        return z * 0.5 * erfc(-z * M_SQRT1_2); /* erfc keeps the left tail, 1 + erf cancels there */
    default:
        return NAN;
    }
}

double nl_activation_slope(nl_activation activation, double z)
{
    switch (activation) {
    case NL_RELU:
        return z > 0.0 ? 1.0 : 0.0;
    case NL_TANH:
        return 1.0 / (cosh(z) * cosh(z));
    case NL_ERF:
        return M_2_SQRTPI * exp(-z * z);
    case NL_GELU:
        return 0.5 * erfc(-z * M_SQRT1_2) + z * exp(-0.5 * z * z) * 0.5 * M_2_SQRTPI * M_SQRT1_2;
    default:
        return NAN;
    }
}

bool nl_slope_follows_from_value(nl_activation activation)
{
    return activation == NL_RELU || activation == NL_TANH;
}

/* The loops below take one unit: z [n] of its samples becomes h = phi(z + bias). */

NL_VECTOR_CLONES
static void relu_unit(int n, float bias, float *restrict h)
{
    for (int i = 0; i < n; i++) {
        float z = h[i] + bias;

        h[i] = z < 0.0F ? 0.0F : z;
    }
}

static void tanh_unit(int n, float bias, float *restrict h)
{
    for (int i = 0; i < n; i++) {
        h[i] = tanhf(h[i] + bias);
    }
}

static void erf_unit(int n, float bias, float *restrict h, float *restrict slope)
{
    for (int i = 0; i < n; i++) {
        float z = h[i] + bias;

        h[i] = erff(z);
        if (slope != NULL) {
            slope[i] = (float)M_2_SQRTPI * expf(-z * z);
        }
    }
}

static void gelu_unit(int n, float bias, float *restrict h, float *restrict slope)
{
    const float density_at_0 = (float)(0.5 * M_2_SQRTPI * M_SQRT1_2); /* 1 / sqrt(2 pi) */

    for (int i = 0; i < n; i++) {
        float z = h[i] + bias;
        float below = 0.5F * (1.0F + erff(z * (float)M_SQRT1_2)); /* erfcf: twice the time */

        h[i] = z * below;
        if (slope != NULL) {
            slope[i] = below + z * density_at_0 * expf(-0.5F * z * z);
        }
    }
}

void nl_activate(nl_activation activation, int units, int rows, nl_bias bias, float *h,
                 float *slope)
{
    for (int u = 0; u < units; u++) {
        const size_t at = (size_t)u * (size_t)rows;
        float *kept = slope != NULL ? slope + at : NULL;

        switch (activation) {
        case NL_RELU:
            relu_unit(rows, bias.t * bias.values[u], h + at);
            break;
        case NL_TANH:
            tanh_unit(rows, bias.t * bias.values[u], h + at);
            break;
        case NL_ERF:
            erf_unit(rows, bias.t * bias.values[u], h + at, kept);
            break;
        default:
            gelu_unit(rows, bias.t * bias.values[u], h + at, kept);
            break;
        }
    }
}

NL_VECTOR_CLONES
static void relu_double(size_t n, double *restrict h, double *restrict slope)
{
    for (size_t k = 0; k < n; k++) {
        const double z = h[k];

        h[k] = z < 0.0 ? 0.0 : z;
        slope[k] = z > 0.0 ? 1.0 : 0.0;
    }
}

void nl_activate_double(nl_activation activation, size_t n, double *z, double *slope)
{
    if (activation == NL_RELU) {
        relu_double(n, z, slope);
        return;
    }
    for (size_t k = 0; k < n; k++) {
        const double at = z[k];

        z[k] = nl_activation_value(activation, at);
        slope[k] = nl_activation_slope(activation, at);
    }
}

NL_VECTOR_CLONES
static void relu_backward(size_t n, const float *restrict h, float *restrict delta)
{
    for (size_t i = 0; i < n; i++) {
        delta[i] = h[i] > 0.0F ? delta[i] : 0.0F;
    }
}

NL_VECTOR_CLONES
static void tanh_backward(size_t n, const float *restrict h, float *restrict delta)
{
    for (size_t i = 0; i < n; i++) {
        delta[i] *= 1.0F - h[i] * h[i];
    }
}

NL_VECTOR_CLONES
static void stored_backward(size_t n, const float *restrict slope, float *restrict delta)
{
    for (size_t i = 0; i < n; i++) {
        delta[i] *= slope[i];
    }
}

void nl_activate_backward(nl_activation activation, size_t n, const float *h, const float *slope,
                          float *delta)
{
    switch (activation) {
    case NL_RELU:
        relu_backward(n, h, delta);
        break;
    case NL_TANH:
        tanh_backward(n, h, delta);
        break;
    default:
        stored_backward(n, slope, delta);
        break;
    }
}

void nl_add_bias(int units, int rows, nl_bias bias, float *z)
{
    for (int u = 0; u < units; u++) {
        for (int i = 0; i < rows; i++) {
            z[(size_t)u * (size_t)rows + (size_t)i] += bias.t * bias.values[u];
        }
    }
}

/* Sixteen running sums, folded at the end: the compiler may keep them in vectors of any width and
 * the bits stay the same. */
NL_VECTOR_CLONES
static float sum_of(int n, const float *x)
{
    enum { lanes = 16 };
    float lane[lanes] = {0.0F};
    int i = 0;

    for (; i + lanes <= n; i += lanes) {
        for (int k = 0; k < lanes; k++) {
            lane[k] += x[i + k];
        }
    }
    for (int k = 0; i + k < n; k++) {
        lane[k] += x[i + k];
    }
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++) {
            lane[k] += lane[k + half];
        }
    }
    return lane[0];
}

void nl_unit_sums(int units, int rows, float t, const float *delta, float *sums)
{
    for (int u = 0; u < units; u++) {
        sums[u] = t * sum_of(rows, delta + (size_t)u * (size_t)rows);
    }
}
