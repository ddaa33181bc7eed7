/** @file optimizer.c  Learning rates and update loops. */
#include "optimizer.h"

#include <math.h>

static const double beta1 = 0.9; /* of adam (Kingma & Ba 2015) */
static const double beta2 = 0.999;
static const float adam_epsilon = 1e-8F;

const char *nl_optimizer_name(nl_optimizer optimizer)
{
    static const char *const names[NL_OPTIMIZER_COUNT] = {"sgd", "momentum", "adam"};

    return optimizer < NL_OPTIMIZER_COUNT ? names[optimizer] : "unknown";
}

double nl_learning_rate(const nl_train_spec *spec, long step)
{
    if (spec->schedule == NL_COSINE) {
        return spec->learning_rate * 0.5 *
               (1.0 + cos(M_PI * (double)step / (double)spec->max_steps));
    }
    return spec->learning_rate;
}

nl_update nl_update_of(const nl_train_spec *spec, long step, double rate)
{
    double scale = rate * nl_learning_rate(spec, step);
    nl_update update = {.rate = (float)scale,
                        .decay = (float)spec->weight_decay,
                        .momentum = (float)spec->momentum};

    if (spec->optimizer == NL_ADAM) {
        double updates = (double)step + 1.0;

        update.rate = (float)(scale / (1.0 - pow(beta1, updates)));
        update.rms_correction = (float)(1.0 / sqrt(1.0 - pow(beta2, updates)));
    }
    return update;
}

NL_VECTOR_CLONES
void nl_update_sgd(const nl_update *update, size_t n, const float *restrict g, float *restrict w)
{
    const float rate = update->rate;
    const float decay = update->decay;

    for (size_t k = 0; k < n; k++) {
        w[k] -= rate * (g[k] + decay * w[k]);
    }
}

NL_VECTOR_CLONES
void nl_add_momentum(const nl_update *update, size_t n, const float *restrict g, float *restrict v)
{
    for (size_t k = 0; k < n; k++) {
        v[k] = update->momentum * v[k] + g[k];
    }
}

NL_VECTOR_CLONES
void nl_update_momentum(const nl_update *update, size_t n, float *restrict v, float *restrict w)
{
    const float rate = update->rate;
    const float decay = update->decay;

    for (size_t k = 0; k < n; k++) {
        v[k] += decay * w[k];
        w[k] -= rate * v[k];
    }
}

NL_VECTOR_CLONES
void nl_update_adam(const nl_update *update, size_t n, const float *restrict g, float *restrict m,
                    float *restrict v, float *restrict w)
{
    const float rate = update->rate;
    const float decay = update->decay;
    const float rms_correction = update->rms_correction;
    const float keep1 = (float)beta1;
    const float keep2 = (float)beta2;
    const float take1 = (float)(1.0 - beta1);
    const float take2 = (float)(1.0 - beta2);

    for (size_t k = 0; k < n; k++) {
        float slope = g[k] + decay * w[k];

        m[k] = keep1 * m[k] + take1 * slope;
        v[k] = keep2 * v[k] + take2 * slope * slope;
        w[k] -= rate * m[k] / (sqrtf(v[k]) * rms_correction + adam_epsilon);
    }
}
