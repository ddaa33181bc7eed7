/** @file trained.h  Parameters in training: what each way of taking steps works on. */
#ifndef NTKLENS_NN_TRAINED_H
#define NTKLENS_NN_TRAINED_H

#include "ntklens/nn.h"

typedef struct nl_trained {
    const nl_net *net; /* borrowed */
    nl_train_spec spec;
    float *theta;      /* [net->size] */
    float *state;      /* [state_size]: momentum v; adam m, then v */
    size_t state_size; /* floats */
} nl_trained;

#endif
