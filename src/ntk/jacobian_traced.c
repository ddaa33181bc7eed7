/** @file jacobian_traced.c  |J_a^T u|^2, summed over outputs a. */
#include "jacobian_passes.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One backward pass an output. */
static nl_status square_by_outputs(nl_jacobian *j, const double *u, bool rate_weighted,
                                   double *square)
{
    const size_t outputs = (size_t)j->net->spec.outputs;
    double *seeds = nl_calloc((size_t)j->samples * outputs, sizeof *seeds);
    nl_status status = NL_OK;

    *square = 0.0;
    if (seeds == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for seeds of %d samples", j->samples);
    }
    for (size_t a = 0; status == NL_OK && a < outputs; a++) {
        double part = 0.0;

        for (size_t i = 0; i < (size_t)j->samples; i++) {
            seeds[i * outputs + a] = u[i];
            seeds[i * outputs + (a + outputs - 1) % outputs] = outputs > 1 ? 0.0 : u[i];
        }
        status = nl_jacobian_square(j, seeds, rate_weighted, &part);
        *square += part / (double)outputs;
    }
    free(seeds);
    return status;
}

/* Products of the last hidden layer's back-signals, summed over outputs: s W[a, :] o phi'. */
static void pair_last_hidden(nl_jacobian *j)
{
    const nl_layer *output = &j->net->layer[nl_net_output(j->net)];
    const size_t width = (size_t)output->fan_in;
    const double *slope = j->slope[output->from];
    double *traced_delta = j->signal[1];

    for (size_t k = 0; k < width; k++) {
        double squares = 0.0;

        for (size_t a = 0; a < (size_t)output->fan_out; a++) {
            const double w = (double)j->theta[output->weights + a * width + k];

            squares += w * w;
        }
        for (size_t i = 0; i < (size_t)j->samples; i++) {
            traced_delta[i * width + k] =
                output->weight_scale * sqrt(squares) * slope[i * width + k];
        }
    }
    nl_jacobian_pair_up(j, (int)width, traced_delta, (int)width, 0.0);
}

/* +1 or -1 of row `row` of the Jacobian: bits of a multiplicative hash. */
static double sign_of(size_t row)
{
    return ((uint64_t)(row + 1) * UINT64_C(0x9E3779B97F4A7C15)) >> 63 != 0 ? -1.0 : 1.0;
}

NL_VECTOR_CLONES
static void add_signed_double(size_t n, double sign, const double *restrict from,
                              double *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += sign * from[k];
    }
}

NL_VECTOR_CLONES
static void add_signed_single(size_t n, double sign, const float *restrict from,
                              double *restrict to)
{
    for (size_t k = 0; k < n; k++) {
        to[k] += sign * (double)from[k];
    }
}

/* Each sample's back-signals in the factors, summed over outputs with signs.  Returns the largest
 * length that a sum over a sample's outputs typically has, whatever cancels with these signs. */
static double contract(const nl_jacobian *j, const nl_factors *factors, int l, double *contracted)
{
    const size_t width = (size_t)j->net->layer[l].fan_out;
    const size_t outputs = (size_t)j->net->spec.outputs;
    double most = 0.0;
    double squares = 0.0;

    memset(contracted, 0, (size_t)j->samples * width * sizeof *contracted);
    for (size_t row = 0; row < (size_t)j->samples * outputs; row++) {
        double *to = contracted + row / outputs * width;

        squares = row % outputs == 0 ? 0.0 : squares;
        if (factors->precision == NL_DOUBLE) {
            const double *delta = (const double *)factors->delta[l] + row * width;

            add_signed_double(width, sign_of(row), delta, to);
            squares += nl_squares_double(width, delta);
        } else {
            const float *delta = (const float *)factors->delta[l] + row * width;

            add_signed_single(width, sign_of(row), delta, to);
            squares += nl_squares_single(width, delta);
        }
        most = !(squares <= most) ? squares : most;
    }
    return sqrt(most);
}

