/** @file sample_batch.h  A batch on its way through any network, sample by sample. */
#ifndef NTKLENS_NN_SAMPLE_BATCH_H
#define NTKLENS_NN_SAMPLE_BATCH_H

#include "trained.h"

/** Opaque: scratch for a batch, which goes through the network a few samples at a time. */
typedef struct nl_sample_batch nl_sample_batch;

/** Floats of scratch for batches of any size. */
double nl_sample_batch_floats(const nl_net *net);

/** Pieces that a step of `rows` samples is cut in. */
int nl_sample_batch_parts(const nl_net *net, int rows);

/** Floats that come to that where `cores` share steps of `rows` samples. */
double nl_sample_batch_shared_floats(const nl_net *net, int rows, int cores);

/** rows: of the largest batch. */
NL_MUST_CHECK nl_status nl_sample_batch_create(const nl_net *net, int rows, nl_sample_batch **out);
void nl_sample_batch_destroy(nl_sample_batch **batch);

/** Let others share the work; crew: borrowed. */
void nl_sample_batch_set_crew(nl_sample_batch *batch, nl_crew *crew);

/** logits [rows x outputs] of x [rows x inputs]. */
void nl_sample_batch_forward(nl_sample_batch *batch, const float *theta, int rows, const float *x,
                             float *logits);

/** One step on x [rows x inputs], labels [rows]; returns the mean loss before it. */
double nl_sample_batch_step(nl_sample_batch *batch, nl_trained *trained, long step, int rows,
                            const float *x, const int *labels);

#endif
