/** @file layer_kinds.h  The functions of each kind of layer. */
#ifndef NTKLENS_NN_LAYER_KINDS_H
#define NTKLENS_NN_LAYER_KINDS_H

#include "layer.h"

const nl_layer_ops *nl_layer_ops_of(const nl_layer *layer);

#endif
