/**
 * @file dual_blocks.h  Duals of networks that are no chains of dense layers: by rows of the
 * Jacobian, which are streamed once.  Local, but for inner products.
 *
 * Rows of G are the trained parameters, in their order.  Every rank makes J of a panel of samples
 * and adds what J^T J has in its own entries on and below the diagonal: nothing is communicated.
 * With S = passes and rows a sample (nl_gradient_rows_flops()), a fill takes N S on every rank and
 * N C P^2 shared by them.
 */
#ifndef NTKLENS_LARGE_DUAL_BLOCKS_H
#define NTKLENS_LARGE_DUAL_BLOCKS_H

#include "ntklens/dual.h"

/** Opaque.  Borrows the network, its parameters and the probe. */
typedef struct nl_dual_blocks nl_dual_blocks;

NL_MUST_CHECK nl_status nl_dual_blocks_create(const nl_kernel_input *input, nl_kernel_spec spec,
                                              nl_precision precision, nl_dual_blocks **out);
void nl_dual_blocks_destroy(nl_dual_blocks **blocks);

/** Rows of G: nl_net.trained. */
int nl_dual_blocks_order(const nl_dual_blocks *blocks);

/** nl_dual_fill() into zeros, by panels of samples; nl_dual_coordinates(), nl_dual_bytes(), beside
 * the matrix of one rank, and nl_dual_flops() of such a network. */
NL_MUST_CHECK nl_status nl_dual_blocks_fill(nl_dmat *a, const nl_dual_blocks *blocks,
                                            nl_fill_watch *watch);
void nl_dual_blocks_coordinates(const nl_dual_blocks *blocks, const double *w, double *u);
double nl_dual_blocks_bytes(const nl_net *net, nl_kernel_spec spec, nl_precision precision,
                            int samples);
double nl_dual_blocks_flops(const nl_net *net, nl_kernel_spec spec, int samples);

/** nl_dual_inner() by way of J_a^T J_b, a matrix over the grid.  Collective over the grid; the same
 *  bits on every rank.  Bytes of that matrix on each of so many ranks; nl_dual_inner_flops(). */
NL_MUST_CHECK nl_status nl_dual_blocks_inner(const nl_grid *grid, const nl_dual_blocks *a,
                                             const nl_dual_blocks *b, const nl_interrupt *interrupt,
                                             double *inner);
double nl_dual_blocks_inner_bytes(const nl_net *net, nl_precision precision, int ranks);
double nl_dual_blocks_inner_flops(const nl_net *net, nl_kernel_spec spec, int samples, bool same);

#endif
