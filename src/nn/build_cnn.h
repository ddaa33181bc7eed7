/** @file build_cnn.h  Layers of a convolutional network without skips. */
#ifndef NTKLENS_NN_BUILD_CNN_H
#define NTKLENS_NN_BUILD_CNN_H

#include "ntklens/nn.h"

/** Set net->layers and net->layer of a network whose spec is set. */
NL_MUST_CHECK nl_status nl_build_cnn(nl_net *net);

#endif
