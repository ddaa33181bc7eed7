/** @file infinite.c  Kernels of infinitely wide networks, in closed form. */
#include "ntklens/ntk.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/** Expectations over (u, v) normal with this covariance. */
typedef struct expectation {
    double value; /* E[phi(u) phi(v)] */
    double slope; /* E[phi'(u) phi'(v)] */
} expectation;

/* Arc-cosine kernels of order 1 and 0 (Cho & Saul 2009). */
static expectation relu_expectation(double uu, double uv, double vv)
{
    const double norm = sqrt(uu * vv);
    const double cosine = norm > 0.0 ? fmin(1.0, fmax(-1.0, uv / norm)) : 0.0;
    const double angle = acos(cosine);

    return (expectation){
        .value = norm / (2.0 * pi) * (sqrt(1.0 - cosine * cosine) + (pi - angle) * cosine),
        .slope = (pi - angle) / (2.0 * pi),
    };
}

/* Williams 1997, "Computing with infinite networks". */
static expectation erf_expectation(double uu, double uv, double vv)
{
    const double norm = (1.0 + 2.0 * uu) * (1.0 + 2.0 * vv);

    return (expectation){
        .value = 2.0 / pi * asin(2.0 * uv / sqrt(norm)),
        .slope = 4.0 / pi / sqrt(norm - 4.0 * uv * uv),
    };
}

static double entry(const nl_net_spec *spec, double xx, double xy, double yy)
{
    const double sw2 = spec->weight_variance;
    const double sb2 = spec->bias_variance;
    double kxx = sw2 * xx / spec->inputs + sb2;
    double kxy = sw2 * xy / spec->inputs + sb2;
    double kyy = sw2 * yy / spec->inputs + sb2;
    double theta = kxy;
    expectation (*expect)(double, double, double) =
        spec->activation == NL_RELU ? relu_expectation : erf_expectation;

    for (int l = 0; l < spec->depth; l++) {
        const expectation cross = expect(kxx, kxy, kyy);
        const double next_xx = sw2 * expect(kxx, kxx, kxx).value + sb2;
        const double next_yy = sw2 * expect(kyy, kyy, kyy).value + sb2;

        kxy = sw2 * cross.value + sb2;
        theta = kxy + sw2 * cross.slope * theta;
        kxx = next_xx;
        kyy = next_yy;
    }
    return theta;
}

static double inner(int size, const float *x, const float *y)
{
    double sum = 0.0;

    for (int k = 0; k < size; k++) {
        sum += (double)x[k] * (double)y[k];
    }
    return sum;
}

nl_status nl_infinite_ntk(const nl_net_spec *spec, int samples, const float *x, double *theta)
{
    const size_t n = (size_t)samples;
    const size_t inputs = (size_t)spec->inputs;

    if (spec->activation != NL_RELU && spec->activation != NL_ERF) {
        return NL_FAIL(NL_ERR_ARG,
                       "infinite width: activation %s has no closed form here, use relu or erf",
                       nl_activation_name(spec->activation));
    }
    for (size_t i = 0; i < n; i++) {
        const float *xi = x + i * inputs;

        for (size_t j = 0; j <= i; j++) {
            const float *xj = x + j * inputs;

            theta[i * n + j] = theta[j * n + i] =
                entry(spec, inner(spec->inputs, xi, xi), inner(spec->inputs, xi, xj),
                      inner(spec->inputs, xj, xj));
        }
    }
    return NL_OK;
}
