/** @file convolutional_subject.h  Subjects of tests of kernels that are convolutional or residual
 * networks; their Jacobians are of gradients of one sample and output each, untrained biases 0. */
#ifndef NTKLENS_TESTS_CONVOLUTIONAL_SUBJECT_H
#define NTKLENS_TESTS_CONVOLUTIONAL_SUBJECT_H

#include "ntklens/passes.h"

#include "subject.h"

#include <string.h>

enum { convolutional_classes = 3 };

/* plain: no norm, and a head behind which back-signals of the last layers are products (joined.h).
 */
static inline nl_net_spec convolutional_spec(nl_net_kind kind, nl_parametrization parametrization,
                                             bool plain)
{
    const bool residual = kind == NL_RESNET;

    return (nl_net_spec){
        .kind = kind,
        .inputs = 6 * 5 * 2,
        .outputs = convolutional_classes,
        .width = 5,
        .depth = 1,
        .activation = NL_RELU,
        .parametrization = parametrization,
        .base_width = 2,
        .weight_variance = 1.7,
        .bias_variance = 0.4,
        .convolutional = {.image = {6, 5, 2},
                          .stages = 2,
                          .blocks = {1, 1},
                          .channel_growth = residual ? 2 : 1,
                          .kernel_size = 3,
                          .downsampling = residual ? NL_STRIDE : NL_MAX_POOLING,
                          .head = residual || plain ? NL_GLOBAL_AVERAGE_HEAD : NL_FLATTEN_HEAD,
                          .dense_multiple = residual ? 0 : 2,
                          .normalization =
                              residual && !plain ? NL_LAYER_NORMALIZATION : NL_NO_NORMALIZATION,
                          .branch_scale = 0.6,
                          .biases = parametrization != NL_MUP},
    };
}

/** J in the making. */
typedef struct collected {
    nl_passes *passes;
    const subject *subject;
} collected;

static inline void collect(int l, const void *delta, void *context)
{
    const collected *c = context;
    const subject *s = c->subject;
    const nl_net *net = s->net;
    const nl_layer *layer = &net->layer[l];
    const size_t size = (size_t)nl_shape_size(layer->out);

    for (int row = 0; layer->fan_out > 0 && row < s->samples * s->classes; row++) {
        double *to = s->jacobian + (size_t)row * net->size;

        nl_passes_gradient(c->passes, l, row / s->classes, 1,
                           (const double *)delta + (size_t)row * size, to + layer->weights,
                           to + layer->biases);
        if (!layer->trains_bias) {
            memset(to + layer->biases, 0, (size_t)layer->fan_out * sizeof *to);
        }
    }
}

static inline void make_jacobian(const subject *s)
{
    const int C = s->classes;
    const nl_passes_spec spec = {.precision = NL_DOUBLE, .rows = s->samples, .seeds = C};
    double *seeds = nl_calloc((size_t)s->samples * (size_t)(C * C), sizeof *seeds);
    collected c = {.subject = s};

    for (int row = 0; row < s->samples * C; row++) {
        seeds[row * C + row % C] = 1.0;
    }
    if (nl_passes_create(s->net, &spec, &c.passes) == NL_OK) {
        nl_passes_set_parameters(c.passes, s->theta);
        nl_passes_forward(c.passes, s->samples, s->probe, NULL);
        nl_passes_backward(c.passes, seeds, 0, collect, &c);
    }
    nl_passes_destroy(&c.passes);
    free(seeds);
}

static inline subject create_convolutional_subject(int samples, const nl_net_spec *spec)
{
    nl_rng rng = nl_rng_open(6, NL_PURPOSE_SELF_TEST, (uint32_t)spec->kind, 0, 0);
    subject s = {.samples = samples, .inputs = spec->inputs, .classes = spec->outputs};

    if (nl_net_create(spec, NL_SGD, &s.net) != NL_OK) {
        return s;
    }
    s.theta = nl_calloc(s.net->size, sizeof *s.theta);
    s.probe = nl_calloc((size_t)samples * (size_t)spec->inputs, sizeof *s.probe);
    s.jacobian = nl_calloc((size_t)samples * (size_t)s.classes * s.net->size, sizeof *s.jacobian);
    nl_net_initialize(s.net, 7, s.theta);
    for (int k = 0; k < samples * spec->inputs; k++) {
        s.probe[k] = (float)nl_rng_normal(&rng);
    }
    make_jacobian(&s);
    return s;
}

#endif
