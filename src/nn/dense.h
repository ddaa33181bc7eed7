/** @file dense.h  Fully connected layers: z = s W h + t b, W [fan_out x fan_in]. */
#ifndef NTKLENS_NN_DENSE_H
#define NTKLENS_NN_DENSE_H

#include "layer.h"

extern const nl_layer_ops nl_dense_ops;

#endif
