/** @file sample_batch.h  A batch on its way through any network, sample by sample. */
#ifndef NTKLENS_NN_SAMPLE_BATCH_H
#define NTKLENS_NN_SAMPLE_BATCH_H

#include "trained.h"

/** Opaque: scratch for `batch` rows. */
typedef struct nl_sample_batch nl_sample_batch;

/** Floats of each row, but for the samples. */
double nl_sample_batch_row_floats(const nl_net *net);

NL_MUST_CHECK nl_status nl_sample_batch_create(const nl_net *net, int batch, nl_sample_batch **out);
void nl_sample_batch_destroy(nl_sample_batch **batch);

/** logits [rows x outputs] of x [rows x inputs]. */
void nl_sample_batch_forward(nl_sample_batch *batch, const float *theta, int rows, const float *x,
                             float *logits);

/** Backward from error [rows x outputs], and update, after a forward pass. */
void nl_sample_batch_backward(nl_sample_batch *batch, nl_trained *trained, long step, int rows,
                              const float *error);

#endif
