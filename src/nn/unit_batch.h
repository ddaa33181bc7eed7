/**
 * @file unit_batch.h  A batch on its way through a network of dense layers alone, unit by unit.
 *
 * Activations and back-signals lie [units x rows] (activation.h).
 */
#ifndef NTKLENS_NN_UNIT_BATCH_H
#define NTKLENS_NN_UNIT_BATCH_H

#include "trained.h"

/** Opaque: scratch for `batch` rows. */
typedef struct nl_unit_batch nl_unit_batch;

/** Floats of each row, but for the samples. */
double nl_unit_batch_row_floats(const nl_net *net);

/** Floats that come to that where `cores` share the work. */
double nl_unit_batch_shared_floats(const nl_net *net, int cores);

NL_MUST_CHECK nl_status nl_unit_batch_create(const nl_net *net, nl_optimizer optimizer, int batch,
                                             nl_unit_batch **out);
void nl_unit_batch_destroy(nl_unit_batch **batch);

/** Let others share the work; crew: borrowed. */
NL_MUST_CHECK nl_status nl_unit_batch_set_crew(nl_unit_batch *batch, nl_crew *crew);

/** logits [rows x outputs] of x [rows x inputs]; with_slopes: a backward pass follows. */
void nl_unit_batch_forward(nl_unit_batch *batch, const float *theta, int rows, const float *x,
                           bool with_slopes, float *logits);

/** Backward from error [rows x outputs], and update, after a forward pass of the same x. */
void nl_unit_batch_backward(nl_unit_batch *batch, nl_trained *trained, long step, int rows,
                            const float *x, const float *error);

#endif
