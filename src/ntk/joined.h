/**
 * @file joined.h  Layers whose back-signals are products.  Local.
 *
 * Where a convolution's output goes through phi, or is summed with a skip and goes through phi, and
 * is averaged over all positions then, its back-signals are
 *   delta^a[p, o] = u^a[o] mask[p, o],
 * u^a the back-signal of the average over the number of positions, mask what the way multiplies
 * with. So rows of J are u^a[o] M[:, o], M the gradient for the back-signal `mask`: one instead of
 * C, and products of rows are sum_o u_i^a[o] u_j^b[o] <M_i[:, o], M_j[:, o]>.
 */
#ifndef NTKLENS_NTK_JOINED_H
#define NTKLENS_NTK_JOINED_H

#include "ntklens/passes.h"

/** Index of the global average that layer l leads to in this way; -1: it does not. */
int nl_joined_average(const nl_net *net, int l);

/** mask [positions x channels] of one sample of the last forward pass in double. */
void nl_joined_mask(const nl_passes *passes, const nl_net *net, int l, int sample, double *mask);

#endif
