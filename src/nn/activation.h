/** @file activation.h  The loops of activations and biases.
 *
 * Activations and their gradients lie unit by unit, [units x rows]: bias and bias gradient are
 * then one number a contiguous run, and BLAS sees column-major matrices [rows x units]. */
#ifndef NTKLENS_NN_ACTIVATION_H
#define NTKLENS_NN_ACTIVATION_H

#include "ntklens/nn.h"

/** True for relu and tanh; the other activations store phi'(z) on the way forward. */
bool nl_slope_follows_from_value(nl_activation activation);

/** What is added to each unit: t bias.  Borrowed. */
typedef struct nl_bias {
    float t;
    const float *values; /* [units] */
} nl_bias;

/** h [units x rows] holds s W h_below and becomes phi(h + t bias); slope, where not NULL and not
 *  following from the value, receives phi'. */
void nl_activate(nl_activation activation, int units, int rows, nl_bias bias, float *h,
                 float *slope);

/** z [n] becomes phi(z), slope [n] phi'(z); in the same bits as by nl_activation_value() and
 *  nl_activation_slope(). */
void nl_activate_double(nl_activation activation, size_t n, double *z, double *slope);

/** delta [n] *= phi'. */
void nl_activate_backward(nl_activation activation, size_t n, const float *h, const float *slope,
                          float *delta);

/** z [units x rows] += t bias. */
void nl_add_bias(int units, int rows, nl_bias bias, float *z);

/** sums [units] = t times the sum of delta [units x rows] over rows. */
void nl_unit_sums(int units, int rows, float t, const float *delta, float *sums);

#endif
