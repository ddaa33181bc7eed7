/** @file loops.h  The float loops of training, private to the room.
 *
 * Activations and their gradients lie unit by unit, [units x rows]: bias and bias gradient are
 * then one number a contiguous run, and BLAS sees column-major matrices [rows x units]. */
#ifndef NTKLENS_NN_LOOPS_H
#define NTKLENS_NN_LOOPS_H

#include "ntklens/nn.h"

/** True for relu and tanh; the other activations store phi'(z) on the way forward. */
bool nl_slope_follows_from_value(nl_activation activation);

/** h [units x rows] holds s W h_below and becomes phi(h + t bias); slope, where not NULL and not
 *  following from the value, receives phi'. */
void nl_activate(nl_activation activation, int units, int rows, float t, const float *bias,
                 float *h, float *slope);

/** delta [n] *= phi'. */
void nl_activate_backward(nl_activation activation, size_t n, const float *h, const float *slope,
                          float *delta);

/** z [units x rows] += t bias, bias [units]. */
void nl_add_bias(int units, int rows, float t, const float *bias, float *z);

/** sums [units] = t times the sum of delta [units x rows] over rows. */
void nl_unit_sums(int units, int rows, float t, const float *delta, float *sums);

/** What one step does to one group of parameters. */
typedef struct nl_update {
    float rate;           /* learning rate of this step and group; adam: over 1 - beta1^(step+1) */
    float decay;          /* weight decay */
    float momentum;       /* momentum only */
    float rms_correction; /* adam only: 1 / sqrt(1 - beta2^(step+1)) */
} nl_update;

/** Learning rate of a step, before the layer's own rate. */
double nl_learning_rate(const nl_train_spec *spec, long step);

/** @param[in] rate  the group's own, as nl_layer.weight_rate */
nl_update nl_update_of(const nl_train_spec *spec, long step, double rate);

/** w -= rate * (g + decay * w). */
void nl_update_sgd(const nl_update *update, size_t n, const float *g, float *w);

/** v += decay * w; w -= rate * v.  v is momentum * v + g already. */
void nl_update_momentum(const nl_update *update, size_t n, float *v, float *w);

/** One pass of adam: first and second moments m, v and parameters w from gradient g. */
void nl_update_adam(const nl_update *update, size_t n, const float *g, float *m, float *v,
                    float *w);

#endif
