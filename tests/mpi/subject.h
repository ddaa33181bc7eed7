/** @file subject.h  What tests of kernels share: a network, a probe, and the explicit Jacobian. */
#ifndef NTKLENS_TESTS_SUBJECT_H
#define NTKLENS_TESTS_SUBJECT_H

#include "ntklens/ntk.h"

#include <stdlib.h>

/** A network with random parameters and a probe.  net: NULL where it could not be made. */
typedef struct subject {
    int samples, inputs, classes;
    nl_net *net;
    float *theta;
    float *probe;     /* [samples x inputs] */
    double *jacobian; /* [samples * classes x size], explicit */
} subject;

static inline void destroy_subject(subject *s)
{
    nl_net_destroy(&s->net);
    free(s->theta);
    free(s->probe);
    free(s->jacobian);
}

#endif
