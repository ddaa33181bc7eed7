/** @file pool_layer.h  Average and max pools, global average. */
#ifndef NTKLENS_NN_POOL_LAYER_H
#define NTKLENS_NN_POOL_LAYER_H

#include "layer.h"

extern const nl_layer_ops nl_average_pool_ops, nl_max_pool_ops, nl_global_average_ops;

#endif
