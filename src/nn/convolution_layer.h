/** @file convolution_layer.h  Convolutional layers. */
#ifndef NTKLENS_NN_CONVOLUTION_LAYER_H
#define NTKLENS_NN_CONVOLUTION_LAYER_H

#include "layer.h"

extern const nl_layer_ops nl_convolution_ops;

#endif