/* Products of a layer's back-signals in the factors, summed over outputs. */
static void pair_factors(nl_jacobian *j, int l, const nl_factors *factors)
{
    const int width = j->net->layer[l].fan_out;
    const int outputs = j->net->spec.outputs;

    for (int a = 0; a < outputs; a++) {
        const size_t first = (size_t)a * (size_t)width;
        const double beta = a > 0 ? 1.0 : 0.0;

        if (factors->precision == NL_DOUBLE) {
            nl_jacobian_pair_up(j, width, (const double *)factors->delta[l] + first,
                                outputs * width, beta);
            continue;
        }
        memset(j->piece, 0, (size_t)j->samples * (size_t)width * sizeof *j->piece);
        for (size_t i = 0; i < (size_t)j->samples; i++) {
            add_signed_single((size_t)width, 1.0,
                              (const float *)factors->delta[l] + i * (size_t)(outputs * width) +
                                  first,
                              j->piece + i * (size_t)width);
        }
        nl_jacobian_pair_up(j, width, j->piece, width, beta);
    }
}

/* The largest distance of a sample's vector from its own. */
static double worst_distance(size_t samples, size_t width, const double *got, const double *own)
{
    double worst = 0.0;

    for (size_t i = 0; i < samples; i++) {
        double difference = 0.0;

        for (size_t k = i * width; k < (i + 1) * width; k++) {
            difference += (got[k] - own[k]) * (got[k] - own[k]);
        }
        worst = !(difference <= worst) ? difference : worst; /* a NaN stays */
    }
    return sqrt(worst);
}

/* D = 1 for every pair: each output's back-signal of its own layer is 1. */
static void pair_outputs(nl_jacobian *j)
{
    for (size_t k = 0; k < (size_t)j->samples * (size_t)j->samples; k++) {
        j->pair[k] = j->net->spec.outputs;
    }
}

static bool serves(const nl_jacobian *j, const nl_factors *factors)
{
    return j->paired && (j->net->layer[nl_net_last_hidden(j->net)].from < 0 ||
                         (factors != NULL && factors->samples >= j->samples));
}

nl_status nl_jacobian_traced_square(nl_jacobian *j, const double *u, const nl_factors *factors,
                                    bool rate_weighted, double *square, double *mismatch)
{
    const int last = nl_net_output(j->net);
    const size_t outputs = (size_t)j->net->spec.outputs;
    double *scratch = NULL;
    nl_status status = NL_OK;

    *mismatch = 0.0;
    if (!serves(j, factors)) {
        return square_by_outputs(j, u, rate_weighted, square);
    }
    *square = 0.0;
    scratch =
        nl_calloc((size_t)j->samples * ((size_t)nl_net_widest(j->net) + outputs), sizeof *scratch);
    if (scratch == NULL) {
        return NL_FAIL(NL_ERR_NOMEM, "out of memory for back-signals of %d samples", j->samples);
    }
    for (size_t row = 0; row < (size_t)j->samples * outputs; row++) {
        scratch[row] = sign_of(row);
    }
    for (int l = last, above = last; status == NL_OK && l >= 0;
         above = l, l = j->net->layer[l].from) {
        status = nl_jacobian_make_gram(j, l);
        if (status != NL_OK) {
            break;
        }
        if (l == last) {
            pair_outputs(j);
        } else if (l == nl_net_last_hidden(j->net)) {
            pair_last_hidden(j);
            nl_jacobian_step_backward(j, last, scratch, j->signal[0]);
        } else {
            const int to = (last - l) % 2 == 0;
            double *contracted = scratch + (size_t)j->samples * outputs;
            double scale = 0.0;
            double worst = 0.0;

            nl_jacobian_step_backward(j, above, j->signal[!to], j->signal[to]);
            scale = contract(j, factors, l, contracted);
            worst = worst_distance((size_t)j->samples, (size_t)j->net->layer[l].fan_out, contracted,
                                   j->signal[to]);
            worst = scale > 0.0 || worst > 0.0 || isnan(worst) ? worst / scale : 0.0;
            pair_factors(j, l, factors);
            *mismatch = !(worst <= *mismatch) ? worst : *mismatch;
        }
        *square += nl_jacobian_pair_sum(j, l, u, rate_weighted) / (double)outputs;
    }
    free(scratch);
    return status;
}
