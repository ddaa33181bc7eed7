/**
 * @file kernel_parts.h  Kernels of networks that are no chains of dense layers.  Local.
 *
 * Theta = sum over chunks of parameters.  A chunk is a whole dense layer (activations' Gram o
 * back-signals' Gram), or some units of another layer, whose rows of the Jacobian are made and
 * multiplied.  Chunks follow from shapes alone and are added in one order; as many as the memory
 * given holds make a part, for which passes over the samples are made anew.  So no bit depends on
 * that memory.
 */
#ifndef NTKLENS_NTK_KERNEL_PARTS_H
#define NTKLENS_NTK_KERNEL_PARTS_H

#include "ntklens/ntk.h"

/** nl_kernel_fill() of such a network into `local`, laid out as the local part of `a`. */
NL_MUST_CHECK nl_status nl_parts_fill(const nl_dmat *a, nl_kernel_spec spec,
                                      const nl_kernel_input *input, void *local);

/** nl_kernel_for_each_tile() of such a network, by way of a second matrix. */
NL_MUST_CHECK nl_status nl_parts_for_each_tile(const nl_dmat *layout, nl_kernel_spec spec,
                                               const nl_kernel_input *input, nl_tile_fn *take,
                                               void *context);

/** nl_kernel_fill_bytes() of such a network, of full and traced kernels. */
double nl_parts_memory(const nl_net *net, nl_precision precision, int order, double samples,
                       double panel_bytes);

#endif
