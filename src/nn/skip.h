/** @file skip.h  Layers without parameters that residual networks are made of: phi alone, sums. */
#ifndef NTKLENS_NN_SKIP_H
#define NTKLENS_NN_SKIP_H

#include "layer.h"

extern const nl_layer_ops nl_apply_ops, nl_add_ops;

#endif
