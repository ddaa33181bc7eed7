/** @file norm.h  Layer norm over channels and positions of a sample (Ba et al. 2016), with a gain
 * and a shift a channel, as torch.nn.GroupNorm(1, channels). */
#ifndef NTKLENS_NN_NORM_H
#define NTKLENS_NN_NORM_H

#include "layer.h"

extern const nl_layer_ops nl_norm_ops;

#endif
