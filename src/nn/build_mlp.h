/** @file build_mlp.h  Layers of a fully connected network. */
#ifndef NTKLENS_NN_BUILD_MLP_H
#define NTKLENS_NN_BUILD_MLP_H

#include "ntklens/nn.h"

/** Make the list of layers of net->spec, without parameters.
 *  @return NL_ERR_NOMEM */
NL_MUST_CHECK nl_status nl_build_mlp(nl_net *net);

#endif
