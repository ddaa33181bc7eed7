/** @file build_resnet.h  Layers of a residual network. */
#ifndef NTKLENS_NN_BUILD_RESNET_H
#define NTKLENS_NN_BUILD_RESNET_H

#include "ntklens/nn.h"

/** Set net->layers and net->layer of a network whose spec is set. */
NL_MUST_CHECK nl_status nl_build_resnet(nl_net *net);

#endif
