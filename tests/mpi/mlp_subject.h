/** @file mlp_subject.h  A subject of tests of kernels that is an mlp. */
#ifndef NTKLENS_TESTS_MLP_SUBJECT_H
#define NTKLENS_TESTS_MLP_SUBJECT_H

#include "subject.h"

#include "../reference/mlp.h"

/** What is not as it was drawn; NULL: it is. */
typedef struct subject_changes {
    void (*parameters)(const nl_net *net, float *theta);
    float (*pixel)(int k, float drawn); /* of input k */
} subject_changes;

static inline subject create_mlp_subject(int samples, const nl_net_spec *spec,
                                         const subject_changes *changes)
{
    const int inputs = spec->inputs;
    const int classes = spec->outputs;
    nl_rng rng = nl_rng_open(5, NL_PURPOSE_SELF_TEST, (uint32_t)spec->activation,
                             (uint32_t)spec->parametrization, (uint32_t)spec->depth);
    subject s = {.samples = samples, .inputs = inputs, .classes = classes};
    double *theta = NULL;
    double *x = nl_calloc((size_t)inputs, sizeof *x);

    if (nl_net_create(spec, NL_SGD, &s.net) != NL_OK) {
        free(x);
        return s;
    }
    s.theta = nl_calloc(s.net->size, sizeof *s.theta);
    theta = nl_calloc(s.net->size, sizeof *theta);
    s.probe = nl_calloc((size_t)samples * (size_t)inputs, sizeof *s.probe);
    s.jacobian = nl_calloc((size_t)samples * (size_t)classes * s.net->size, sizeof *s.jacobian);
    nl_net_initialize(s.net, 7, s.theta);
    if (changes->parameters != NULL) {
        changes->parameters(s.net, s.theta);
    }
    for (size_t k = 0; k < s.net->size; k++) {
        theta[k] = (double)s.theta[k];
    }
    for (int i = 0; i < samples; i++) {
        for (int k = 0; k < inputs; k++) {
            const float drawn = (float)nl_rng_normal(&rng);

            s.probe[i * inputs + k] = changes->pixel != NULL ? changes->pixel(k, drawn) : drawn;
            x[k] = (double)s.probe[i * inputs + k];
        }
        reference_jacobian(s.net, theta, x, s.jacobian + (size_t)(i * classes) * s.net->size);
    }
    free(x);
    free(theta);
    return s;
}

#endif
