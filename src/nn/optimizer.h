/** @file optimizer.h  Learning rates and update loops. */
#ifndef NTKLENS_NN_OPTIMIZER_H
#define NTKLENS_NN_OPTIMIZER_H

#include "ntklens/nn.h"

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

/** v = momentum * v + g. */
void nl_add_momentum(const nl_update *update, size_t n, const float *g, float *v);

/** v += decay * w; w -= rate * v.  v is momentum * v + g already. */
void nl_update_momentum(const nl_update *update, size_t n, float *v, float *w);

/** One pass of adam: first and second moments m, v and parameters w from gradient g. */
void nl_update_adam(const nl_update *update, size_t n, const float *g, float *m, float *v,
                    float *w);

#endif
