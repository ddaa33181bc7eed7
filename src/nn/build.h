/** @file build.h  A network's list of layers in the making, for builders of kinds of networks. */
#ifndef NTKLENS_NN_BUILD_H
#define NTKLENS_NN_BUILD_H

#include "ntklens/nn.h"

enum { nl_the_sample = -1 }; /* as the index of what a layer takes */

typedef struct nl_builder {
    nl_net *net; /* borrowed */
    nl_status status;
} nl_builder;

/** Room for the layers of a cnn or resnet; status: NL_ERR_NOMEM without. */
nl_builder nl_build_open(nl_net *net);

/* Each appends a layer that takes the output of layer `from`, and returns its index. */
int nl_build_convolution(nl_builder *builder, int from, int channels, int kernel, int stride);
int nl_build_norm(nl_builder *builder, int from);
int nl_build_pool(nl_builder *builder, int from, nl_downsampling kind);
int nl_build_dense(nl_builder *builder, int from, int units);

/** branch_scale times the output of `branch`, plus that of `skip`. */
int nl_build_sum(nl_builder *builder, int branch, int skip, double branch_scale);

/** The norm, where the network has one, and phi, behind a convolution. */
int nl_build_activation(nl_builder *builder, int convolution);

/** The same of the output of a layer that is wanted as it is, too. */
int nl_build_preactivation(nl_builder *builder, int from);

/** From the last stage's activations to the output layer. */
void nl_build_head(nl_builder *builder, int from);

/** Channels of a stage. */
int nl_build_channels(const nl_net_spec *spec, int stage);

#endif
